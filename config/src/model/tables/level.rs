//! The keys of each of the three levels: gateway, API, route.

use super::upstream::{AUTH_STATEMENT, IDENTITY_STATEMENT};
use crate::model::level::{POLICIES_MAX, QUERY_MAX, VARY_MAX};
use crate::schema::texts::{FIELD, NAME, QUERY_PARAMETER, URL};
use crate::schema::{Key, List, Object, Quantity, Rule, Shape};

/// The keys of the levels. The settings of a lower level are merged into those of the higher levels.
pub(crate) const LEVEL: &[Key] = &[
    Key::optional(
        "guard",
        "Policies that are checked before the caller is authenticated; all of them must accept the request. Rate limits by \
         address are allowed here. Lists of lower levels are added to those of higher levels. `none` removes all guards.",
        GUARD_STATEMENT,
    )
    .absent("the setting of the higher level")
    .examples(&["\"office-only\"", "[\"office-only\", \"by-address\"]", "{\"use\": [\"office-only\"], \"locked\": true}"]),
    Key::optional(
        "authn",
        "Policies that authenticate the caller; one of them must accept the caller, and of those in `all` every one. Lists of \
         lower levels are added to those of higher levels. `none` makes the route public.",
        AUTHN_STATEMENT,
    )
    .absent("the setting of the higher level; if no level sets it, the route is public and a warning is reported")
    .examples(&["\"partner-keys\"", "[\"partner-keys\", \"staff\"]", "{\"any\": [\"staff\"], \"replace\": true}", "{\"all\": [\"partner-keys\", \"signature\"]}", "\"none\""]),
    Key::optional(
        "authz",
        "Policies that decide what an authenticated caller may do; all of them must accept the request. Lists of lower levels \
         are added to those of higher levels. `none` removes all of them.",
        AUTHZ_STATEMENT,
    )
    .absent("the setting of the higher level")
    .examples(&["\"staff-only\"", "[\"staff-only\", \"office-hours\"]", "{\"use\": [\"staff-only\"], \"locked\": true}"]),
    Key::optional(
        "limit",
        "Policies that limit requests; all of them are charged. Lists of lower levels are added to those of higher levels. \
         `none` removes all limits.",
        LIMIT_STATEMENT,
    )
    .absent("the setting of the higher level")
    .examples(&["\"burst\"", "[\"burst\", \"monthly\"]", "{\"use\": [\"burst\"], \"replace\": true}", "\"none\""]),
    Key::optional(
        "limit-fields",
        "Fields of responses that tell clients of their limits, beside `RateLimit-Policy` and `RateLimit`: those of the limit that \
         decides. What an upstream writes in fields of these names is replaced.",
        Shape::Word(LIMIT_FIELDS),
    )
    .absent("the setting of the higher level; `standard` if no level sets it")
    .examples(&["\"x-ratelimit\""]),
    Key::optional(
        "help",
        "The URL of a page on which clients that a limit refuses can read on: the member `help` of the problem, and the field `Link`. \
         `none` for no page.",
        HELP,
    )
    .absent("the setting of the higher level")
    .examples(&["\"https://docs.example.com/limits\"", "\"none\""]),
    Key::optional(
        "cache",
        "How responses to `GET` and `HEAD` are cached. Keys of lower levels override those of higher levels, and the other keys \
         remain. `none` disables caching.",
        CACHE_STATEMENT,
    )
    .absent("the setting of the higher level")
    .examples(&["{\"ttl\": \"10m\"}", "{}", "\"none\""]),
    Key::optional(
        "timeout",
        "The time limit for an exchange with an upstream, including the content (on Workers only until the header of the \
         response is received). `none` disables the limit, for endless streams.",
        TIMEOUT_STATEMENT,
    )
    .absent("the setting of the higher level; `30s` if no level sets it")
    .examples(&["\"10s\"", "\"none\"", "{\"value\": \"10s\", \"locked\": true}"]),
    Key::optional("body-limit", "The maximum size of a request's content.", SIZE_STATEMENT)
        .absent("the setting of the higher level; `10MiB` if no level sets it")
        .examples(&["\"64KiB\"", "{\"value\": \"1MiB\", \"locked\": true}"]),
    Key::optional(
        "identity",
        "Header fields that tell the upstream who the caller is. What clients send in these fields is never forwarded. The \
         mapping of the nearest level applies as a whole; that of an upstream is above those of APIs. `none` tells nothing.",
        IDENTITY_STATEMENT,
    )
    .absent("the setting of the higher level")
    .examples(&["{\"X-Consumer\": \"consumer\", \"X-Email\": \"claims.email\"}", "\"none\""]),
    Key::optional(
        "upstream-auth",
        "How the gateway authenticates itself to the upstream. The nearest level applies; `auth` of an upstream is above those of \
         APIs. `none`: not at all.",
        AUTH_STATEMENT,
    )
    .absent("the setting of the higher level"),
];

