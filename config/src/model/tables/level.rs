//! What can be said at each of the three levels: gateway, API, route.

use crate::model::level::{POLICIES_MAX, QUERY_MAX, VARY_MAX};
use crate::schema::texts::{FIELD, NAME, QUERY_PARAMETER};
use crate::schema::{Key, List, Object, Quantity, Rule, Shape};

/// The keys of the levels; a lower level's are merged into the higher one's.
pub(crate) const LEVEL: &[Key] = &[
    Key::optional(
        "guard",
        "What is checked before the caller is authenticated: all the policies must let the request pass; rate limits by \
         address can be among them. Lists of lower levels add to those of higher ones. `none` lifts all guards.",
        GUARD_STATEMENT,
    )
    .absent("what the higher level says")
    .examples(&["\"office-only\"", "[\"office-only\", \"by-address\"]", "{\"use\": [\"office-only\"], \"locked\": true}"]),
    Key::optional(
        "authn",
        "Who may call: one of the policies must let the caller in; of those in `all`, every one. Lists of lower levels add \
         to those of higher ones. `none` lets everybody call.",
        AUTHN_STATEMENT,
    )
    .absent("what the higher level says; a route about which no level says it is public, and warned of")
    .examples(&["\"partner-keys\"", "[\"partner-keys\", \"staff\"]", "{\"any\": [\"staff\"], \"replace\": true}", "{\"all\": [\"partner-keys\", \"signature\"]}", "\"none\""]),
    Key::optional(
        "limit",
        "How often: all the policies are charged. Lists of lower levels add to those of higher ones. `none` lifts all limits.",
        LIMIT_STATEMENT,
    )
    .absent("what the higher level says")
    .examples(&["\"burst\"", "[\"burst\", \"monthly\"]", "{\"use\": [\"burst\"], \"replace\": true}", "\"none\""]),
    Key::optional(
        "cache",
        "How responses to `GET` and `HEAD` are cached. Keys of lower levels count, the others stay. `none` turns it off.",
        CACHE_STATEMENT,
    )
    .absent("what the higher level says")
    .examples(&["{\"ttl\": \"10m\"}", "{}", "\"none\""]),
    Key::optional(
        "timeout",
        "The total time of an exchange with an upstream, content included (on Workers up to the head of the response). \
         `none` is for streams without an end.",
        TIMEOUT_STATEMENT,
    )
    .absent("what the higher level says; `30s` where no level says it")
    .examples(&["\"10s\"", "\"none\"", "{\"value\": \"10s\", \"locked\": true}"]),
    Key::optional("body-limit", "The largest content of a request.", SIZE_STATEMENT)
        .absent("what the higher level says; `10MiB` where no level says it")
        .examples(&["\"64KiB\"", "{\"value\": \"1MiB\", \"locked\": true}"]),
];

const AUTHN_STATEMENT: Shape =
    Shape::AnyOf(&[Shape::Ruled(&NAME), Shape::List(&ALTERNATIVES), Shape::Object(&AUTHN), Shape::Word(EVERYBODY)]);

const GUARD_STATEMENT: Shape =
    Shape::AnyOf(&[Shape::Ruled(&NAME), Shape::List(&POLICIES), Shape::Object(&GUARD), Shape::Word(NO_GUARD)]);

const LIMIT_STATEMENT: Shape =
    Shape::AnyOf(&[Shape::Ruled(&NAME), Shape::List(&POLICIES), Shape::Object(&LIMIT), Shape::Word(NO_LIMIT)]);

const CACHE_STATEMENT: Shape = Shape::AnyOf(&[Shape::Object(&CACHE), Shape::Word(NO_CACHE)]);

const TIMEOUT_STATEMENT: Shape =
    Shape::AnyOf(&[Shape::Quantity(Quantity::Time), Shape::Object(&LOCKABLE_TIMEOUT), Shape::Word(UNBOUNDED)]);

const SIZE_STATEMENT: Shape = Shape::AnyOf(&[Shape::Quantity(Quantity::Size), Shape::Object(&LOCKABLE_SIZE)]);

/// A time limit, or that there is none.
pub(crate) const TIMEOUT: Shape = Shape::AnyOf(&[Shape::Quantity(Quantity::Time), Shape::Word(UNBOUNDED)]);

const UNBOUNDED: &[(&str, &str)] = &[("none", "no limit")];
const EVERYBODY: &[(&str, &str)] = &[("none", "everybody may call")];
const NO_GUARD: &[(&str, &str)] = &[("none", "no guards, those of higher levels included")];
const NO_LIMIT: &[(&str, &str)] = &[("none", "no limits, those of higher levels included")];
const NO_CACHE: &[(&str, &str)] = &[("none", "nothing is cached")];

static POLICIES: List = List::some_texts(Shape::Ruled(&NAME), POLICIES_MAX);

static ALTERNATIVES: List =
    List::some_texts(Shape::AnyOf(&[Shape::Ruled(&NAME), Shape::Object(&TOGETHER)]), POLICIES_MAX);

