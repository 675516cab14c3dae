//! The pipeline on its reference ports: what each phase does to an exchange, seen from outside.

#![expect(clippy::unwrap_used, reason = "a test that cannot read its own data has failed")]

mod bench;
mod caching;
mod configuration;
mod credentials;
mod fetches;
mod forwarding;
mod generations;
mod guard;
mod limits;
mod operator;
mod routing;
mod telemetry;
