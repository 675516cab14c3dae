//! `tollgate.yaml`.

use tollgate_core::cell::ENTRIES_MAX;

use tollgate_core::bounds::{PROXIES_MAX, PROXY_NETWORKS_MAX};
use tollgate_core::limit::NOTICE_RECEIVERS_MAX;

use super::FILE;
use super::api::API;
use super::level::LEVEL;
use super::upstream::{HEADERS, UPSTREAM_OR_URL};
use crate::model::api::HOSTS_MAX;
use crate::policies::POLICY;
use crate::schema::texts::{BASE, FIELD, FIELD_VALUE, GATEWAY_NAME, HOST, NAME, NETWORK, QUALIFIED_NAME, URL};
use crate::schema::{Key, List, Named, Object, Quantity, Rule, Shape, Tagged};

/// The root of `tollgate.yaml`.
pub(crate) static PROJECT: Object = Object {
    name: "project",
    doc: "A gateway with its APIs, upstreams and policies.",
    keys: &[
        Key::required("gateway", "The settings of the whole gateway.", Shape::Object(&GATEWAY)),
        Key::optional("telemetry", "Logs, metrics and traces of the gateway.", Shape::Object(&TELEMETRY)),
        Key::optional(
            "upstreams",
            "The servers to which the gateway forwards requests, by name.",
            Shape::Named(&UPSTREAMS),
        )
        .absent("none"),
        Key::optional("policies", "The policies, by name.", Shape::Named(&POLICIES)).absent("none"),
        Key::optional(
            "plans",
            "Plans, by name: numbers that replace those of policies for certain consumers.",
            Shape::Named(&PLANS),
        )
        .absent("none"),
        Key::optional("apis", "The APIs, by name.", Shape::Named(&APIS)).absent("none"),
        Key::optional("values", "The values that may differ between environments, by name.", Shape::Named(&VALUES))
            .absent("none"),
    ],
    shared: &[FILE],
    // The declarations of values are read before values can be used.
    without_values: &["values"],
    ..Object::PLAIN
};

pub(super) static UPSTREAMS: Named = Named { names: &NAME, of: UPSTREAM_OR_URL, max: usize::MAX };
pub(super) static POLICIES: Named = Named { names: &NAME, of: Shape::Tagged(&POLICY), max: usize::MAX };
static APIS: Named = Named { names: &NAME, of: Shape::Object(&API), max: usize::MAX };

/// The root of a file in `policies/`.
pub(crate) static POLICIES_FILE: Object = Object {
    name: "policies-file",
    doc: "Policies of the project in a separate file, `policies/*.yaml`.",
    keys: &[Key::required("policies", "The policies, by name.", Shape::Named(&POLICIES))],
    shared: &[FILE],
    ..Object::PLAIN
};

static PLANS: Named = Named { names: &NAME, of: Shape::Object(&PLAN), max: usize::MAX };

/// A plan.
pub(crate) static PLAN: Object = Object {
    name: "plan",
    doc: "Numbers that replace those of policies for the consumers of the plan. The plan of a consumer is stored in its credentials.",
    keys: &[Key::optional(
        "limits",
        "The numbers that replace those of rate limits, by the name of the policy.",
        Shape::Named(&PLAN_LIMITS),
    )
    .absent("the policies' own numbers")
    .examples(&["{\"burst\": {\"rate\": \"1000/s\", \"burst\": 2000}}"])],
    ..Object::PLAIN
};

static PLAN_LIMITS: Named = Named { names: &QUALIFIED_NAME, of: Shape::Object(&PLAN_LIMIT), max: usize::MAX };

/// A plan's numbers for one limit.
pub(crate) static PLAN_LIMIT: Object = Object {
    name: "plan-limit",
    doc: "The numbers that replace those of a limit. The other keys of the policy still apply.",
    keys: &[
        Key::optional(
            "rate",
            "Of a `rate-limit`: the number of requests that become available again per period.",
            Shape::Quantity(Quantity::Rate),
        )
        .absent("another kind of limit")
        .examples(&["\"1000/s\""]),
        Key::optional(
            "burst",
            "Of a `rate-limit`: the maximum number of requests at once, after a time without requests.",
            Shape::Integer(1, u32::MAX as i64),
        )
        .absent("the number in `rate`")
        .examples(&["2000"]),
        Key::optional(
            "quota",
            "Of a `quota`: the number of requests in one window.",
            Shape::Integer(1, u32::MAX as i64),
        )
        .absent("another kind of limit")
        .examples(&["1000000"]),
        Key::optional(
            "max",
            "Of a `concurrency` limit: the number of requests at the same time.",
            Shape::Integer(1, ENTRIES_MAX as i64),
        )
        .absent("another kind of limit")
        .examples(&["50"]),
    ],
    rules: &[
        Rule::OneOf(&["rate", "quota", "max"]),
        Rule::Excludes("quota", &["burst"]),
        Rule::Excludes("max", &["burst"]),
    ],
    ..Object::PLAIN
};

