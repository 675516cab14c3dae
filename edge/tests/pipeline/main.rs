//! The pipeline on its reference ports: the observable effect of each phase on an exchange.

#![expect(clippy::unwrap_used, reason = "a test that cannot read its own data has failed")]

mod attacks;
mod bench;
mod beside;
mod binding;
mod caching;
mod composition;
mod configuration;
mod costs;
mod credentials;
mod entitlements;
mod fetches;
mod forwarding;
mod generations;
mod guard;
mod identity_tokens;
mod introspection;
mod leases;
mod limit_fields;
mod limits;
mod links;
mod login_claims;
mod login_ends;
mod login_refresh;
mod logins;
mod notices;
mod operator;
mod origin;
mod outage;
mod people;
mod refunds;
mod routing;
mod secrets;
mod signed;
mod telemetry;
mod tokens;
mod upstream_auth;
mod usage;
mod webhooks;
