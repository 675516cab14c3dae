//! The invariants of a test file.

use crate::schema::texts::{ID, METHOD, NAME};
use crate::schema::{Key, List, Object, Quantity, Rule, Shape};

/// An invariant.
pub(crate) static INVARIANT: Object = Object {
    name: "invariant",
    doc: "A rule for routes. It is proved, or a request that violates it is reported.",
    keys: &[
        Key::optional("name", "The name in reports.", Shape::Text).absent("a description of the rule"),
        Key::optional("routes", "The routes to which the rule applies.", SELECTION).default("\"all\""),
        Key::optional("have", "What each of these routes must have.", Shape::List(&REQUIREMENTS))
            .absent("nothing")
            .examples(&["[\"authn\", \"limit\"]"]),
        Key::optional("not", "What none of these routes may have.", Shape::List(&REQUIREMENTS)).absent("nothing"),
        Key::optional(
            "may-be-empty",
            "Whether the rule passes if it applies to no route. Otherwise that is a failure, because nothing was proved.",
            Shape::Boolean,
        )
        .default("false"),
    ],
    examples: &["{\"routes\": {\"method\": [\"POST\", \"PUT\", \"DELETE\"]}, \"have\": [\"authn\", \"limit\"]}"],
    rules: &[Rule::SomeOf(&["have", "not"])],
    ..Object::PLAIN
};

const SELECTION: Shape = Shape::AnyOf(&[Shape::Object(&ROUTE_SELECTION), Shape::Word(&[("all", "every route")])]);

static REQUIREMENTS: List = List::of(Shape::AnyOf(&[Shape::Word(WORDS), Shape::Object(&REQUIREMENT)]));

const WORDS: &[(&str, &str)] = &[
    ("authn", "a policy authenticates callers"),
    ("scopes", "the credential must have a scope"),
    ("guard", "a policy checks requests before callers are authenticated"),
    ("authz", "a policy decides what authenticated callers may do, and may refuse requests of the route"),
    ("limit", "a policy in `guard` or `limit` limits requests"),
    ("cache", "responses are cached"),
    ("timeout", "the exchange with the upstream has a time limit"),
    ("internal", "the route is only for internal callers"),
];

/// A requirement with a name or a number.
pub(crate) static REQUIREMENT: Object = Object {
    name: "requirement",
    doc: "A policy of the route, or a maximum of one of its settings.",
    keys: &[
        Key::optional("policy", "The name of a policy that applies to the route.", Shape::Ruled(&NAME)).absent("any"),
        Key::optional("timeout-at-most", "The maximum of the route's time limit.", Shape::Quantity(Quantity::Time))
            .absent("any"),
        Key::optional(
            "body-limit-at-most",
            "The maximum of the route's `body-limit`.",
            Shape::Quantity(Quantity::Size),
        )
        .absent("any"),
    ],
    rules: &[Rule::OneOf(&["policy", "timeout-at-most", "body-limit-at-most"])],
    examples: &["{\"policy\": \"partner-keys\"}", "{\"timeout-at-most\": \"10s\"}"],
    ..Object::PLAIN
};

/// The selection of routes of an invariant.
pub(crate) static ROUTE_SELECTION: Object = Object {
    name: "route-selection",
    doc: "Selects the routes that meet all conditions.",
    keys: &[
        Key::optional("method", "Routes that accept one of these methods.", METHODS).absent("any"),
        Key::optional("host", "Routes on this host, or on hosts that match this pattern.", Shape::Text).absent("any"),
        Key::optional("path", "Routes with this path; `*` matches any text.", Shape::Text).absent("any"),
        Key::optional("api", "Routes of this API.", Shape::Ruled(&NAME)).absent("any"),
        Key::optional("tag", "Routes of operations with this tag.", Shape::Text).absent("any"),
        Key::optional("id", "The route with this id.", Shape::Ruled(&ID)).absent("any"),
        Key::optional("upstream", "Routes that forward to this upstream.", Shape::Ruled(&NAME)).absent("any"),
        Key::optional("internal", "Whether the routes are only for internal callers.", Shape::Boolean).absent("any"),
    ],
    ..Object::PLAIN
};

const METHODS: Shape = Shape::AnyOf(&[Shape::Ruled(&METHOD), Shape::List(&METHOD_LIST)]);
static METHOD_LIST: List = List::of(Shape::Ruled(&METHOD));
