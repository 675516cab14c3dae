//! The identity providers of policy tests, and their tokens.

use crate::schema::texts::{CLAIM, ID, INSTANT, NAME};
use crate::schema::{Key, List, Named, Object, Quantity, Shape};

pub(super) static KEY_IDS: List = List::some_texts(Shape::Ruled(&ID), TEST_ISSUER_KEYS_MAX);

/// The maximum number of keys that an issuer of a test publishes.
pub(crate) const TEST_ISSUER_KEYS_MAX: usize = 100;

/// An identity provider of a test.
pub(crate) static TEST_ISSUER: Object = Object {
    name: "test-issuer",
    doc: "An identity provider of a test. It answers requests for its OpenID Connect metadata and its keys, which are generated \
          from the names.",
    keys: &[
        Key::required("issuer", "The value of `iss` in its tokens, a URL; its metadata are below it.", Shape::Text)
            .examples(&["\"https://id.example.com\""]),
        Key::optional("jwks", "The URL of its keys.", Shape::Text)
            .absent("`<issuer>/jwks`, which its metadata name")
            .examples(&["\"https://id.example.com/keys\""]),
        Key::optional("audience", "The value of `aud` in its tokens.", Shape::Text)
            .absent("none")
            .examples(&["\"pets\""]),
        Key::optional("algorithm", "The algorithm of its keys.", Shape::Word(TEST_ALGORITHMS)).default("\"EdDSA\""),
        Key::optional("keys", "The ids of the keys that it publishes at the beginning.", Shape::List(&KEY_IDS))
            .default("[\"k1\"]"),
    ],
    ..Object::PLAIN
};

const TEST_ALGORITHMS: &[(&str, &str)] = &[("EdDSA", "with Ed25519"), ("ES256", "ECDSA over P-256")];

/// A token of a request.
pub(crate) static TEST_TOKEN: Object = Object {
    name: "test-token",
    doc: "A token that an issuer of the file issues for a request.",
    keys: &[
        Key::required("issuer", "The name of the issuer.", Shape::Ruled(&NAME)).examples(&["\"staff\""]),
        Key::optional("key", "The id of the key that signs it.", Shape::Ruled(&ID))
            .absent("the first that the issuer publishes"),
        Key::optional(
            "claims",
            "Claims beside `iss`, `aud`, `sub` (`test`), `iat` and `exp`, or in place of them; `null` leaves one out.",
            Shape::Named(&TEST_CLAIMS),
        )
        .absent("none")
        .examples(&["{\"sub\": \"ada\", \"scope\": \"read write\"}"]),
        Key::optional("type", "The type in its header (`typ`).", Shape::Text).absent("none").examples(&["\"at+jwt\""]),
        Key::optional("issued", "When it was issued.", Shape::Ruled(&INSTANT)).absent("the time of the request"),
        Key::optional("lifetime", "How long after that it is valid.", Shape::Quantity(Quantity::Duration))
            .default("\"5m\""),
        Key::optional("forged", "Whether somebody else signs it, in the name of the key.", Shape::Boolean)
            .default("false"),
    ],
    ..Object::PLAIN
};

static TEST_CLAIMS: Named = Named { names: &CLAIM, of: Shape::Anything, max: usize::MAX };

pub(super) const TOKEN: Shape = Shape::AnyOf(&[Shape::Ruled(&NAME), Shape::Object(&TEST_TOKEN)]);
