//! `tollgate.yaml`.

use super::FILE;
use super::api::API;
use super::level::LEVEL;
use super::upstream::{HEADERS, UPSTREAM_OR_URL};
use crate::model::api::HOSTS_MAX;
use crate::policies::POLICY;
use crate::schema::texts::{GATEWAY_NAME, HOST, NAME, QUALIFIED_NAME, URL};
use crate::schema::{Key, List, Named, Object, Quantity, Shape, Tagged};

/// The root of `tollgate.yaml`.
pub(crate) static PROJECT: Object = Object {
    name: "project",
    doc: "A gateway: what it offers, whom it calls and how it guards that.",
    keys: &[
        Key::required("gateway", "What holds for the gateway as a whole.", Shape::Object(&GATEWAY)),
        Key::optional("telemetry", "What the gateway tells about its exchanges.", Shape::Object(&TELEMETRY)),
        Key::optional("upstreams", "The servers that the gateway calls, by name.", Shape::Named(&UPSTREAMS))
            .absent("none"),
        Key::optional("policies", "The policies that levels name, by name.", Shape::Named(&POLICIES)).absent("none"),
        Key::optional(
            "plans",
            "What consumers of a plan have in place of policies' own numbers.",
            Shape::Named(&PLANS),
        )
        .absent("none"),
        Key::optional("apis", "The APIs that the gateway offers, by name.", Shape::Named(&APIS)).absent("none"),
        Key::optional("values", "What may differ from one environment to another, by name.", Shape::Named(&VALUES))
            .absent("nothing may"),
    ],
    shared: &[FILE],
    // Declarations of values are read before there are values.
    without_values: &["values"],
    ..Object::PLAIN
};

pub(super) static UPSTREAMS: Named = Named { names: &NAME, of: UPSTREAM_OR_URL, max: usize::MAX };
pub(super) static POLICIES: Named = Named { names: &NAME, of: Shape::Tagged(&POLICY), max: usize::MAX };
static APIS: Named = Named { names: &NAME, of: Shape::Object(&API), max: usize::MAX };

/// The root of a file in `policies/`.
pub(crate) static POLICIES_FILE: Object = Object {
    name: "policies-file",
    doc: "Policies of the project in a file of their own, `policies/*.yaml`.",
    keys: &[Key::required("policies", "The policies, by name.", Shape::Named(&POLICIES))],
    shared: &[FILE],
    ..Object::PLAIN
};

static PLANS: Named = Named { names: &NAME, of: Shape::Object(&PLAN), max: usize::MAX };

/// A plan.
pub(crate) static PLAN: Object = Object {
    name: "plan",
    doc: "What consumers of the plan have in place of policies' own numbers; a consumer's plan stands in its credential.",
    keys: &[Key::optional(
        "limits",
        "Other numbers for rate limits, by the policy's name.",
        Shape::Named(&PLAN_LIMITS),
    )
    .absent("the policies' own numbers")
    .examples(&["{\"burst\": {\"rate\": \"1000/s\", \"burst\": 2000}}"])],
    ..Object::PLAIN
};

static PLAN_LIMITS: Named = Named { names: &QUALIFIED_NAME, of: Shape::Object(&PLAN_LIMIT), max: usize::MAX };

/// A plan's numbers for one rate limit.
pub(crate) static PLAN_LIMIT: Object = Object {
    name: "plan-limit",
    doc: "Numbers in place of a rate limit's own; whose requests are counted together stays the policy's.",
    keys: &[
        Key::required("rate", "How many come back in a period.", Shape::Quantity(Quantity::Rate))
            .examples(&["\"1000/s\""]),
        Key::optional("burst", "The most at once after a rest.", Shape::Integer(1, u32::MAX as i64))
            .absent("the count of `rate`")
            .examples(&["2000"]),
    ],
    ..Object::PLAIN
};

/// The root of a file in `plans/`.
pub(crate) static PLANS_FILE: Object = Object {
    name: "plans-file",
    doc: "Plans of the project in a file of their own, `plans/*.yaml`.",
    keys: &[Key::required("plans", "The plans, by name.", Shape::Named(&PLANS))],
    shared: &[FILE],
    ..Object::PLAIN
};

static VALUES: Named = Named { names: &NAME, of: Shape::Tagged(&VALUE), max: usize::MAX };

/// A value as the project declares it; its `type` says what its default is.
pub(crate) static VALUE: Tagged = Tagged { head: &VALUE_HEAD, tag: "type", variants: VALUE_TYPES };