/// The root of a file in `plans/`.
pub(crate) static PLANS_FILE: Object = Object {
    name: "plans-file",
    doc: "Plans of the project in a separate file, `plans/*.yaml`.",
    keys: &[Key::required("plans", "The plans, by name.", Shape::Named(&PLANS))],
    shared: &[FILE],
    ..Object::PLAIN
};

static VALUES: Named = Named { names: &NAME, of: Shape::Tagged(&VALUE), max: usize::MAX };

/// A value as the project declares it; `type` decides the type of the default.
pub(crate) static VALUE: Tagged = Tagged { head: &VALUE_HEAD, tag: "type", variants: VALUE_TYPES };

/// A value before its type is known.
pub(crate) static VALUE_HEAD: Object = Object {
    name: "value",
    doc: "A value that may differ between environments. `${value.NAME}` in place of a setting is replaced by it.",
    keys: &[Key::required("type", "The type of the value.", Shape::Word(TYPES))],
    examples: &["{\"type\": \"url\", \"default\": \"http://localhost:9000\"}"],
    ..Object::PLAIN
};

const TYPES: &[(&str, &str)] = &[
    ("text", "any string; it may contain `${secret.NAME}`"),
    ("url", "the URL of an upstream"),
    ("host", "a host"),
    ("hosts", "a list of hosts"),
    ("duration", "a duration, such as `10s`"),
    ("size", "a size, such as `64KiB`"),
    ("rate", "a rate, such as `100/s`"),
    ("integer", "an integer"),
    ("boolean", "`true` or `false`"),
    ("list", "a list of strings"),
];

/// The types of values, each with its table.
pub(crate) const VALUE_TYPES: &[(&str, &Object)] = &[
    ("text", &VALUE_TEXT),
    ("url", &VALUE_URL),
    ("host", &VALUE_HOST),
    ("hosts", &VALUE_HOSTS),
    ("duration", &VALUE_DURATION),
    ("size", &VALUE_SIZE),
    ("rate", &VALUE_RATE),
    ("integer", &VALUE_INTEGER),
    ("boolean", &VALUE_BOOLEAN),
    ("list", &VALUE_LIST),
];

const DESCRIPTION: Key = Key::optional("description", "The purpose of the value.", Shape::Text);

const fn default_of(shape: Shape) -> Key {
    Key::optional("default", "The value if the environment does not assign one.", shape)
        .absent("every environment must assign a value")
}

static VALUE_TEXT: Object = Object {
    name: "text-value",
    doc: "A value that is any string; it may contain `${secret.NAME}`.",
    keys: &[
        Key::required(
            "type",
            "The type of the value.",
            Shape::Word(&[("text", "any string; it may contain `${secret.NAME}`")]),
        ),
        default_of(Shape::Text).examples(&["\"some text\""]),
        DESCRIPTION,
    ],
    ..Object::PLAIN
};

static VALUE_URL: Object = Object {
    name: "url-value",
    doc: "A value that is the URL of an upstream.",
    keys: &[
        Key::required("type", "The type of the value.", Shape::Word(&[("url", "the URL of an upstream")])),
        default_of(Shape::Ruled(&URL)).examples(&["\"http://localhost:9000\""]),
        DESCRIPTION,
    ],
    ..Object::PLAIN
};

static VALUE_HOST: Object = Object {
    name: "host-value",
    doc: "A value that is a host.",
    keys: &[
        Key::required("type", "The type of the value.", Shape::Word(&[("host", "a host")])),
        default_of(Shape::Ruled(&HOST)).examples(&["\"api.example.com\""]),
        DESCRIPTION,
    ],
    ..Object::PLAIN
};

