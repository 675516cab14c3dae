//! `apis:` and their routes.

use super::FILE;
use super::level::LEVEL;
use super::project::{HOSTS, POLICIES, UPSTREAMS};
use crate::model::api::{COST_MAX, METHODS_MAX, OVERLAYS_MAX, SCOPES_MAX};
use crate::model::when::{CONDITIONS_MAX, VALUES_MAX};
use crate::schema::texts::{BASE, FIELD, ID, METHOD, NAME, PATH, QUERY_PARAMETER, SCOPE};
use crate::schema::{Key, List, Named, Object, Rule, Shape};

/// An API.
pub(crate) static API: Object = Object {
    name: "api",
    doc: "The routes under one base path; the middle one of the three levels.",
    shared: &[API_KEYS, LEVEL],
    rules: API_RULES,
    ..Object::PLAIN
};

const API_RULES: &[Rule] = &[
    Rule::SomeOf(&["routes", "spec"]),
    Rule::Needs("overlays", "spec"),
    Rule::Needs("operations", "spec"),
    Rule::Needs("spec-scopes", "spec"),
];

static OVERLAYS: List = List::texts(Shape::Text, OVERLAYS_MAX);
static OPERATIONS: List = List::of(Shape::Object(&OPERATION));

const API_KEYS: &[Key] = &[
    Key::optional("hosts", "The hosts of the API, a subset of the gateway's.", Shape::List(&HOSTS))
        .absent("the gateway's")
        .examples(&["[\"api.example.com\"]"]),
    Key::optional("base", "The prefix of all its paths.", Shape::Ruled(&BASE))
        .absent("no prefix")
        .examples(&["\"/pets/v1\""]),
    Key::required("upstream", "The name of the upstream to which requests are forwarded.", Shape::Ruled(&NAME)).examples(&["\"pets\""]),
    Key::optional("strip-base", "Whether `base` is removed from the paths that are sent to the upstream.", Shape::Boolean)
        .default("true"),
    Key::optional(
        "internal",
        "Whether it is only for internal callers; it is then served only on the gateway's internal hosts.",
        Shape::Boolean,
    )
    .default("false"),
    Key::optional(
        "spec",
        "The path of an OpenAPI document (3.0 or 3.1, YAML or JSON), relative to this file. Its operations become routes.",
        Shape::Text,
    )
    .examples(&["\"./openapi.yaml\""]),
    Key::optional(
        "overlays",
        "Paths of overlays (1.0), which are applied to the document in this order. The files are not changed.",
        Shape::List(&OVERLAYS),
    )
    .absent("none")
    .examples(&["[\"./public.overlay.yaml\"]"]),
    Key::optional(
        "spec-scopes",
        "Whether operations that authenticate their callers also require the scopes that `security` of the document names.",
        Shape::Boolean,
    )
    .default("false"),
    Key::optional("operations", "Settings for operations of the document.", Shape::List(&OPERATIONS))
        .absent("none"),
    Key::optional("routes", "The routes. Requests that match no route are answered with 404.", Shape::List(&ROUTES)).absent("none"),
];

/// The root of `apis/NAME/api.yaml`.
pub(crate) static API_FILE: Object = Object {
    name: "api-file",
    doc: "An API in its own file, `apis/NAME/api.yaml`. The name of the folder is the name of the API.",
    keys: &[
        Key::optional("upstreams", "Upstreams that are visible only to this API, by name.", Shape::Named(&UPSTREAMS))
            .absent("none"),
        Key::optional("policies", "Policies that are visible only to this API, by name.", Shape::Named(&POLICIES))
            .absent("none"),
    ],
    shared: &[API_KEYS, LEVEL, FILE],
    rules: API_RULES,
    ..Object::PLAIN
};

static ROUTES: List = List::of(Shape::Object(&ROUTE));

