//! `dev/fixtures.yaml`.

use super::FILE;
use super::api::SCOPES;
use crate::schema::texts::{ID, INSTANT, KEY_TEXT};
use crate::schema::{Key, List, Object, Shape};

/// The root of `dev/fixtures.yaml`.
pub(crate) static FIXTURES: Object = Object {
    name: "fixtures",
    doc: "Consumers and keys for local use. They are never part of a bundle, and only digests of the keys are stored.",
    keys: &[Key::required("consumers", "Those who call.", Shape::List(&CONSUMERS))],
    shared: &[FILE],
    ..Object::PLAIN
};

static CONSUMERS: List = List::of(Shape::Object(&CONSUMER));

/// A consumer.
pub(crate) static CONSUMER: Object = Object {
    name: "consumer",
    doc: "An owner of keys.",
    keys: &[
        Key::required("id", "Its name in limits, logs and metrics.", Shape::Ruled(&ID)).examples(&["\"acme\""]),
        Key::optional("plan", "The plan it is on.", Shape::Ruled(&ID)).absent("no plan").examples(&["\"gold\""]),
        Key::optional("keys", "Its keys, each alone or with what is known of it.", Shape::List(&KEYS)).absent("none"),
    ],
    ..Object::PLAIN
};

static KEYS: List = List::of(Shape::AnyOf(&[Shape::Ruled(&KEY_TEXT), Shape::Object(&CONSUMER_KEY)]));

/// A key with what is known of it.
pub(crate) static CONSUMER_KEY: Object = Object {
    name: "consumer-key",
    doc: "A key with what is known of it.",
    keys: &[
        Key::required("key", "The key itself.", Shape::Ruled(&KEY_TEXT)),
        Key::optional("scopes", "What it was granted.", Shape::List(&SCOPES))
            .absent("none")
            .examples(&["[\"pets.read\"]"]),
        Key::optional("not-before", "When it begins to be valid.", Shape::Ruled(&INSTANT))
            .absent("it is valid at once")
            .examples(&["\"2026-01-01T00:00:00Z\""]),
        Key::optional("expires", "When it ceases to be valid.", Shape::Ruled(&INSTANT))
            .absent("it does not")
            .examples(&["\"2027-01-01T00:00:00Z\""]),
        Key::optional("revoked", "Whether it was taken back.", Shape::Boolean).default("false"),
    ],
    ..Object::PLAIN
};
