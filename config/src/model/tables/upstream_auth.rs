//! `upstreams.NAME.auth`, and `upstream-auth` of the other levels.

use crate::schema::texts::{FIELD, FIELD_VALUE, SCOPE, URL};
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
const TOKEN_EXCHANGE: (&str, &str) =
    ("token-exchange", "a token that an authorization server issues for that of the caller (RFC 8693)");
const AWS: (&str, &str) = ("aws-sigv4", "a signature of each request (AWS Signature Version 4)");
const KINDS: &[(&str, &str)] = &[BASIC, CLIENT_CREDENTIALS, TOKEN_EXCHANGE, AWS];

/// The kinds, each with its table.
pub(crate) const AUTH_KINDS: &[(&str, &Object)] = &[
    ("basic", &AUTH_BASIC),
    ("client-credentials", &AUTH_CLIENT_CREDENTIALS),
    ("token-exchange", &AUTH_TOKEN_EXCHANGE),
    ("aws-sigv4", &AUTH_AWS),
];

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
    keys: &[Key::required("kind", "The kind of authentication.", Shape::Word(&[CLIENT_CREDENTIALS]))],
    shared: &[SERVER],
    examples: &[
        "{\"kind\": \"client-credentials\", \"token-url\": \"https://id.example.com/token\", \"client-id\": \"gateway\", \
                 \"client-secret\": \"${secret.ID_PROVIDER}\", \"scopes\": [\"pets.read\"]}",
    ],
    ..Object::PLAIN
};

/// A token of an authorization server for each token of a caller.
pub(crate) static AUTH_TOKEN_EXCHANGE: Object = Object {
    name: "upstream-auth-token-exchange",
    doc: "The upstream gets a token that an authorization server issues for that of the caller (RFC 8693). It is fetched once for its \
          lifetime and each token of a caller in each isolate, and again before it ends.",
    keys: &[
        Key::required("kind", "The kind of authentication.", Shape::Word(&[TOKEN_EXCHANGE])),
        Key::optional("subject-type", "What kind of token those of callers are.", Shape::Word(TOKEN_TYPES))
            .default("\"access-token\""),
        Key::optional(
            "actor-token",
            "An access token of the gateway itself, as the party that acts for the caller: a reference to a secret.",
            Shape::Ruled(&FIELD_VALUE),
        )
        .absent("not sent")
        .examples(&["\"${secret.ACTOR}\""]),
    ],
    shared: &[SERVER],
    examples: &[
        "{\"kind\": \"token-exchange\", \"token-url\": \"https://id.example.com/token\", \"client-id\": \"gateway\", \
                 \"client-secret\": \"${secret.ID_PROVIDER}\", \"audience\": \"pets\"}",
    ],
    ..Object::PLAIN
};

/// A signature of each request.
pub(crate) static AUTH_AWS: Object = Object {
    name: "upstream-auth-aws-sigv4",
    doc: "The gateway signs each request to an AWS service, or to one that is compatible with it (Signature Version 4).",
    keys: &[
        Key::required("kind", "The kind of authentication.", Shape::Word(&[AWS])),
        Key::required("region", "The region of the service.", Shape::Text).examples(&["\"eu-central-1\""]),
        Key::required("service", "The name of the service in signatures.", Shape::Text)
            .examples(&["\"s3\"", "\"execute-api\""]),
        Key::required("access-key-id", "The id of the access key; a reference to a secret is allowed.", Shape::Ruled(&FIELD_VALUE))
            .examples(&["\"${secret.AWS_KEY_ID}\""]),
        Key::required("secret-access-key", "The secret access key: a reference to a secret.", Shape::Ruled(&FIELD_VALUE))
            .examples(&["\"${secret.AWS_KEY}\""]),
        Key::optional("session-token", "The session token of temporary keys: a reference to a secret.", Shape::Ruled(&FIELD_VALUE))
            .absent("not sent")
            .examples(&["\"${secret.AWS_SESSION}\""]),
        Key::optional(
            "sign-content",
            "Whether the content is signed: then it is read into memory first, up to 1 MiB. Without it, content streams, which only S3 \
             accepts, over HTTPS.",
            Shape::Boolean,
        )
        .absent("`false` for S3 over HTTPS, otherwise `true`"),
        Key::optional(
            "forward",
            "The `X-Amz-*` fields of clients that are forwarded and signed. All others are removed: they could make the service do \
             more than the request says, in the name of the gateway.",
            Shape::List(&FORWARDED),
        )
        .absent("none")
        .examples(&["[\"X-Amz-Target\"]"]),
    ],
    examples: &[
        "{\"kind\": \"aws-sigv4\", \"region\": \"eu-central-1\", \"service\": \"s3\", \"access-key-id\": \"${secret.AWS_KEY_ID}\", \
                 \"secret-access-key\": \"${secret.AWS_KEY}\"}",
    ],
    ..Object::PLAIN
};

/// An authorization server, and what the gateway asks of it.
const SERVER: &[Key] = &[
    Key::required("token-url", "The URL of the server's token endpoint.", Shape::Ruled(&URL))
        .examples(&["\"https://id.example.com/token\""]),
    Key::required("client-id", "The gateway's own id at the server.", Shape::Text).examples(&["\"gateway\""]),
    Key::required(
        "client-secret",
        "The gateway's own secret there: a reference to a secret.",
        Shape::Ruled(&FIELD_VALUE),
    )
    .examples(&["\"${secret.ID_PROVIDER}\""]),
    Key::optional("client-auth", "How the gateway sends id and secret.", Shape::Word(CLIENT_AUTH)).default("\"basic\""),
    Key::optional("scopes", "The scopes that are asked for.", Shape::List(&SCOPES))
        .absent("those that the server gives the client")
        .examples(&["[\"pets.read\"]"]),
    Key::optional("audience", "For whom the token is asked for, as some servers require it.", Shape::Text)
        .absent("not sent")
        .examples(&["\"https://pets.internal\""]),
    Key::optional(
        "resources",
        "The resources for which the token is asked for (RFC 8707): absolute URIs without a fragment.",
        Shape::List(&RESOURCES),
    )
    .absent("not sent")
    .examples(&["[\"https://pets.internal\"]"]),
    Key::optional(
        "private-network",
        "Whether the server may be asked over plain HTTP, and at addresses that are not public.",
        Shape::Boolean,
    )
    .default("false"),
];

static SCOPES: List = List::some_texts(Shape::Ruled(&SCOPE), 64);
static RESOURCES: List = List::some_texts(Shape::Text, 16);
static FORWARDED: List = List::some_texts(Shape::Ruled(&FIELD), 32);

const CLIENT_AUTH: &[(&str, &str)] = &[
    ("basic", "in the field `Authorization`, with the scheme `Basic` (RFC 6749, section 2.3.1)"),
    ("post", "in the content, as `client_id` and `client_secret` (RFC 6749, section 2.3.1)"),
    (
        "private-key-jwt",
        "an assertion that is signed with a private key (RFC 7523); `client-secret` is the key as a JWK",
    ),
];

const TOKEN_TYPES: &[(&str, &str)] =
    &[("access-token", "access tokens"), ("jwt", "JSON Web Tokens"), ("id-token", "ID tokens of OpenID Connect")];
