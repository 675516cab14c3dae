//! What Tollgate's suites share: the upstream they put behind it, and how they start and talk to a host.
//!
//! It is NOT part of the product and decides nothing a gateway decides. The scenarios of the end-to-end suite stand
//! in `e2e/`, run by the program `e2e`; the contract suites of the ports in `conformance/`; the seeded simulation in
//! `simulation/`. Open [`upstream::Upstream`] first, then [`hosts::Host`].

pub mod client;
pub mod hosts;
pub mod upstream;