/// A route.
pub(crate) static ROUTE: Object = Object {
    name: "route",
    doc: "Matches requests by path, method and conditions; the lowest of the three levels. If several routes match a request, \
          the most specific one is selected. The order has no effect.",
    keys: &[
        Key::required("path", "The path below the API's `base`.", Shape::Ruled(&PATH))
            .examples(&["\"/pets/{id}\"", "\"/assets/{*rest}\""]),
        Key::optional("methods", "The methods.", Shape::List(&METHODS)).absent("all methods").examples(&["[\"GET\"]"]),
        Key::optional("when", "Further conditions that a request must meet.", Shape::Object(&WHEN))
            .examples(&["{\"header\": {\"X-Version\": \"2\"}}"]),
        Key::optional(
            "id",
            "The id of the route. Logs, metrics and traces contain it after the name of the API.",
            Shape::Ruled(&ID),
        )
        .absent("methods and path")
        .examples(&["\"listPets\""]),
        Key::optional(
            "scopes",
            "Scopes that the credential must have; all of them are required, or one of the alternatives in `any`.",
            SCOPES_STATEMENT,
        )
        .absent("none")
        .examples(&["[\"pets.read\"]", "{\"any\": [\"pets.read\", \"admin\"]}"]),
        Key::optional("cost", "What one request is charged in each limit.", Shape::Integer(1, COST_MAX as i64))
            .default("1"),
        Key::optional(
            "internal",
            "Whether it is only for internal callers; it is then served only on the gateway's internal hosts.",
            Shape::Boolean,
        )
        .absent("the API's"),
        Key::optional(
            "matrix-parameters",
            "Whether a segment of a request's path may have matrix parameters, as in `/pets/7;v=1`. Without it, a path with `;` \
             is refused.",
            Shape::Boolean,
        )
        .default("false"),
    ],
    shared: &[LEVEL],
    examples: &["{\"path\": \"/pets/{id}\", \"methods\": [\"GET\"], \"id\": \"getPet\"}"],
    ..Object::PLAIN
};

/// An entry of `operations:`.
pub(crate) static OPERATION: Object = Object {
    name: "operation",
    doc: "Settings for operations of a specification. If several entries select one operation, they are applied from the least \
          specific to the most specific: by tag, by path, by operation; an entry with `method` after one without. The order \
          has no effect.",
    keys: &[Key::required("select", "The operations to which the entry applies.", Shape::Object(&SELECT))
        .examples(&["{\"operation\": \"listPets\"}"])],
    shared: &[OPERATION_KEYS, LEVEL],
    examples: &["{\"select\": {\"operation\": \"listPets\"}, \"cache\": {\"ttl\": \"10m\"}}"],
    ..Object::PLAIN
};

/// `x-tollgate` within a specification.
pub(crate) static EXTENSION: Object = Object {
    name: "extension",
    doc: "`x-tollgate` at the root of a specification, in a path item or in an operation: the settings of an entry of \
          `operations`. Entries of `operations` have precedence.",
    shared: &[OPERATION_KEYS, LEVEL],
    ..Object::PLAIN
};

const OPERATION_KEYS: &[Key] = &[
    Key::optional(
        "scopes",
        "Scopes that the credential must have, in addition to those of less specific entries; all of them are required, or one of the \
         alternatives in `any`.",
        SCOPES_STATEMENT,
    )
    .absent("none")
    .examples(&["[\"pets.read\"]"]),
    Key::optional("cost", "What one request is charged in each limit.", Shape::Integer(1, COST_MAX as i64)).default("1"),
    Key::optional(
        "internal",
        "Whether it is only for internal callers; it is then served only on the gateway's internal hosts.",
        Shape::Boolean,
    )
    .absent("the API's"),
    Key::optional(
        "matrix-parameters",
        "Whether a segment of a request's path may have matrix parameters, as in `/pets/7;v=1`. Without it, a path with `;` \
         is refused.",
        Shape::Boolean,
    )
    .default("false"),
    Key::optional("hidden", "Whether the operation is not routed.", Shape::Boolean).default("false"),
];