const REPLACE_LIST: Key = Key::optional(
    "replace",
    "`true`: the list takes the place of the higher levels' lists. `false`: adding to them is meant.",
    Shape::Boolean,
)
.absent("the list is added; for `authn` with a warning where it lets more callers in");

const LOCKED: Key =
    Key::optional("locked", "Whether lower levels may not override it.", Shape::Boolean).default("false");

/// `timeout` as a mapping.
pub(crate) static LOCKABLE_TIMEOUT: Object = Object {
    name: "lockable-timeout",
    doc: "A time limit that lower levels may not override.",
    keys: &[Key::required("value", "The time limit.", TIMEOUT).examples(&["\"10s\""]), LOCKED],
    ..Object::PLAIN
};

/// `body-limit` as a mapping.
pub(crate) static LOCKABLE_SIZE: Object = Object {
    name: "lockable-size",
    doc: "A size that lower levels may not override.",
    keys: &[Key::required("value", "The size.", Shape::Quantity(Quantity::Size)).examples(&["\"1MiB\""]), LOCKED],
    ..Object::PLAIN
};

/// `authn` as a mapping.
pub(crate) static AUTHN: Object = Object {
    name: "authn",
    doc: "Who may call, written out.",
    keys: &[
        Key::optional("any", "Policies of which one must let the caller in.", Shape::List(&ALTERNATIVES))
            .examples(&["[\"partner-keys\", \"staff\"]", "[\"staff\", {\"all\": [\"partner-keys\", \"signature\"]}]"]),
        Key::optional("all", "Policies that must all let the caller in.", Shape::List(&POLICIES))
            .examples(&["[\"partner-keys\", \"signature\"]"]),
        REPLACE_LIST,
        Key::optional("locked", "Whether lower levels may neither replace the list nor add to it.", Shape::Boolean)
            .default("false"),
    ],
    rules: &[Rule::OneOf(&["any", "all"])],
    ..Object::PLAIN
};

/// Policies of `authn` that count as one.
pub(crate) static TOGETHER: Object = Object {
    name: "authn-together",
    doc: "Policies that must all let the caller in, as one of the ways to be let in.",
    keys: &[
        Key::required("all", "The policies.", Shape::List(&POLICIES)).examples(&["[\"partner-keys\", \"signature\"]"])
    ],
    ..Object::PLAIN
};

/// `guard` as a mapping.
pub(crate) static GUARD: Object = Object {
    name: "guard",
    doc: "What is checked before the caller is authenticated, written out.",
    keys: &[
        Key::required("use", "Policies that must all let the request pass.", Shape::List(&POLICIES))
            .examples(&["[\"office-only\"]"]),
        REPLACE_LIST,
        Key::optional("locked", "Whether lower levels may add to the list, but not replace it.", Shape::Boolean)
            .default("false"),
    ],
    ..Object::PLAIN
};

/// `limit` as a mapping.
pub(crate) static LIMIT: Object = Object {
    name: "limit",
    doc: "How often, written out.",
    keys: &[
        Key::required("use", "Policies that are all charged.", Shape::List(&POLICIES)).examples(&["[\"burst\"]"]),
        REPLACE_LIST,
        Key::optional("locked", "Whether lower levels may add to the list, but not replace it.", Shape::Boolean)
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
            "How long a response is fresh; an upstream's `no-store` and `private` are obeyed all the same.",
            Shape::Quantity(Quantity::Duration),
        )
        .absent("what the upstream says")
        .examples(&["\"10m\""]),
        Key::optional(
            "vary",
            "Request fields that belong to the key of a stored response, beside those the upstream's `Vary` names.",
            Shape::List(&VARY),
        )
        .absent("none")
        .examples(&["[\"Accept-Language\"]"]),
        Key::optional(
            "key-query",
            "The query parameters that belong to the key of a stored response; `[]` for none of them.",
            Shape::List(&KEY_QUERY),
        )
        .absent("the whole query")
        .examples(&["[\"page\", \"q\"]", "[]"]),
        Key::optional(
            "with-credentials",
            "What becomes of responses to requests with credentials.",
            Shape::Word(CREDENTIALS),
        )
        .default("\"never\""),
        Key::optional("replace", "Whether what higher levels say about caching is forgotten.", Shape::Boolean)
            .default("false"),
        Key::optional(
            "locked",
            "Whether lower levels may neither say these keys again nor turn caching off.",
            Shape::Boolean,
        )
        .default("false"),
    ],
    ..Object::PLAIN
};

static VARY: List = List::texts(Shape::Ruled(&FIELD), VARY_MAX);
static KEY_QUERY: List = List::texts(Shape::Ruled(&QUERY_PARAMETER), QUERY_MAX);

const CREDENTIALS: &[(&str, &str)] = &[
    ("never", "they are not stored"),
    ("per-consumer", "each consumer has stored responses of its own"),
    ("shared", "all consumers share them"),
];
