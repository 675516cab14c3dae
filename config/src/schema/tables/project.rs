//! `tollgate.yaml`.

use super::FILE;
use super::api::API;
use super::level::LEVEL;
use super::policy::POLICY;
use super::texts::{GATEWAY_NAME, HOST, NAME, URL};
use super::upstream::{HEADERS, UPSTREAM_OR_URL};
use crate::model::api::HOSTS_MAX;
use crate::schema::{Key, List, Named, Object, Quantity, Shape};

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
        Key::optional("apis", "The APIs that the gateway offers, by name.", Shape::Named(&APIS)).absent("none"),
    ],
    shared: &[FILE],
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