static VALUE_HOSTS: Object = Object {
    name: "hosts-value",
    doc: "A value that is a list of hosts.",
    keys: &[
        Key::required("type", "The type of the value.", Shape::Word(&[("hosts", "a list of hosts")])),
        default_of(Shape::List(&HOSTS)).examples(&["[\"api.example.com\"]"]),
        DESCRIPTION,
    ],
    ..Object::PLAIN
};

static VALUE_DURATION: Object = Object {
    name: "duration-value",
    doc: "A value that is a duration, such as `10s`.",
    keys: &[
        Key::required("type", "The type of the value.", Shape::Word(&[("duration", "a duration, such as `10s`")])),
        default_of(Shape::Quantity(Quantity::Duration)).examples(&["\"10s\""]),
        DESCRIPTION,
    ],
    ..Object::PLAIN
};

static VALUE_SIZE: Object = Object {
    name: "size-value",
    doc: "A value that is a size, such as `64KiB`.",
    keys: &[
        Key::required("type", "The type of the value.", Shape::Word(&[("size", "a size, such as `64KiB`")])),
        default_of(Shape::Quantity(Quantity::Size)).examples(&["\"64KiB\""]),
        DESCRIPTION,
    ],
    ..Object::PLAIN
};

static VALUE_RATE: Object = Object {
    name: "rate-value",
    doc: "A value that is a rate, such as `100/s`.",
    keys: &[
        Key::required("type", "The type of the value.", Shape::Word(&[("rate", "a rate, such as `100/s`")])),
        default_of(Shape::Quantity(Quantity::Rate)).examples(&["\"100/s\""]),
        DESCRIPTION,
    ],
    ..Object::PLAIN
};

static VALUE_INTEGER: Object = Object {
    name: "integer-value",
    doc: "A value that is an integer.",
    keys: &[
        Key::required("type", "The type of the value.", Shape::Word(&[("integer", "an integer")])),
        default_of(Shape::Integer(0, u32::MAX as i64)).examples(&["5"]),
        DESCRIPTION,
    ],
    ..Object::PLAIN
};

static VALUE_BOOLEAN: Object = Object {
    name: "boolean-value",
    doc: "A value that is `true` or `false`.",
    keys: &[
        Key::required("type", "The type of the value.", Shape::Word(&[("boolean", "`true` or `false`")])),
        default_of(Shape::Boolean).examples(&["true"]),
        DESCRIPTION,
    ],
    ..Object::PLAIN
};

static VALUE_LIST: Object = Object {
    name: "list-value",
    doc: "A value that is a list of strings.",
    keys: &[
        Key::required("type", "The type of the value.", Shape::Word(&[("list", "a list of strings")])),
        default_of(Shape::List(&TEXTS)).examples(&["[\"a\", \"b\"]"]),
        DESCRIPTION,
    ],
    ..Object::PLAIN
};

static TEXTS: List = List::of(Shape::Text);

/// The root of `env/NAME.yaml`.
pub(crate) static ENVIRONMENT_FILE: Object = Object {
    name: "environment-file",
    doc: "The values of an environment, `env/NAME.yaml`; selected by `--env NAME`. The project must declare the values.",
    keys: &[Key::required("values", "The values, by name.", Shape::Named(&GIVEN))
        .examples(&["{\"pets-url\": \"https://pets.internal:8443\"}"])],
    shared: &[FILE],
    ..Object::PLAIN
};

static GIVEN: Named = Named { names: &NAME, of: Shape::Anything, max: usize::MAX };