/// A value before its type is known.
pub(crate) static VALUE_HEAD: Object = Object {
    name: "value",
    doc: "What may differ from one environment to another. `${value.NAME}` stands for it, as a whole setting.",
    keys: &[Key::required("type", "What it is.", Shape::Word(TYPES))],
    examples: &["{\"type\": \"url\", \"default\": \"http://localhost:9000\"}"],
    ..Object::PLAIN
};

const TYPES: &[(&str, &str)] = &[
    ("text", "any text; it may hold `${secret.NAME}`"),
    ("url", "the URL of an upstream"),
    ("host", "a host"),
    ("hosts", "a list of hosts"),
    ("duration", "a duration, such as `10s`"),
    ("size", "a size, such as `64KiB`"),
    ("rate", "a rate, such as `100/s`"),
    ("integer", "a whole number"),
    ("boolean", "`true` or `false`"),
    ("list", "a list of texts"),
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

const DESCRIPTION: Key = Key::optional("description", "What it is for.", Shape::Text);

const fn default_of(shape: Shape) -> Key {
    Key::optional("default", "What it is where no environment gives it.", shape)
        .absent("every environment must give it")
}

static VALUE_TEXT: Object = Object {
    name: "text-value",
    doc: "A value that is any text; it may hold `${secret.NAME}`.",
    keys: &[
        Key::required("type", "What it is.", Shape::Word(&[("text", "any text; it may hold `${secret.NAME}`")])),
        default_of(Shape::Text).examples(&["\"some text\""]),
        DESCRIPTION,
    ],
    ..Object::PLAIN
};

static VALUE_URL: Object = Object {
    name: "url-value",
    doc: "A value that is the URL of an upstream.",
    keys: &[
        Key::required("type", "What it is.", Shape::Word(&[("url", "the URL of an upstream")])),
        default_of(Shape::Ruled(&URL)).examples(&["\"http://localhost:9000\""]),
        DESCRIPTION,
    ],
    ..Object::PLAIN
};

static VALUE_HOST: Object = Object {
    name: "host-value",
    doc: "A value that is a host.",
    keys: &[
        Key::required("type", "What it is.", Shape::Word(&[("host", "a host")])),
        default_of(Shape::Ruled(&HOST)).examples(&["\"api.example.com\""]),
        DESCRIPTION,
    ],
    ..Object::PLAIN
};

static VALUE_HOSTS: Object = Object {
    name: "hosts-value",
    doc: "A value that is a list of hosts.",
    keys: &[
        Key::required("type", "What it is.", Shape::Word(&[("hosts", "a list of hosts")])),
        default_of(Shape::List(&HOSTS)).examples(&["[\"api.example.com\"]"]),
        DESCRIPTION,
    ],
    ..Object::PLAIN
};

static VALUE_DURATION: Object = Object {
    name: "duration-value",
    doc: "A value that is a duration, such as `10s`.",
    keys: &[
        Key::required("type", "What it is.", Shape::Word(&[("duration", "a duration, such as `10s`")])),
        default_of(Shape::Quantity(Quantity::Duration)).examples(&["\"10s\""]),
        DESCRIPTION,
    ],
    ..Object::PLAIN
};

static VALUE_SIZE: Object = Object {
    name: "size-value",
    doc: "A value that is a size, such as `64KiB`.",
    keys: &[
        Key::required("type", "What it is.", Shape::Word(&[("size", "a size, such as `64KiB`")])),
        default_of(Shape::Quantity(Quantity::Size)).examples(&["\"64KiB\""]),
        DESCRIPTION,
    ],
    ..Object::PLAIN
};

static VALUE_RATE: Object = Object {
    name: "rate-value",
    doc: "A value that is a rate, such as `100/s`.",
    keys: &[
        Key::required("type", "What it is.", Shape::Word(&[("rate", "a rate, such as `100/s`")])),
        default_of(Shape::Quantity(Quantity::Rate)).examples(&["\"100/s\""]),
        DESCRIPTION,
    ],
    ..Object::PLAIN
};

static VALUE_INTEGER: Object = Object {
    name: "integer-value",
    doc: "A value that is a whole number.",
    keys: &[
        Key::required("type", "What it is.", Shape::Word(&[("integer", "a whole number")])),
        default_of(Shape::Integer(0, u32::MAX as i64)).examples(&["5"]),
        DESCRIPTION,
    ],
    ..Object::PLAIN
};

static VALUE_BOOLEAN: Object = Object {
    name: "boolean-value",
    doc: "A value that is `true` or `false`.",
    keys: &[
        Key::required("type", "What it is.", Shape::Word(&[("boolean", "`true` or `false`")])),
        default_of(Shape::Boolean).examples(&["true"]),
        DESCRIPTION,
    ],
    ..Object::PLAIN
};

static VALUE_LIST: Object = Object {
    name: "list-value",
    doc: "A value that is a list of texts.",
    keys: &[
        Key::required("type", "What it is.", Shape::Word(&[("list", "a list of texts")])),
        default_of(Shape::List(&TEXTS)).examples(&["[\"a\", \"b\"]"]),
        DESCRIPTION,
    ],
    ..Object::PLAIN
};

static TEXTS: List = List::of(Shape::Text);

/// The root of `env/NAME.yaml`.
pub(crate) static ENVIRONMENT_FILE: Object = Object {
    name: "environment-file",
    doc: "What an environment gives for the values that the project declares, `env/NAME.yaml`; chosen by `--env NAME`.",
    keys: &[Key::required("values", "The values, by name.", Shape::Named(&GIVEN))
        .examples(&["{\"pets-url\": \"https://pets.internal:8443\"}"])],
    shared: &[FILE],
    ..Object::PLAIN
};

static GIVEN: Named = Named { names: &NAME, of: Shape::Anything, max: usize::MAX };

/// `gateway:`.
pub(crate) static GATEWAY: Object = Object {
    name: "gateway",
    doc: "What holds for the gateway as a whole, and the highest of the three levels.",
    keys: &[
        Key::required("name", "The gateway's name; all its records' keys begin with it.", Shape::Ruled(&GATEWAY_NAME))
            .examples(&["\"acme\""]),
        Key::optional("hosts", "The hosts it answers on.", Shape::List(&HOSTS))
            .default("[\"*\"]")
            .examples(&["[\"api.example.com\"]"]),
        Key::optional(
            "internal-hosts",
            "The hosts that answer only callers inside; internal routes answer on no others.",
            Shape::List(&HOSTS),
        )
        .absent("none")
        .examples(&["[\"ops.internal\"]"]),
        Key::optional("connect-timeout", "The time for a connection to an upstream.", Shape::Quantity(Quantity::Time))
            .default("\"5s\""),
        Key::optional(
            "trust-forwarded",
            "Whether `Forwarded` and `X-Forwarded-*` that clients send are believed.",
            Shape::Boolean,
        )
        .default("false"),
        Key::optional(
            "target",
            "The platforms it is meant for. A configuration with which a request can pass their limits is refused.",
            Shape::AnyOf(&[Shape::Word(TARGETS), Shape::List(&TARGET_LIST)]),
        )
        .absent("no platform's limits are looked at")
        .examples(&["\"workers-free\"", "[\"workers-paid\", \"native\"]"]),
    ],
    shared: &[LEVEL],
    ..Object::PLAIN
};

const TARGETS: &[(&str, &str)] = &[
    ("workers-free", "Cloudflare Workers, the free plan"),
    ("workers-paid", "Cloudflare Workers, the paid plan with its default limits"),
    ("spin", "Spin"),
    ("native", "`tollgate serve`, which has no limits of its own"),
];

static TARGET_LIST: List = List::of(Shape::Word(TARGETS));

/// Hosts of the gateway or of an API.
pub(super) static HOSTS: List = List::some_texts(Shape::Ruled(&HOST), HOSTS_MAX);

/// `telemetry:`.
pub(crate) static TELEMETRY: Object = Object {
    name: "telemetry",
    doc: "What the gateway tells about its exchanges.",
    keys: &[
        Key::optional("log", "Whether each exchange is one structured line.", Shape::Boolean).default("true"),
        Key::optional("otlp", "Where logs, metrics and spans are sent.", Shape::Object(&OTLP)).absent("no export"),
    ],
    ..Object::PLAIN
};

/// `telemetry.otlp:`.
pub(crate) static OTLP: Object = Object {
    name: "otlp",
    doc: "Export by OTLP/HTTP.",
    keys: &[
        Key::required("endpoint", "The base URL of a receiver.", Shape::Ruled(&URL))
            .examples(&["\"https://otel.example.com\""]),
        Key::optional("headers", "Header fields that are set on every export; secrets are allowed.", HEADERS)
            .absent("none"),
        Key::optional(
            "interval",
            "How long exchanges are gathered before they are sent.",
            Shape::Quantity(Quantity::Time),
        )
        .default("\"1s\""),
    ],
    ..Object::PLAIN
};
