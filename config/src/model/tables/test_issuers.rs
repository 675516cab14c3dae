//! The identity providers of policy tests, and their tokens.

use crate::schema::texts::{CLAIM, ID, INSTANT, NAME};
use crate::schema::{Key, List, Named, Object, Quantity, Rule, Shape, TextRule};

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

/// What becomes of people at an identity provider of a test.
pub(crate) static TEST_ISSUER_CHANGE: Object = Object {
    name: "test-issuer-change",
    doc: "What becomes of the people who log in at an identity provider of a test.",
    keys: &[
        Key::optional(
            "accounts",
            "What becomes of accounts, by the subject (`sub`) of the person: `closed`, so that nobody logs in and no session is confirmed; or \
             claims that ID tokens have from now on, beside those of the login or in place of them.",
            Shape::Named(&ACCOUNTS),
        )
        .examples(&["{\"ada\": \"closed\"}", "{\"ada\": {\"groups\": [\"staff\"]}}"]),
        Key::optional(
            "logs-out",
            "Logs this person out (`sub`), and tells it to the `oidc-login` policies with `revocable` (OpenID Connect Back-Channel Logout \
             1.0).",
            Shape::Text,
        )
        .examples(&["\"ada\""]),
    ],
    rules: &[Rule::OneOf(&["accounts", "logs-out"])],
    ..Object::PLAIN
};

static ACCOUNTS: Named = Named {
    names: &SUBJECT,
    of: Shape::AnyOf(&[
        Shape::Word(&[("closed", "nobody logs in with it any more, and no session is confirmed")]),
        Shape::Named(&TEST_CLAIMS),
    ]),
    max: usize::MAX,
};

static SUBJECT: TextRule = TextRule {
    name: "subject",
    doc: "What a person is called at the provider: 1 to 255 ASCII characters.",
    pattern: "^[ -~]{1,255}$",
    examples: &["ada"],
};

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
        Key::optional("bound-to", "What the token is bound to (`cnf`).", Shape::Object(&TEST_BINDING))
            .absent("nothing")
            .examples(&["{\"key\": \"phone\"}"]),
        Key::optional(
            "proof",
            "The proof that the request has of the key to which the token is bound.",
            Shape::Word(TEST_PROOFS),
        )
        .absent("`valid` for a token that is bound to a key"),
        Key::optional("forged", "Whether somebody else signs it, in the name of the key.", Shape::Boolean)
            .default("false"),
    ],
    ..Object::PLAIN
};

/// What a token is bound to.
pub(crate) static TEST_BINDING: Object = Object {
    name: "test-binding",
    doc: "What a token is bound to: a key of the client, or a client certificate.",
    keys: &[
        Key::optional(
            "key",
            "The name of the client's key (`cnf.jkt`), which is generated from it.",
            Shape::Ruled(&NAME),
        )
        .absent("no key")
        .examples(&["\"phone\""]),
        Key::optional(
            "certificate",
            "The subject of the certificate (`cnf.x5t#S256`), as `client.certificate` has it.",
            Shape::Text,
        )
        .absent("no certificate")
        .examples(&["\"CN=laptop\""]),
    ],
    ..Object::PLAIN
};

const TEST_PROOFS: &[(&str, &str)] = &[
    ("valid", "of the key, for the request"),
    ("none", "none: the token is sent as a bearer token"),
    ("missing", "none, although the token is sent with the scheme `DPoP`"),
    ("of-another-key", "of somebody else's key"),
    ("of-another-request", "for another URL"),
    ("of-another-token", "for another token"),
    ("forged", "with a wrong signature"),
    ("old", "made an hour ago"),
    ("repeated", "with the id that all such proofs have"),
    ("without-nonce", "without the nonce that the policy requires"),
];

static TEST_CLAIMS: Named = Named { names: &CLAIM, of: Shape::Anything, max: usize::MAX };

pub(super) const TOKEN: Shape = Shape::AnyOf(&[Shape::Ruled(&NAME), Shape::Object(&TEST_TOKEN)]);