/// `gateway:`.
pub(crate) static GATEWAY: Object = Object {
    name: "gateway",
    doc: "The settings of the whole gateway; the highest of the three levels.",
    keys: &[
        Key::required(
            "name",
            "The name of the gateway, which is the prefix of the keys of all its records.",
            Shape::Ruled(&GATEWAY_NAME),
        )
        .examples(&["\"acme\""]),
        Key::optional("hosts", "The public hosts of the gateway.", Shape::List(&HOSTS))
            .default("[\"*\"]")
            .examples(&["[\"api.example.com\"]"]),
        Key::optional(
            "internal-hosts",
            "The hosts for internal callers. Internal routes are served only on these hosts.",
            Shape::List(&HOSTS),
        )
        .absent("none")
        .examples(&["[\"ops.internal\"]"]),
        Key::optional(
            "connect-timeout",
            "The time limit for connecting to an upstream.",
            Shape::Quantity(Quantity::Time),
        )
        .default("\"5s\""),
        Key::optional(
            "trusted-proxies",
            "The proxies before the gateway that may name their client: their networks, or how many of them every request \
             passes. The client is the first hop that is not trusted; filters, limits, telemetry and forwarded fields use its \
             address.",
            Shape::AnyOf(&[Shape::List(&PROXY_NETWORKS), Shape::Integer(1, PROXIES_MAX as i64)]),
        )
        .absent("none: the client is the peer of the connection")
        .examples(&["[\"10.0.0.0/8\"]", "1"]),
        Key::optional(
            "proxy-field",
            "The field in which trusted proxies name their client. No other field is read.",
            Shape::Word(PROXY_FIELDS),
        )
        .default("\"x-forwarded-for\""),
        Key::optional(
            "proxy-country-field",
            "The field in which trusted proxies name the client's country. They must set or remove it themselves.",
            Shape::Ruled(&FIELD),
        )
        .absent("the platform's word, of a client without a proxy")
        .examples(&["\"CF-IPCountry\""]),
        Key::optional(
            "proxy-asn-field",
            "The field in which trusted proxies name the number of the client's autonomous system. They must set or remove it \
             themselves.",
            Shape::Ruled(&FIELD),
        )
        .absent("the platform's word, of a client without a proxy")
        .examples(&["\"X-Client-ASN\""]),
        Key::optional(
            "client-fields",
            "The fields that tell upstreams who the client is, and which URL it used. A client's own are never forwarded.",
            Shape::Word(CLIENT_FIELDS),
        )
        .default("\"x-forwarded\""),
        Key::optional(
            "identity-tokens",
            "How the tokens are signed in which `identity` tells upstreams who callers are.",
            Shape::Object(&IDENTITY_TOKENS),
        )
        .absent("no tokens are signed"),
        Key::optional(
            "notify",
            "Who is told when a consumer reaches a share of a limit that has `warn`: receivers of webhooks.",
            Shape::List(&RECEIVERS),
        )
        .absent("nobody")
        .examples(&["[{\"url\": \"https://ops.example.com/limits\", \"secret\": \"${secret.NOTIFY}\"}]"]),
        Key::optional(
            "target",
            "The target platforms. A configuration with which a request can exceed their limits is refused.",
            Shape::AnyOf(&[Shape::Word(TARGETS), Shape::List(&TARGET_LIST)]),
        )
        .absent("limits of platforms are not checked")
        .examples(&["\"workers-free\"", "[\"workers-paid\", \"native\"]"]),
    ],
    shared: &[LEVEL],
    rules: &[
        Rule::Needs("proxy-field", "trusted-proxies"),
        Rule::Needs("proxy-country-field", "trusted-proxies"),
        Rule::Needs("proxy-asn-field", "trusted-proxies"),
    ],
    ..Object::PLAIN
};

static RECEIVERS: List = List { of: Shape::Object(&RECEIVER), min: 1, max: NOTICE_RECEIVERS_MAX, unique: false };

/// An item of `gateway.notify`.
pub(crate) static RECEIVER: Object = Object {
    name: "notice-receiver",
    doc: "A receiver of notices about limits: webhooks as in Standard Webhooks 1.0.0.",
    keys: &[
        Key::required("url", "The URL that notices are sent to, by POST.", Shape::Ruled(&URL))
            .examples(&["\"https://ops.example.com/limits\""]),
        Key::required(
            "secret",
            "What signs the notices, a text `whsec_` with the base64 of 24 random bytes: a reference to a secret. While it is rotated \
             the secret has two, one on each line: both sign.",
            Shape::Ruled(&FIELD_VALUE),
        )
        .examples(&["\"${secret.NOTIFY}\""]),
        Key::optional("timeout", "The time limit for an answer, from `100ms` to `5s`.", Shape::Quantity(Quantity::Time))
            .default("\"3s\""),
        Key::optional(
            "private-network",
            "Whether the receiver may be reached over plain HTTP, and at addresses that are not public.",
            Shape::Boolean,
        )
        .default("false"),
    ],
    examples: &["{\"url\": \"https://ops.example.com/limits\", \"secret\": \"${secret.NOTIFY}\"}"],
    ..Object::PLAIN
};