const AUTHN_STATEMENT: Shape =
    Shape::AnyOf(&[Shape::Ruled(&NAME), Shape::List(&ALTERNATIVES), Shape::Object(&AUTHN), Shape::Word(EVERYBODY)]);

const GUARD_STATEMENT: Shape =
    Shape::AnyOf(&[Shape::Ruled(&NAME), Shape::List(&POLICIES), Shape::Object(&GUARD), Shape::Word(NO_GUARD)]);

const AUTHZ_STATEMENT: Shape =
    Shape::AnyOf(&[Shape::Ruled(&NAME), Shape::List(&POLICIES), Shape::Object(&AUTHZ), Shape::Word(NO_AUTHZ)]);

const LIMIT_STATEMENT: Shape =
    Shape::AnyOf(&[Shape::Ruled(&NAME), Shape::List(&POLICIES), Shape::Object(&LIMIT), Shape::Word(NO_LIMIT)]);

const HELP: Shape = Shape::AnyOf(&[Shape::Ruled(&URL), Shape::Word(NO_HELP)]);

const LIMIT_FIELDS: &[(&str, &str)] = &[
    ("standard", "no others"),
    ("x-ratelimit", "`X-RateLimit-Limit`, `X-RateLimit-Remaining`, `X-RateLimit-Reset`; the reset in seconds from now"),
    ("x-ratelimit-unix", "the same; the reset in seconds since 1970"),
    ("draft-03", "`RateLimit-Limit`, `RateLimit-Remaining`, `RateLimit-Reset`; the reset in seconds from now"),
];

const CACHE_STATEMENT: Shape = Shape::AnyOf(&[Shape::Object(&CACHE), Shape::Word(NO_CACHE)]);

const TIMEOUT_STATEMENT: Shape =
    Shape::AnyOf(&[Shape::Quantity(Quantity::Time), Shape::Object(&LOCKABLE_TIMEOUT), Shape::Word(UNBOUNDED)]);

const SIZE_STATEMENT: Shape = Shape::AnyOf(&[Shape::Quantity(Quantity::Size), Shape::Object(&LOCKABLE_SIZE)]);

/// A time limit, or none.
pub(crate) const TIMEOUT: Shape = Shape::AnyOf(&[Shape::Quantity(Quantity::Time), Shape::Word(UNBOUNDED)]);

const UNBOUNDED: &[(&str, &str)] = &[("none", "no time limit")];
const EVERYBODY: &[(&str, &str)] = &[("none", "no authentication: everyone may call")];
const NO_GUARD: &[(&str, &str)] = &[("none", "no guards, not even those of higher levels")];
const NO_AUTHZ: &[(&str, &str)] = &[("none", "every authenticated caller is authorized, whatever higher levels list")];
const NO_LIMIT: &[(&str, &str)] = &[("none", "no limits, not even those of higher levels")];
const NO_HELP: &[(&str, &str)] = &[("none", "no page, not even that of higher levels")];
const NO_CACHE: &[(&str, &str)] = &[("none", "nothing is cached")];

static POLICIES: List = List::some_texts(Shape::Ruled(&NAME), POLICIES_MAX);

static ALTERNATIVES: List =
    List::some_texts(Shape::AnyOf(&[Shape::Ruled(&NAME), Shape::Object(&TOGETHER)]), POLICIES_MAX);

const REPLACE_LIST: Key = Key::optional(
    "replace",
    "`true`: the list replaces those of higher levels. `false`: the list is added to them, without a warning.",
    Shape::Boolean,
)
.absent("the list is added; for `authn` with a warning if more callers are accepted than it lists");

const LOCKED: Key =
    Key::optional("locked", "Whether lower levels must not override it.", Shape::Boolean).default("false");

/// `timeout` as a mapping.
pub(crate) static LOCKABLE_TIMEOUT: Object = Object {
    name: "lockable-timeout",
    doc: "A time limit that can be locked against changes by lower levels.",
    keys: &[Key::required("value", "The time limit.", TIMEOUT).examples(&["\"10s\""]), LOCKED],
    ..Object::PLAIN
};

/// `body-limit` as a mapping.
pub(crate) static LOCKABLE_SIZE: Object = Object {
    name: "lockable-size",
    doc: "A size that can be locked against changes by lower levels.",
    keys: &[Key::required("value", "The size.", Shape::Quantity(Quantity::Size)).examples(&["\"1MiB\""]), LOCKED],
    ..Object::PLAIN
};

