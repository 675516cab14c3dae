//! The tables of all objects of all kinds of files.

mod api;
mod fixtures;
pub(crate) mod key_properties;
mod level;
mod policy_tests;
mod prices;
mod project;
mod test_invariants;
mod test_issuers;
mod test_records;
mod test_scripts;
mod upstream;
mod upstream_auth;

pub(crate) use api::{API, API_FILE, EXTENSION, OPERATION, ROUTE, SCOPES, SCOPES_TOGETHER, SELECT, WHEN};
pub(crate) use fixtures::{CONSUMER, CONSUMER_KEY, FIXTURES};
#[cfg(test)]
pub(crate) use level::LEVEL;
pub(crate) use level::{AUTHN, AUTHZ, CACHE, GUARD, LIMIT, LOCKABLE_SIZE, LOCKABLE_TIMEOUT, TOGETHER};
pub(crate) use policy_tests::{
    BODY_EXPECT, CASE, CLIENT, EXPECT, FAULT, NOTICE_EXPECT, OTHER_STEP, QUOTA_EXPECT, REQUEST_STEP, TEST_CERTIFICATE,
    TEST_CONSUMER, TEST_FILE, TEST_KEY, TEST_OUTAGE, TEXT_EXPECT, UPSTREAM_EXPECT,
};
pub(crate) use prices::{PRICES, TARGET_PRICES};
pub(crate) use project::{
    ENVIRONMENT_FILE, GATEWAY, IDENTITY_TOKENS, OTLP, PLAN, PLAN_LIMIT, PLANS_FILE, POLICIES_FILE, PROJECT, RECEIVER,
    TELEMETRY, USAGE, VALUE_HEAD, VALUE_TYPES,
};
pub(crate) use test_invariants::{INVARIANT, REQUIREMENT, ROUTE_SELECTION};
pub(crate) use test_issuers::{TEST_BINDING, TEST_ISSUER, TEST_ISSUER_CHANGE, TEST_ISSUER_KEYS_MAX, TEST_TOKEN};
pub(crate) use test_records::{TEST_GRANT, TEST_PLAN, TEST_PRODUCT, TEST_SUBSCRIPTION};
pub(crate) use test_scripts::{ANSWER, CONTENT, RULE, SCRIPT, UPSTREAM_ERRORS};
pub(crate) use upstream::{IDENTITY_TOKEN, UPSTREAM, UPSTREAM_TLS};
pub(crate) use upstream_auth::{AUTH_HEAD, AUTH_KINDS};

use crate::schema::{Key, Shape};

/// The keys that every file has.
pub(crate) const FILE: &[Key] = &[
    Key::required("format", "The version of the configuration format.", Shape::Format),
    Key::optional(
        "$schema",
        "The location of the JSON Schema of the file, for editors. Tollgate ignores it.",
        Shape::Text,
    )
    .examples(&["\"../../schemas/tollgate.schema.json\""]),
];
