//! `apis:` and their routes.

use super::FILE;
use super::level::LEVEL;
use super::project::{HOSTS, POLICIES, UPSTREAMS};
use crate::model::api::{COST_MAX, METHODS_MAX, OVERLAYS_MAX, SCOPES_MAX};
use crate::model::when::{ASKED_MAX, VALUES_MAX};
use crate::schema::texts::{BASE, FIELD, ID, METHOD, NAME, PATH, QUERY_PARAMETER, SCOPE};
use crate::schema::{Key, List, Named, Object, Rule, Shape};

/// An API.
pub(crate) static API: Object = Object {
    name: "api",
    doc: "What the gateway offers under one base path, and the middle one of the three levels.",
    shared: &[API_KEYS, LEVEL],
    rules: API_RULES,
    ..Object::PLAIN
};

const API_RULES: &[Rule] =
    &[Rule::SomeOf(&["routes", "spec"]), Rule::Needs("overlays", "spec"), Rule::Needs("operations", "spec")];

static OVERLAYS: List = List::texts(Shape::Text, OVERLAYS_MAX);
static OPERATIONS: List = List::of(Shape::Object(&OPERATION));

const API_KEYS: &[Key] = &[
    Key::optional("hosts", "The hosts it answers on, within the gateway's.", Shape::List(&HOSTS))
        .absent("the gateway's")
        .examples(&["[\"api.example.com\"]"]),
    Key::optional("base", "What all its paths begin with.", Shape::Ruled(&BASE))
        .absent("nothing")
        .examples(&["\"/pets/v1\""]),
    Key::required("upstream", "The upstream that is called, by name.", Shape::Ruled(&NAME)).examples(&["\"pets\""]),
    Key::optional("strip-base", "Whether `base` is taken off the paths that the upstream sees.", Shape::Boolean)
        .default("true"),
    Key::optional(
        "internal",
        "Whether it is for callers inside only: it then answers on the gateway's internal hosts alone.",
        Shape::Boolean,
    )
    .default("false"),
    Key::optional(
        "spec",
        "An OpenAPI document (3.0 or 3.1, YAML or JSON) whose operations become routes, relative to this file.",
        Shape::Text,
    )
    .examples(&["\"./openapi.yaml\""]),
    Key::optional(
        "overlays",
        "Overlays (1.0) that are applied to the document, in this order; their files and the document stay untouched.",
        Shape::List(&OVERLAYS),
    )
    .absent("none")
    .examples(&["[\"./public.overlay.yaml\"]"]),
    Key::optional("operations", "What is said of single operations of the document.", Shape::List(&OPERATIONS))
        .absent("nothing"),
    Key::optional("routes", "What it answers; anything else is refused.", Shape::List(&ROUTES)).absent("none"),
];

/// The root of `apis/NAME/api.yaml`.
pub(crate) static API_FILE: Object = Object {
    name: "api-file",
    doc: "An API in a file of its own, `apis/NAME/api.yaml`; the folder's name is the API's.",
    keys: &[
        Key::optional("upstreams", "Upstreams that only this API sees, by name.", Shape::Named(&UPSTREAMS))
            .absent("none"),
        Key::optional("policies", "Policies that only this API sees, by name.", Shape::Named(&POLICIES)).absent("none"),
    ],
    shared: &[API_KEYS, LEVEL, FILE],
    rules: API_RULES,
    ..Object::PLAIN
};

static ROUTES: List = List::of(Shape::Object(&ROUTE));

/// A route.
pub(crate) static ROUTE: Object = Object {
    name: "route",
    doc: "Requests that are answered, by path and method, and the lowest of the three levels. The most specific route wins, \
          whatever the order.",
    keys: &[
        Key::required("path", "The path, after the API's `base`.", Shape::Ruled(&PATH))
            .examples(&["\"/pets/{id}\"", "\"/assets/{*rest}\""]),
        Key::optional("methods", "The methods.", Shape::List(&METHODS)).absent("all methods").examples(&["[\"GET\"]"]),
        Key::optional("when", "What else a request must have to take it.", Shape::Object(&WHEN))
            .examples(&["{\"header\": {\"X-Version\": \"2\"}}"]),
        Key::optional("id", "Its name in logs, metrics and traces, after the API's.", Shape::Ruled(&ID))
            .absent("made of methods and path")
            .examples(&["\"listPets\""]),
        Key::optional("scopes", "What the credential must have been granted, all of it.", Shape::List(&SCOPES))
            .absent("none")
            .examples(&["[\"pets.read\"]"]),
        Key::optional("cost", "What one request takes from each limit.", Shape::Integer(1, COST_MAX as i64))
            .default("1"),
        Key::optional(
            "internal",
            "Whether it is for callers inside only: it then answers on the gateway's internal hosts alone.",
            Shape::Boolean,
        )
        .absent("the API's"),
    ],
    shared: &[LEVEL],
    examples: &["{\"path\": \"/pets/{id}\", \"methods\": [\"GET\"], \"id\": \"getPet\"}"],
    ..Object::PLAIN
};