/// `authn` as a mapping.
pub(crate) static AUTHN: Object = Object {
    name: "authn",
    doc: "The policies of `authn` as a mapping, with options.",
    keys: &[
        Key::optional("any", "Policies of which one must accept the caller.", Shape::List(&ALTERNATIVES))
            .examples(&["[\"partner-keys\", \"staff\"]", "[\"staff\", {\"all\": [\"partner-keys\", \"signature\"]}]"]),
        Key::optional(
            "optional",
            "Policies of which one must accept the caller, unless the request presents no credential to any of them: then the \
             caller is anonymous. A wrong credential is refused.",
            Shape::List(&ALTERNATIVES),
        )
        .examples(&["[\"partner-keys\", \"staff\"]"]),
        Key::optional("all", "Policies that must all accept the caller.", Shape::List(&POLICIES))
            .examples(&["[\"partner-keys\", \"signature\"]"]),
        REPLACE_LIST,
        Key::optional("locked", "Whether lower levels must not replace the list or add to it.", Shape::Boolean)
            .default("false"),
    ],
    rules: &[Rule::OneOf(&["any", "optional", "all"])],
    ..Object::PLAIN
};

/// A group of policies in `authn`.
pub(crate) static TOGETHER: Object = Object {
    name: "authn-together",
    doc: "A group of policies, as one alternative in `authn`. All of them must accept the caller.",
    keys: &[
        Key::required("all", "The policies.", Shape::List(&POLICIES)).examples(&["[\"partner-keys\", \"signature\"]"])
    ],
    ..Object::PLAIN
};

/// `guard` as a mapping.
pub(crate) static GUARD: Object = Object {
    name: "guard",
    doc: "The policies of `guard` as a mapping, with options.",
    keys: &[
        Key::required("use", "Policies that must all accept the request.", Shape::List(&POLICIES))
            .examples(&["[\"office-only\"]"]),
        REPLACE_LIST,
        Key::optional("locked", "Whether lower levels must not replace the list; they may add to it.", Shape::Boolean)
            .default("false"),
    ],
    ..Object::PLAIN
};

/// `authz` as a mapping.
pub(crate) static AUTHZ: Object = Object {
    name: "authz",
    doc: "The policies of `authz` as a mapping, with options.",
    keys: &[
        Key::required("use", "Policies that must all accept the request.", Shape::List(&POLICIES))
            .examples(&["[\"staff-only\"]"]),
        REPLACE_LIST,
        Key::optional("locked", "Whether lower levels must not replace the list; they may add to it.", Shape::Boolean)
            .default("false"),
    ],
    ..Object::PLAIN
};

/// `limit` as a mapping.
pub(crate) static LIMIT: Object = Object {
    name: "limit",
    doc: "The policies of `limit` as a mapping, with options.",
    keys: &[
        Key::required("use", "Policies that are all charged.", Shape::List(&POLICIES)).examples(&["[\"burst\"]"]),
        REPLACE_LIST,
        Key::optional("locked", "Whether lower levels must not replace the list; they may add to it.", Shape::Boolean)
            .default("false"),
    ],
    ..Object::PLAIN
};

/// `cache` as a mapping.
pub(crate) static CACHE: Object = Object {
    name: "cache",
    doc: "How responses to `GET` and `HEAD` are cached. `{}` caches what the upstream's `Cache-Control` allows.",
    keys: &[
        Key::optional(
            "ttl",
            "How long a response is fresh. `no-store` and `private` of the upstream still apply.",
            Shape::Quantity(Quantity::Duration),
        )
        .absent("the freshness lifetime that the upstream's response declares")
        .examples(&["\"10m\""]),
        Key::optional(
            "vary",
            "Request fields in the cache key, in addition to those in the `Vary` field of the upstream's response.",
            Shape::List(&VARY),
        )
        .absent("none")
        .examples(&["[\"Accept-Language\"]"]),
        Key::optional(
            "key-query",
            "The query parameters in the cache key, with which alone GET and HEAD are forwarded; `[]` for none.",
            Shape::List(&KEY_QUERY),
        )
        .absent("the whole query")
        .examples(&["[\"page\", \"q\"]", "[]"]),
        Key::optional(
            "with-credentials",
            "Whether responses to requests with credentials are stored, and for whom.",
            Shape::Word(CREDENTIALS),
        )
        .default("\"never\""),
        Key::optional("replace", "Whether the `cache` settings of higher levels are ignored.", Shape::Boolean)
            .default("false"),
        Key::optional(
            "locked",
            "Whether lower levels must not set these keys again or disable caching.",
            Shape::Boolean,
        )
        .default("false"),
    ],
    ..Object::PLAIN
};

static VARY: List = List::texts(Shape::Ruled(&FIELD), VARY_MAX);
static KEY_QUERY: List = List::texts(Shape::Ruled(&QUERY_PARAMETER), QUERY_MAX);

const CREDENTIALS: &[(&str, &str)] = &[
    ("never", "responses are not stored"),
    ("per-consumer", "responses are stored separately for each consumer"),
    ("shared", "all consumers share the stored responses"),
];