/// `select` of an entry of `operations:`.
pub(crate) static SELECT: Object = Object {
    name: "select",
    doc: "Selects operations: one by its `operationId`, all with a tag, or all of a path.",
    keys: &[
        Key::optional("operation", "The `operationId`, as written in the specification.", Shape::Text)
            .examples(&["\"listPets\""]),
        Key::optional("tag", "A tag.", Shape::Text).examples(&["\"pets\""]),
        Key::optional("path", "A path, as written in the specification.", Shape::Text).examples(&["\"/pets/{id}\""]),
        Key::optional("method", "Selects only operations with one of these methods.", Shape::List(&METHODS))
            .absent("all methods")
            .examples(&["[\"POST\"]"]),
    ],
    rules: &[Rule::OneOf(&["operation", "tag", "path"]), Rule::AtMostOneOf(&["operation", "method"])],
    ..Object::PLAIN
};

/// `when:`.
pub(crate) static WHEN: Object = Object {
    name: "when",
    doc: "Conditions on a request in addition to host, path and method; all of them must be met. Among routes with the same \
          host, path and methods, the one with more conditions has precedence.",
    keys: &[
        Key::optional(
            "header",
            "Conditions on header fields, by name: `present`, `absent`, a value or a list of values.",
            Shape::Named(&CONDITION_FIELDS),
        )
        .examples(&["{\"X-Version\": \"2\"}"]),
        Key::optional(
            "query",
            "Conditions on query parameters, by name: `present`, `absent`, a value or a list of values.",
            Shape::Named(&CONDITION_PARAMETERS),
        )
        .examples(&["{\"action\": [\"start\", \"stop\"], \"debug\": \"absent\"}"]),
    ],
    rules: &[Rule::SomeOf(&["header", "query"])],
    examples: &["{\"header\": {\"X-Version\": \"2\"}, \"query\": {\"debug\": \"absent\"}}"],
    ..Object::PLAIN
};

static CONDITION_FIELDS: Named = Named { names: &FIELD, of: CONDITION, max: CONDITIONS_MAX };
static CONDITION_PARAMETERS: Named = Named { names: &QUERY_PARAMETER, of: CONDITION, max: CONDITIONS_MAX };

/// `present`, `absent`, a value or a list of values.
const CONDITION: Shape = Shape::AnyOf(&[Shape::Text, Shape::List(&CONDITION_VALUES)]);
static CONDITION_VALUES: List = List::some_texts(Shape::Text, VALUES_MAX);

static METHODS: List = List::some_texts(Shape::Ruled(&METHOD), METHODS_MAX);

const SCOPES_STATEMENT: Shape = Shape::AnyOf(&[Shape::List(&SCOPE_LIST), Shape::Object(&SCOPES)]);

/// `scopes` as a mapping.
pub(crate) static SCOPES: Object = Object {
    name: "scopes",
    doc: "The scopes of a route as a mapping.",
    keys: &[
        Key::optional("any", "Scopes of which the credential must have one.", Shape::List(&SCOPE_ALTERNATIVES))
            .examples(&["[\"pets.read\", \"admin\"]", "[\"admin\", {\"all\": [\"pets.read\", \"pets.write\"]}]"]),
        Key::optional("all", "Scopes that the credential must all have.", Shape::List(&SOME_SCOPES))
            .examples(&["[\"pets.read\", \"pets.write\"]"]),
    ],
    rules: &[Rule::OneOf(&["any", "all"])],
    ..Object::PLAIN
};

/// A group of scopes in `any`.
pub(crate) static SCOPES_TOGETHER: Object = Object {
    name: "scopes-together",
    doc: "A group of scopes, as one alternative in `any`. The credential must have all of them.",
    keys: &[
        Key::required("all", "The scopes.", Shape::List(&SOME_SCOPES)).examples(&["[\"pets.read\", \"pets.write\"]"])
    ],
    ..Object::PLAIN
};

static SCOPE_ALTERNATIVES: List =
    List::some_texts(Shape::AnyOf(&[Shape::Ruled(&SCOPE), Shape::Object(&SCOPES_TOGETHER)]), SCOPES_MAX);

static SOME_SCOPES: List = List::some_texts(Shape::Ruled(&SCOPE), SCOPES_MAX);

/// The scopes of a route or a key.
pub(super) static SCOPE_LIST: List = List::texts(Shape::Ruled(&SCOPE), SCOPES_MAX);
