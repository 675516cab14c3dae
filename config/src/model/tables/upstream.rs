//! `upstreams:`.

use super::level::TIMEOUT;
use super::upstream_auth::UPSTREAM_AUTH;
use crate::model::upstream::HEADERS_MAX;
use crate::schema::texts::{CLAIM_NAME, FACT, FIELD, FIELD_VALUE, URL};
use crate::schema::{Key, Named, Object, Quantity, Shape};

/// An upstream as a mapping, or only its URL.
pub(crate) const UPSTREAM_OR_URL: Shape = Shape::AnyOf(&[Shape::Ruled(&URL), Shape::Object(&UPSTREAM)]);

/// An upstream as a mapping.
pub(crate) static UPSTREAM: Object = Object {
    name: "upstream",
    doc: "A server to which the gateway forwards requests.",
    keys: &[
        Key::required("url", "The URL of the server; its path is the prefix of forwarded paths.", Shape::Ruled(&URL))
            .examples(&["\"https://pets.internal:8443\""]),
        Key::optional("timeout", "The time limit for an exchange, for routes that set it neither themselves nor in their API.", TIMEOUT)
            .absent("the gateway's")
            .examples(&["\"10s\""]),
        Key::optional("connect-timeout", "The time limit for connecting.", Shape::Quantity(Quantity::Time))
            .absent("the gateway's")
            .examples(&["\"2s\""]),
        Key::optional(
            "headers",
            "Header fields that are set on every request and replace those of the client; secret references are allowed.",
            HEADERS,
        )
        .absent("none")
        .examples(&["{\"Authorization\": \"Bearer ${secret.PETS_TOKEN}\"}"]),
        Key::optional(
            "identity",
            "Header fields that tell the upstream who the caller is. What clients send in these fields is never forwarded.",
            IDENTITY_STATEMENT,
        )
        .absent("the gateway's")
        .examples(&["{\"X-Consumer\": \"consumer\", \"X-Email\": \"claims.email\"}"]),
        Key::optional("auth", "How the gateway authenticates itself to the upstream.", AUTH_STATEMENT)
            .absent("the gateway's; if it has none, not at all, or by `headers`"),
        Key::optional("tls", "What the gateway presents in the TLS handshake with the upstream.", Shape::Object(&UPSTREAM_TLS))
            .absent("no certificate"),
    ],
    examples: &["{\"url\": \"https://pets.internal:8443\", \"timeout\": \"10s\"}"],
    ..Object::PLAIN
};

/// TLS with an upstream.
pub(crate) static UPSTREAM_TLS: Object = Object {
    name: "upstream-tls",
    doc: "TLS with an upstream that asks for a certificate of the gateway (mutual TLS).",
    keys: &[
        Key::required(
            "certificate",
            "The gateway's certificate, by the name under which the host has it: a secret in PEM, on Cloudflare a binding of \
             `mtls_certificates`. On Spin, the runtime configuration has it for the upstream's host.",
            Shape::Ruled(&FIELD_VALUE),
        )
        .examples(&["\"${secret.PETS_CERTIFICATE}\""]),
        Key::optional(
            "key",
            "The private key: a secret in PEM. Only the native host reads it.",
            Shape::Ruled(&FIELD_VALUE),
        )
        .absent("in the same secret as the certificate")
        .examples(&["\"${secret.PETS_CERTIFICATE_KEY}\""]),
    ],
    examples: &["{\"certificate\": \"${secret.PETS_CERTIFICATE}\"}"],
    ..Object::PLAIN
};

/// Header fields with their values.
pub(crate) const HEADERS: Shape = Shape::Named(&FIELDS);

static FIELDS: Named = Named { names: &FIELD, of: Shape::Ruled(&FIELD_VALUE), max: HEADERS_MAX };

/// What an upstream is told about callers.
pub(super) const IDENTITY_STATEMENT: Shape = Shape::AnyOf(&[Shape::Named(&IDENTITY), Shape::Word(NOTHING)]);

/// How the gateway authenticates itself to an upstream.
pub(super) const AUTH_STATEMENT: Shape = Shape::AnyOf(&[Shape::Tagged(&UPSTREAM_AUTH), Shape::Word(NO_AUTH)]);

const NOTHING: &[(&str, &str)] = &[("none", "the upstream is told nothing")];
const NO_AUTH: &[(&str, &str)] = &[("none", "the gateway does not authenticate itself")];

static IDENTITY: Named = Named {
    names: &FIELD,
    of: Shape::AnyOf(&[Shape::Word(ATTRIBUTES), Shape::Ruled(&FACT), Shape::Object(&IDENTITY_TOKEN)]),
    max: HEADERS_MAX,
};

/// A token about the caller.
pub(crate) static IDENTITY_TOKEN: Object = Object {
    name: "identity-token",
    doc: "A token (JWT) that the gateway signs, with the consumer as `sub` and the caller's scopes as `scope`. It requires \
          `gateway.identity-tokens`.",
    keys: &[
        Key::optional("audience", "For whom the token is (`aud`).", Shape::Text)
            .absent("the name of the upstream")
            .examples(&["\"https://pets.internal\""]),
        Key::optional("claims", "Further claims, each with what it tells.", Shape::Named(&TOKEN_CLAIMS))
            .absent("none")
            .examples(&["{\"email\": \"claims.email\", \"plan\": \"plan\"}"]),
    ],
    examples: &["{\"audience\": \"pets\", \"claims\": {\"email\": \"claims.email\"}}"],
    ..Object::PLAIN
};

static TOKEN_CLAIMS: Named =
    Named { names: &CLAIM_NAME, of: Shape::AnyOf(&[Shape::Word(ATTRIBUTES), Shape::Ruled(&FACT)]), max: HEADERS_MAX };

/// What an upstream can be told about a caller.
const ATTRIBUTES: &[(&str, &str)] = &[
    ("consumer", "the name of the consumer"),
    ("credential", "the public id of the credential"),
    ("plan", "the plan; absent if there is none"),
    ("scopes", "the scopes, with blanks between them; absent if there are none"),
    ("groups", "the groups, with blanks between them; absent if there are none"),
];
