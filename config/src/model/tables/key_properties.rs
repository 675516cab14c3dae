//! The properties of a key, in fixtures and in policy tests.

use tollgate_core::bounds::{KEY_PLACES_MAX, ROUTE_LIST_MAX};

use super::api::SCOPE_LIST;
use crate::schema::texts::{HOST, INSTANT, NETWORK, ORIGIN, SCOPE};
use crate::schema::{Key, List, Shape};

/// The keys that describe a key.
pub(crate) const KEY_PROPERTIES: &[Key] = &[
    Key::optional("scopes", "The scopes of the key.", Shape::List(&SCOPE_LIST))
        .absent("none")
        .examples(&["[\"pets.read\"]"]),
    Key::optional("groups", "The groups that the key is in.", Shape::List(&GROUPS))
        .absent("none")
        .examples(&["[\"partners\"]"]),
    Key::optional(
        "limits",
        "The numbers that the key has for limits with `at-most`: `NAME=COUNT`, of a rate also `NAME=COUNT/PERIOD` and `NAME=COUNT/PERIOD:BURST`.",
        Shape::List(&LIMITS),
    )
    .absent("none")
    .examples(&["[\"monthly=1000\"]"]),
    Key::optional("not-before", "The time from which the key is valid.", Shape::Ruled(&INSTANT))
        .absent("valid immediately")
        .examples(&["\"2026-01-01T00:00:00Z\""]),
    Key::optional("expires", "The time from which the key is no longer valid.", Shape::Ruled(&INSTANT))
        .absent("never")
        .examples(&["\"2027-01-01T00:00:00Z\""]),
    Key::optional("revoked", "Whether the key is revoked.", Shape::Boolean).default("false"),
    Key::optional("addresses", "The networks from which the key is accepted.", Shape::List(&ADDRESSES))
        .absent("any address")
        .examples(&["[\"192.0.2.0/24\"]"]),
    Key::optional("hosts", "The hosts of the gateway at which the key is accepted.", Shape::List(&HOSTS))
        .absent("any host")
        .examples(&["[\"api.example.com\"]"]),
    Key::optional("referrers", "The origins of the web pages that may send the key.", Shape::List(&REFERRERS))
        .absent("any web page, and programs that are none")
        .examples(&["[\"https://app.example.com\"]"]),
];

static GROUPS: List = List::texts(Shape::Ruled(&SCOPE), crate::model::api::SCOPES_MAX);
static LIMITS: List = List::texts(Shape::Text, ROUTE_LIST_MAX);
static ADDRESSES: List = List::texts(Shape::Ruled(&NETWORK), KEY_PLACES_MAX);
static HOSTS: List = List::texts(Shape::Ruled(&HOST), KEY_PLACES_MAX);
static REFERRERS: List = List::texts(Shape::Ruled(&ORIGIN), KEY_PLACES_MAX);