/// An entry of `operations:`.
pub(crate) static OPERATION: Object = Object {
    name: "operation",
    doc: "What is said of operations of a specification. Where several entries select one operation, they apply by how \
          specific they are, whatever the order: a tag, then a path, then the operation; with a method after without one.",
    keys: &[Key::required("select", "The operations that are meant.", Shape::Object(&SELECT))
        .examples(&["{\"operation\": \"listPets\"}"])],
    shared: &[OPERATION_KEYS, LEVEL],
    examples: &["{\"select\": {\"operation\": \"listPets\"}, \"cache\": {\"ttl\": \"10m\"}}"],
    ..Object::PLAIN
};

/// `x-tollgate` within a specification.
pub(crate) static EXTENSION: Object = Object {
    name: "extension",
    doc: "`x-tollgate` at the root of a specification, in a path item or an operation: what an entry of `operations` can \
          say. Entries of `operations` count more.",
    shared: &[OPERATION_KEYS, LEVEL],
    ..Object::PLAIN
};

const OPERATION_KEYS: &[Key] = &[
    Key::optional(
        "scopes",
        "What the credential must have been granted, all of it and what wider entries say.",
        Shape::List(&SCOPES),
    )
    .absent("none")
    .examples(&["[\"pets.read\"]"]),
    Key::optional("cost", "What one request takes from each limit.", Shape::Integer(1, COST_MAX as i64)).default("1"),
    Key::optional(
        "internal",
        "Whether it is for callers inside only: it then answers on the gateway's internal hosts alone.",
        Shape::Boolean,
    )
    .absent("the API's"),
    Key::optional("hidden", "Whether the operation is not routed at all.", Shape::Boolean).default("false"),
];

/// `select` of an entry of `operations:`.
pub(crate) static SELECT: Object = Object {
    name: "select",
    doc: "Which operations are meant: one by its `operationId`, those with a tag, or those of a path.",
    keys: &[
        Key::optional("operation", "The `operationId`, as the specification has it.", Shape::Text)
            .examples(&["\"listPets\""]),
        Key::optional("tag", "A tag.", Shape::Text).examples(&["\"pets\""]),
        Key::optional("path", "A path, as the specification has it.", Shape::Text).examples(&["\"/pets/{id}\""]),
        Key::optional("method", "Only those with one of these methods.", Shape::List(&METHODS))
            .absent("all methods")
            .examples(&["[\"POST\"]"]),
    ],
    rules: &[Rule::OneOf(&["operation", "tag", "path"]), Rule::AtMostOneOf(&["operation", "method"])],
    ..Object::PLAIN
};

/// `when:`.
pub(crate) static WHEN: Object = Object {
    name: "when",
    doc: "Conditions on a request beside host, path and method; all of them must hold. Of routes that differ in nothing else, \
          the one that asks for more goes first.",
    keys: &[
        Key::optional("header", "Header fields, by name.", Shape::Named(&ASKED_FIELDS))
            .examples(&["{\"X-Version\": \"2\"}"]),
        Key::optional("query", "Query parameters, by name.", Shape::Named(&ASKED_PARAMETERS))
            .examples(&["{\"action\": [\"start\", \"stop\"], \"debug\": \"absent\"}"]),
    ],
    rules: &[Rule::SomeOf(&["header", "query"])],
    examples: &["{\"header\": {\"X-Version\": \"2\"}, \"query\": {\"debug\": \"absent\"}}"],
    ..Object::PLAIN
};

static ASKED_FIELDS: Named = Named { names: &FIELD, of: ASKED, max: ASKED_MAX };
static ASKED_PARAMETERS: Named = Named { names: &QUERY_PARAMETER, of: ASKED, max: ASKED_MAX };

/// `present`, `absent`, a value or several.
const ASKED: Shape = Shape::AnyOf(&[Shape::Text, Shape::List(&ASKED_VALUES)]);
static ASKED_VALUES: List = List::some_texts(Shape::Text, VALUES_MAX);

static METHODS: List = List::some_texts(Shape::Ruled(&METHOD), METHODS_MAX);

/// Scopes of a route or a key.
pub(super) static SCOPES: List = List::texts(Shape::Ruled(&SCOPE), SCOPES_MAX);
