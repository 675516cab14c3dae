//! `dev/fixtures.yaml`.

use super::FILE;
use super::key_properties::KEY_PROPERTIES;
use crate::schema::texts::{ID, KEY_TEXT};
use crate::schema::{Key, List, Object, Shape};

/// The root of `dev/fixtures.yaml`.
pub(crate) static FIXTURES: Object = Object {
    name: "fixtures",
    doc: "Consumers and keys for local use. They are never part of a bundle, and only digests of the keys are stored.",
    keys: &[Key::required("consumers", "The consumers.", Shape::List(&CONSUMERS))],
    shared: &[FILE],
    ..Object::PLAIN
};

static CONSUMERS: List = List::of(Shape::Object(&CONSUMER));

/// A consumer.
pub(crate) static CONSUMER: Object = Object {
    name: "consumer",
    doc: "A consumer: the owner of keys.",
    keys: &[
        Key::required("id", "The id of the consumer in limits, logs and metrics.", Shape::Ruled(&ID))
            .examples(&["\"acme\""]),
        Key::optional("plan", "The plan of the consumer.", Shape::Ruled(&ID)).absent("no plan").examples(&["\"gold\""]),
        Key::optional("keys", "The keys, each as a string or with its properties.", Shape::List(&KEYS)).absent("none"),
        IDENTITIES,
    ],
    ..Object::PLAIN
};

/// The identities of a consumer.
pub(super) const IDENTITIES: Key = Key::optional(
    "identities",
    "The identities that are linked to the consumer, each as `<issuer> <claim>=<value>`, for policies with `links`.",
    Shape::List(&List::some_texts(Shape::Text, 32)),
)
.absent("none")
.examples(&["[\"https://login.example.com sub=00u7f\"]"]);

static KEYS: List = List::of(Shape::AnyOf(&[Shape::Ruled(&KEY_TEXT), Shape::Object(&CONSUMER_KEY)]));

/// A key with its properties.
pub(crate) static CONSUMER_KEY: Object = Object {
    name: "consumer-key",
    doc: "A key with its properties.",
    keys: &[Key::required("key", "The key.", Shape::Ruled(&KEY_TEXT))],
    shared: &[KEY_PROPERTIES],
    ..Object::PLAIN
};