/// `gateway.identity-tokens`.
pub(crate) static IDENTITY_TOKENS: Object = Object {
    name: "identity-tokens",
    doc: "How the gateway signs the tokens (JWT) in which it tells upstreams who callers are, and where upstreams find its public keys.",
    keys: &[
        Key::required("issuer", "The issuer (`iss`), such as the gateway's own URL.", Shape::Text)
            .examples(&["\"https://api.example.com\""]),
        Key::required(
            "key",
            "The private key, as a JWK on P-256 or Ed25519: a reference to a secret. While a key is rotated the secret has two, one on \
             each line: both are published, and the first one signs.",
            Shape::Ruled(&FIELD_VALUE),
        )
        .examples(&["\"${secret.IDENTITY_KEY}\""]),
        Key::optional("keys-path", "The path of the public keys (a JWK Set) on every host of the gateway.", Shape::Ruled(&BASE))
            .default("\"/.well-known/jwks.json\""),
        Key::optional("lifetime", "For how long a token is valid.", Shape::Quantity(Quantity::Time)).default("\"5m\""),
    ],
    examples: &["{\"issuer\": \"https://api.example.com\", \"key\": \"${secret.IDENTITY_KEY}\"}"],
    ..Object::PLAIN
};

static PROXY_NETWORKS: List = List::some_texts(Shape::Ruled(&NETWORK), PROXY_NETWORKS_MAX);

const PROXY_FIELDS: &[(&str, &str)] = &[
    ("x-forwarded-for", "`X-Forwarded-For`, with `X-Forwarded-Host` and `X-Forwarded-Proto`"),
    ("forwarded", "`Forwarded` (RFC 7239)"),
];

const CLIENT_FIELDS: &[(&str, &str)] = &[
    ("x-forwarded", "`X-Forwarded-For`, `X-Forwarded-Host` and `X-Forwarded-Proto`"),
    ("forwarded", "`Forwarded` (RFC 7239)"),
    ("both", "all four"),
];

const TARGETS: &[(&str, &str)] = &[
    ("workers-free", "Cloudflare Workers, free plan"),
    ("workers-paid", "Cloudflare Workers, paid plan with its default limits"),
    ("spin", "Spin"),
    ("native", "`tollgate serve`, which has no platform limits"),
];

static TARGET_LIST: List = List::of(Shape::Word(TARGETS));

/// The hosts of the gateway or of an API.
pub(super) static HOSTS: List = List::some_texts(Shape::Ruled(&HOST), HOSTS_MAX);

/// `telemetry:`.
pub(crate) static TELEMETRY: Object = Object {
    name: "telemetry",
    doc: "Logs, metrics and traces of the gateway.",
    keys: &[
        Key::optional("log", "Whether one structured log line is written for each exchange.", Shape::Boolean)
            .default("true"),
        Key::optional("otlp", "Where logs, metrics and spans are exported.", Shape::Object(&OTLP)).absent("no export"),
        Key::optional("usage", "Writes what consumers used into records, for `tollgate usage`.", Shape::Object(&USAGE))
            .absent("no records"),
    ],
    ..Object::PLAIN
};

/// `telemetry.usage:`.
pub(crate) static USAGE: Object = Object {
    name: "usage",
    doc: "Records of what consumers used.",
    keys: &[
        Key::optional(
            "every",
            "How long each isolate sums up before it writes a record; at most one hour. With `0s` it writes after each reply.",
            Shape::Quantity(Quantity::Duration),
        )
        .default("\"10s\""),
        Key::optional("keep", "How long records are kept; at least one day.", Shape::Quantity(Quantity::Time))
            .default("\"400d\""),
    ],
    ..Object::PLAIN
};

/// `telemetry.otlp:`.
pub(crate) static OTLP: Object = Object {
    name: "otlp",
    doc: "Export with OTLP/HTTP.",
    keys: &[
        Key::required("endpoint", "The base URL of the receiver.", Shape::Ruled(&URL))
            .examples(&["\"https://otel.example.com\""]),
        Key::optional(
            "headers",
            "Header fields that are set on every export request; secret references are allowed.",
            HEADERS,
        )
        .absent("none"),
        Key::optional(
            "interval",
            "How long telemetry is collected before it is sent.",
            Shape::Quantity(Quantity::Time),
        )
        .default("\"1s\""),
    ],
    ..Object::PLAIN
};
