//! Shared code of Tollgate's suites: the upstream behind the gateway, and the control of hosts.
//!
//! It is NOT part of the product and makes no gateway decisions. The scenarios of the end-to-end suite are in `e2e/`,
//! run by the program `e2e`; the contract suites of the ports are in `conformance/`; the seeded simulation is in
//! `simulation/`. Open [`upstream::Upstream`] first, then [`hosts::Host`].

pub mod browser;
pub mod client;
pub mod hosts;
pub mod identity_provider;
pub mod leaks;
pub mod redis;
pub mod upstream;
