//! `upstreams.NAME.auth`.

use crate::schema::texts::{FIELD_VALUE, SCOPE, URL};
use crate::schema::{Key, List, Object, Shape, Tagged};

/// How the gateway authenticates itself to an upstream; `kind` decides which other keys exist.
pub(crate) static UPSTREAM_AUTH: Tagged = Tagged { head: &AUTH_HEAD, tag: "kind", variants: AUTH_KINDS };

/// The same before the kind is known.
pub(crate) static AUTH_HEAD: Object = Object {
    name: "upstream-auth",
    doc: "How the gateway authenticates itself to an upstream, in the field `Authorization`. It replaces the client's.",
    keys: &[Key::required("kind", "The kind of authentication.", Shape::Word(KINDS))],
    examples: &["{\"kind\": \"basic\", \"user\": \"gateway\", \"password\": \"${secret.PETS}\"}"],
    ..Object::PLAIN
};

const BASIC: (&str, &str) = ("basic", "a name and a password (RFC 7617)");
const CLIENT_CREDENTIALS: (&str, &str) =
    ("client-credentials", "a token that an authorization server issues to the gateway (RFC 6749, section 4.4)");
const KINDS: &[(&str, &str)] = &[BASIC, CLIENT_CREDENTIALS];

/// The kinds, each with its table.
pub(crate) const AUTH_KINDS: &[(&str, &Object)] =
    &[("basic", &AUTH_BASIC), ("client-credentials", &AUTH_CLIENT_CREDENTIALS)];

/// A name and a password.
pub(crate) static AUTH_BASIC: Object = Object {
    name: "upstream-auth-basic",
    doc: "The gateway authenticates itself by a name and a password (RFC 7617).",
    keys: &[
        Key::required("kind", "The kind of authentication.", Shape::Word(&[BASIC])),
        Key::required("user", "The name; it has no colon.", Shape::Text).examples(&["\"gateway\""]),
        Key::required("password", "The password: a reference to a secret.", Shape::Ruled(&FIELD_VALUE))
            .examples(&["\"${secret.PETS_PASSWORD}\""]),
    ],
    examples: &["{\"kind\": \"basic\", \"user\": \"gateway\", \"password\": \"${secret.PETS_PASSWORD}\"}"],
    ..Object::PLAIN
};

/// A token of an authorization server.
pub(crate) static AUTH_CLIENT_CREDENTIALS: Object = Object {
    name: "upstream-auth-client-credentials",
    doc: "The gateway authenticates itself by a token that an authorization server issues to it (RFC 6749, section 4.4). The token \
          is fetched once for its lifetime in each isolate, and again before it ends.",
    keys: &[
        Key::required("kind", "The kind of authentication.", Shape::Word(&[CLIENT_CREDENTIALS])),
        Key::required("token-url", "The URL of the server's token endpoint.", Shape::Ruled(&URL))
            .examples(&["\"https://id.example.com/token\""]),
        Key::required("client-id", "The gateway's own id at the server.", Shape::Text).examples(&["\"gateway\""]),
        Key::required(
            "client-secret",
            "The gateway's own secret there: a reference to a secret.",
            Shape::Ruled(&FIELD_VALUE),
        )
        .examples(&["\"${secret.ID_PROVIDER}\""]),
        Key::optional("client-auth", "How the gateway sends id and secret.", Shape::Word(CLIENT_AUTH))
            .default("\"basic\""),
        Key::optional("scopes", "The scopes that are asked for.", Shape::List(&SCOPES))
            .absent("those that the server gives the client")
            .examples(&["[\"pets.read\"]"]),
        Key::optional("audience", "For whom the token is asked for, as some servers require it.", Shape::Text)
            .absent("not sent")
            .examples(&["\"https://pets.internal\""]),
        Key::optional(
            "private-network",
            "Whether the server may be asked over plain HTTP, and at addresses that are not public.",
            Shape::Boolean,
        )
        .default("false"),
    ],
    examples: &[
        "{\"kind\": \"client-credentials\", \"token-url\": \"https://id.example.com/token\", \"client-id\": \"gateway\", \
                 \"client-secret\": \"${secret.ID_PROVIDER}\", \"scopes\": [\"pets.read\"]}",
    ],
    ..Object::PLAIN
};

static SCOPES: List = List::some_texts(Shape::Ruled(&SCOPE), 64);

const CLIENT_AUTH: &[(&str, &str)] = &[
    ("basic", "in the field `Authorization`, with the scheme `Basic` (RFC 6749, section 2.3.1)"),
    ("post", "in the content, as `client_id` and `client_secret` (RFC 6749, section 2.3.1)"),
    (
        "private-key-jwt",
        "an assertion that is signed with a private key (RFC 7523); `client-secret` is the key as a JWK",
    ),
];
