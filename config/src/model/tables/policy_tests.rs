//! `tests/*.test.yaml`.

use tollgate_core::forward::UpstreamError;
use tollgate_core::problem::ProblemKind;

use super::FILE;
use super::api::SCOPES;
use crate::model::api::SCOPES_MAX;
use crate::schema::texts::{FIELD, ID, INSTANT, METHOD, NAME};
use crate::schema::{Key, List, Named, Object, Quantity, Rule, Shape, TextRule};

/// The root of a test file.
pub(crate) static TEST_FILE: Object = Object {
    name: "policy-test",
    doc: "Cases that are run on the production engine, with a clock of their own, empty stores and upstreams by script; and \
          rules that the routes keep.",
    keys: &[
        Key::optional("clock", "The instant at which every case begins.", Shape::Ruled(&INSTANT))
            .default("\"2026-01-01T00:00:00Z\""),
        Key::optional("env", "The environment that the project is compiled for.", Shape::Ruled(&NAME))
            .absent("the one that `--env` names, or the defaults"),
        Key::optional("consumers", "Those who call.", Shape::List(&CONSUMERS)).absent("none"),
        Key::optional("upstreams", "What upstreams answer, by name.", Shape::Named(&SCRIPTS))
            .absent("200 without content"),
        Key::optional("secrets", "Values of secrets, by name.", Shape::Named(&SECRETS)).absent("made-up ones"),
        Key::optional("cases", "What is tried out, each case from the beginning.", Shape::List(&CASES)).absent("none"),
        Key::optional("invariants", "What is proved of the project without a request.", Shape::List(&INVARIANTS))
            .absent("none"),
    ],
    shared: &[FILE],
    rules: &[Rule::SomeOf(&["cases", "invariants"])],
    ..Object::PLAIN
};

static CONSUMERS: List = List::of(Shape::Object(&TEST_CONSUMER));
static CASES: List = List::of(Shape::Object(&CASE));
static INVARIANTS: List = List::of(Shape::Object(&INVARIANT));
static SCRIPTS: Named = Named { names: &NAME, of: SCRIPT_OR_ANSWERS, max: usize::MAX };
static SECRETS: Named = Named { names: &SECRET, of: Shape::Text, max: usize::MAX };

static SECRET: TextRule = TextRule {
    name: "secret-name",
    doc: "The name of a secret as `${secret.NAME}` has it.",
    pattern: "",
    examples: &["PETS_TOKEN"],
};

/// A consumer of a test.
pub(crate) static TEST_CONSUMER: Object = Object {
    name: "test-consumer",
    doc: "An owner of keys in a test.",
    keys: &[
        Key::required("id", "Its name.", Shape::Ruled(&ID)).examples(&["\"acme\""]),
        Key::optional("plan", "The plan it is on.", Shape::Ruled(&ID)).absent("no plan").examples(&["\"gold\""]),
        Key::optional("keys", "Names that stand for real keys, made for the test.", Shape::List(&KEYS))
            .absent("none")
            .examples(&["[\"k1\"]"]),
    ],
    ..Object::PLAIN
};

static KEYS: List = List::of(Shape::AnyOf(&[Shape::Ruled(&ID), Shape::Object(&TEST_KEY)]));

/// A key of a test.
pub(crate) static TEST_KEY: Object = Object {
    name: "test-key",
    doc: "A key of a test with what is known of it.",
    keys: &[
        Key::required("name", "What steps call it.", Shape::Ruled(&ID)).examples(&["\"k1\""]),
        Key::optional("scopes", "What it was granted.", Shape::List(&KEY_SCOPES)).absent("none"),
        Key::optional("not-before", "When it begins to be valid.", Shape::Ruled(&INSTANT)).absent("at once"),
        Key::optional("expires", "When it ceases to be valid.", Shape::Ruled(&INSTANT)).absent("never"),
        Key::optional("revoked", "Whether it was taken back.", Shape::Boolean).default("false"),
    ],
    ..Object::PLAIN
};

static KEY_SCOPES: List = List::texts(SCOPES.of, SCOPES_MAX);

const SCRIPT_OR_ANSWERS: Shape = Shape::AnyOf(&[Shape::Object(&SCRIPT), Shape::List(&ANSWERS)]);
const ANSWER_OR_ANSWERS: Shape = Shape::AnyOf(&[Shape::Object(&ANSWER), Shape::List(&ANSWERS)]);
static ANSWERS: List = List { min: 1, ..List::of(Shape::Object(&ANSWER)) };
static RULES: List = List::of(Shape::Object(&RULE));

/// The script of an upstream.
pub(crate) static SCRIPT: Object = Object {
    name: "upstream-script",
    doc: "What an upstream answers: always the same, one answer after the other, or by what it is asked.",
    keys: &[
        Key::optional("rules", "Answers to some requests; the first rule that applies counts.", Shape::List(&RULES))
            .absent("none"),
        SEQUENCE,
    ],
    shared: &[ANSWER_KEYS],
    examples: &["{\"status\": 200, \"delay\": \"50ms\"}"],
    rules: &[Rule::SomeOf(SCRIPT_SAYS), Rule::Excludes("answers", ANSWER_SAYS), FAILING],
    ..Object::PLAIN
};

/// A rule of a script.
pub(crate) static RULE: Object = Object {
    name: "upstream-rule",
    doc: "Answers to some requests.",
    keys: &[
        Key::optional("method", "The method.", Shape::Ruled(&METHOD)).absent("any"),
        Key::optional("path", "The path that the upstream receives; `*` stands for any text.", Shape::Text)
            .absent("any")
            .examples(&["\"/pets/*\""]),
        Key::optional("route", "The id of the route that the request took.", Shape::Text).absent("any"),
        SEQUENCE,
    ],
    shared: &[ANSWER_KEYS],
    rules: &[Rule::SomeOf(RULE_SAYS), Rule::Excludes("answers", ANSWER_SAYS), FAILING],
    ..Object::PLAIN
};

const SEQUENCE: Key =
    Key::optional("answers", "One answer after the other; the last one stays.", Shape::List(&ANSWERS));

/// An answer of an upstream.
pub(crate) static ANSWER: Object = Object {
    name: "upstream-answer",
    doc: "An answer of an upstream.",
    shared: &[ANSWER_KEYS],
    examples: &["{\"status\": 503}", "{\"fail\": \"connection_refused\"}"],
    rules: &[FAILING],
    ..Object::PLAIN
};

/// The keys of which a script has one at least.
const SCRIPT_SAYS: &[&str] = &["rules", "answers", "status", "headers", "body", "delay", "fail", "breaks"];

/// The keys of which a rule has one at least.
const RULE_SAYS: &[&str] = &["answers", "status", "headers", "body", "delay", "fail", "breaks"];

/// The keys of an answer, beside which there is no list of answers.
const ANSWER_SAYS: &[&str] = &["status", "headers", "body", "delay", "fail", "breaks"];

/// An upstream that fails answers nothing.
const FAILING: Rule = Rule::Excludes("fail", &["status", "headers", "body", "breaks"]);

const ANSWER_KEYS: &[Key] = &[
    Key::optional("status", "The status.", Shape::Integer(200, 999)).default("200"),
    Key::optional("headers", "Header fields of the response.", FIELD_LINES).absent("none"),
    Key::optional("body", "The content.", CONTENT_SHAPE).absent("none"),
    Key::optional("delay", "After what time it comes.", Shape::Quantity(Quantity::Duration)).default("\"0s\""),
    Key::optional("fail", "Why there is no response, by the names of RFC 9209.", Shape::Word(&ERRORS))
        .examples(&["\"connection_refused\""]),
    Key::optional("breaks", "Whether the content breaks off at its end.", Shape::Boolean).default("false"),
];

/// What can go wrong with an upstream.
pub(crate) const UPSTREAM_ERRORS: [UpstreamError; 15] = [
    UpstreamError::DnsTimeout,
    UpstreamError::DnsError,
    UpstreamError::DestinationIpProhibited,
    UpstreamError::DestinationUnavailable,
    UpstreamError::ConnectionRefused,
    UpstreamError::ConnectionTimeout,
    UpstreamError::ConnectionTerminated,
    UpstreamError::ConnectionLimitReached,
    UpstreamError::TlsProtocolError,
    UpstreamError::TlsCertificateError,
    UpstreamError::HttpResponseTimeout,
    UpstreamError::HttpResponseIncomplete,
    UpstreamError::HttpProtocolError,
    UpstreamError::RequestContentBroken,
    UpstreamError::ProxyInternalError,
];

static ERRORS: [(&str, &str); UPSTREAM_ERRORS.len()] = {
    let mut words = [("", "as in RFC 9209, section 2.3"); UPSTREAM_ERRORS.len()];
    let mut at = 0;
    while at < words.len() {
        words[at].0 = UPSTREAM_ERRORS[at].proxy_status();
        at += 1;
    }
    words
};

const FIELD_LINES: Shape = Shape::Named(&FIELDS);
static FIELDS: Named = Named { names: &FIELD, of: FIELD_VALUE, max: usize::MAX };
const FIELD_VALUE: Shape = Shape::AnyOf(&[Shape::Text, ANY_INTEGER, Shape::List(&LINES)]);
static LINES: List = List::of(Shape::AnyOf(&[Shape::Text, ANY_INTEGER]));
const ANY_INTEGER: Shape = Shape::Integer(i64::MIN, i64::MAX);

const CONTENT_SHAPE: Shape = Shape::AnyOf(&[Shape::Text, Shape::Object(&CONTENT)]);

/// Content that is sent.
pub(crate) static CONTENT: Object = Object {
    name: "test-content",
    doc: "The content of a message: one of `text`, `json` and `size`.",
    keys: &[
        Key::optional("text", "A text.", Shape::Text),
        Key::optional("json", "A value that is sent as JSON, with its media type.", Shape::Anything),
        Key::optional("size", "So much of anything.", Shape::Quantity(Quantity::Size)).examples(&["\"2MiB\""]),
        Key::optional("declared", "Whether its length is sent with it.", Shape::Boolean).default("true"),
    ],
    rules: &[Rule::OneOf(&["text", "json", "size"])],
    ..Object::PLAIN
};

/// A case.
pub(crate) static CASE: Object = Object {
    name: "test-case",
    doc: "Steps that are done in order, beginning with empty stores at the file's clock.",
    keys: &[
        Key::required("name", "What it is called in reports.", Shape::Text),
        Key::optional("upstreams", "What upstreams answer in this case, by name.", Shape::Named(&SCRIPTS))
            .absent("what the file says"),
        Key::required("steps", "What is done.", Shape::List(&STEPS)),
    ],
    ..Object::PLAIN
};

static STEPS: List =
    List { min: 1, ..List::of(Shape::AnyOf(&[Shape::Object(&REQUEST_STEP), Shape::Object(&OTHER_STEP)])) };

/// A step that sends requests.
pub(crate) static REQUEST_STEP: Object = Object {
    name: "request-step",
    doc: "A step that sends requests and looks at the answers. `${key.NAME}` stands for a key in its texts.",
    keys: &[
        Key::required("request", "Method and path, or method and URL.", Shape::Text)
            .examples(&["\"GET /pets?limit=5\"", "\"POST https://api.example.com/pets\""]),
        Key::optional("host", "The host that is asked.", Shape::Text)
            .absent("the URL's, or one the project answers on"),
        Key::optional("headers", "Header fields of the request.", FIELD_LINES).absent("none"),
        Key::optional("body", "The content of the request.", CONTENT_SHAPE).absent("none"),
        Key::optional("key", "The key that is sent, where the route's policy looks for one.", Shape::Ruled(&ID))
            .absent("none"),
        Key::optional("client", "Where the request comes from.", Shape::Object(&CLIENT)).absent("192.0.2.1, encrypted"),
        Key::optional("from", "On which side of the gateway the client is.", Shape::Word(SIDES)).default("\"outside\""),
        Key::optional("upstream", "What the upstream answers to this step.", ANSWER_OR_ANSWERS)
            .absent("what case and file say"),
        Key::optional("repeat", "How often it is sent.", Shape::Integer(1, 1_000_000)).default("1"),
        Key::optional("expect", "What every answer is expected to be.", Shape::Object(&EXPECT)),
        Key::optional("each", "The same, for steps that repeat.", Shape::Object(&EXPECT)),
        Key::optional("first", "What the first answer is expected to be.", Shape::Object(&EXPECT)),
        Key::optional("last", "What the last answer is expected to be.", Shape::Object(&EXPECT)),
        Key::optional("count", "How many answers of each status are expected.", Shape::Named(&COUNTS))
            .examples(&["{\"200\": 1000, \"429\": 1}"]),
    ],
    examples: &["{\"request\": \"GET /pets\", \"key\": \"k1\", \"expect\": {\"status\": 200}}"],
    rules: &[Rule::AtMostOneOf(&["expect", "each"])],
    ..Object::PLAIN
};

const SIDES: &[(&str, &str)] =
    &[("inside", "a host for callers inside is asked"), ("outside", "a host for everybody is asked")];

static COUNTS: Named = Named { names: &STATUS_NAME, of: Shape::Integer(0, u32::MAX as i64), max: usize::MAX };

static STATUS_NAME: TextRule =
    TextRule { name: "status", doc: "A status.", pattern: "^[1-9][0-9]{2}$", examples: &["200"] };

/// The client of a request.
pub(crate) static CLIENT: Object = Object {
    name: "test-client",
    doc: "Where a request comes from.",
    keys: &[
        Key::optional("address", "The client's IP address.", Shape::Text).default("\"192.0.2.1\""),
        Key::optional("https", "Whether its connection is encrypted.", Shape::Boolean)
            .absent("as the URL says, or `true`"),
    ],
    ..Object::PLAIN
};

/// A step that is no request.
pub(crate) static OTHER_STEP: Object = Object {
    name: "step",
    doc: "A step that moves the clock, purges, or takes a store away; it has one of the keys.",
    keys: &[
        Key::optional("advance", "So much time passes.", Shape::Quantity(Quantity::Duration)).examples(&["\"10s\""]),
        Key::optional("at", "Time passes until this instant.", Shape::Ruled(&INSTANT)),
        Key::optional("purge", "Stored responses are purged: `all`, or those of a URL.", Shape::Text)
            .examples(&["\"all\"", "\"/pets?page=1\""]),
        Key::optional("fault", "These stores answer nothing from now on.", Shape::Object(&FAULT))
            .examples(&["{\"counters\": \"down\"}"]),
        Key::optional("restore", "These stores answer again.", RESTORED).examples(&["\"all\"", "[\"counters\"]"]),
    ],
    rules: &[Rule::OneOf(&["advance", "at", "purge", "fault", "restore"])],
    ..Object::PLAIN
};

const PORT: Shape = Shape::Word(&[
    ("records", "credentials, the configuration, purges"),
    ("counters", "the counters of limits"),
    ("cache", "stored responses"),
    ("secrets", "secrets"),
    ("telemetry", "the receiver of telemetry"),
]);

const RESTORED: Shape = Shape::AnyOf(&[PORT, Shape::List(&PORTS), Shape::Word(&[("all", "all of them")])]);
static PORTS: List = List::of(PORT);

const DOWN: Shape = Shape::Word(&[("down", "it answers nothing")]);

/// The stores that are taken away.
pub(crate) static FAULT: Object = Object {
    name: "test-fault",
    doc: "Stores that answer nothing.",
    keys: &[
        Key::optional("records", "Credentials, the configuration, purges.", DOWN),
        Key::optional("counters", "The counters of limits.", DOWN),
        Key::optional("cache", "Stored responses.", DOWN),
        Key::optional("secrets", "Secrets.", DOWN),
        Key::optional("telemetry", "The receiver of telemetry.", DOWN),
    ],
    ..Object::PLAIN
};

/// What is expected of an answer.
pub(crate) static EXPECT: Object = Object {
    name: "expectation",
    doc: "What is expected of an answer; what is not said may be anything.",
    keys: &[
        Key::optional("status", "The status, a class of them, or a list.", STATUS_EXPECT).examples(&[
            "200",
            "\"2xx\"",
            "[200, 304]",
        ]),
        Key::optional("headers", "Header fields of the response.", FIELD_EXPECTS),
        Key::optional("body", "The content of the response.", BODY_SHAPE),
        Key::optional("problem", "The type of the problem; `none`: it is no problem.", Shape::Word(&PROBLEMS)),
        Key::optional("policy", "The policy that refused; `none`: no policy did.", Shape::Text),
        Key::optional("route", "The id of the route that was taken; `none`: none was.", Shape::Text),
        Key::optional("operation", "The same.", Shape::Text),
        Key::optional("phase", "The phase that ended the exchange.", Shape::Word(PHASES)),
        Key::optional("consumer", "Who was recognised; `none`: nobody was.", Shape::Text),
        Key::optional("upstream", "What the upstream received.", Shape::Object(&UPSTREAM_EXPECT)),
        Key::optional("cache", "What the cache did.", Shape::Word(CACHE)),
        Key::optional("stored", "Whether the response was stored.", Shape::Boolean),
        Key::optional("quota", "What the client was told of its limits.", Shape::Named(&QUOTAS))
            .examples(&["{\"burst\": {\"remaining\": 3}}"]),
        Key::optional("retry-after", "How long the client is told to wait.", Shape::Quantity(Quantity::Duration)),
        Key::optional(
            "duration",
            "How long the exchange took, on the test's clock.",
            Shape::Quantity(Quantity::Duration),
        ),
    ],
    examples: &["{\"status\": 429, \"policy\": \"burst\"}"],
    ..Object::PLAIN
};

const STATUS_EXPECT: Shape = Shape::AnyOf(&[STATUS, STATUS_CLASS, Shape::List(&STATUSES)]);
const STATUS: Shape = Shape::Integer(100, 999);
const STATUS_CLASS: Shape = Shape::Ruled(&STATUS_TEXT);
static STATUSES: List = List { min: 1, ..List::of(Shape::AnyOf(&[STATUS, STATUS_CLASS])) };

static STATUS_TEXT: TextRule = TextRule {
    name: "status-class",
    doc: "A status, or a class of them.",
    pattern: "^([1-5]xx|[1-9][0-9]{2})$",
    examples: &["2xx"],
};

const FIELD_EXPECTS: Shape = Shape::Named(&EXPECTED_FIELDS);
static EXPECTED_FIELDS: Named = Named {
    names: &FIELD,
    of: Shape::AnyOf(&[Shape::Text, ANY_INTEGER, Shape::Object(&TEXT_EXPECT)]),
    max: usize::MAX,
};

/// What is expected of a text.
pub(crate) static TEXT_EXPECT: Object = Object {
    name: "text-expectation",
    doc: "What is expected of a text: all that is said.",
    keys: TEXT_KEYS,
    ..Object::PLAIN
};

const TEXT_KEYS: &[Key] = &[
    Key::optional("is", "It is this.", Shape::AnyOf(&[Shape::Text, ANY_INTEGER])),
    Key::optional("contains", "It has this in it.", Shape::AnyOf(&[Shape::Text, ANY_INTEGER])),
    Key::optional("matching", "A part of it fits this regular expression.", Shape::Text).examples(&["\"^W/\""]),
    Key::optional("present", "Whether it is there.", Shape::Boolean),
    Key::optional("absent", "Whether it is not there.", Shape::Boolean),
];

const BODY_SHAPE: Shape = Shape::AnyOf(&[Shape::Text, Shape::Object(&BODY_EXPECT)]);

/// What is expected of content.
pub(crate) static BODY_EXPECT: Object = Object {
    name: "content-expectation",
    doc: "What is expected of content.",
    keys: &[
        Key::optional("json", "It is this JSON, whatever its layout.", Shape::Anything),
        Key::optional("json-has", "It is JSON with these members, and perhaps others.", Shape::Anything),
        Key::optional("empty", "Whether there is none.", Shape::Boolean),
    ],
    shared: &[TEXT_KEYS],
    ..Object::PLAIN
};

static PROBLEMS: [(&str, &str); ProblemKind::ALL.len() + 1] = {
    let mut words = [("none", "it is no problem"); ProblemKind::ALL.len() + 1];
    let mut at = 0;
    while at < ProblemKind::ALL.len() {
        words[at] = (ProblemKind::ALL[at].slug(), ProblemKind::ALL[at].title());
        at += 1;
    }
    words
};

const PHASES: &[(&str, &str)] = &[
    ("receive", "the request could not be understood"),
    ("route", "no route takes it"),
    ("guard", "it is too large"),
    ("authenticate", "its sender is not known"),
    ("authorize", "its sender may not"),
    ("limit", "its sender has exhausted a limit"),
    ("look-up", "it was answered from store"),
    ("forward", "the upstream answered or failed"),
    ("store", "the response was being stored"),
    ("respond", "the response was being sent"),
];

const CACHE: &[(&str, &str)] = &[
    ("hit", "it answered from store"),
    ("miss", "nothing usable was stored"),
    ("stale", "what was stored was stale, and a new response came"),
    ("revalidated", "what was stored was stale, and the upstream confirmed it"),
    ("bypass", "the request or a store kept it out"),
    ("request", "the client asked for a new response"),
    ("method", "the method is never answered from store"),
    ("none", "the route has none, or the request did not come to it"),
];

static QUOTAS: Named = Named { names: &NAME, of: Shape::Object(&QUOTA_EXPECT), max: usize::MAX };

/// What is expected to be told of a limit.
pub(crate) static QUOTA_EXPECT: Object = Object {
    name: "quota-expectation",
    doc: "What the client is told of a limit, by the RateLimit fields.",
    keys: &[
        Key::optional("remaining", "How much is left.", Shape::Integer(0, u32::MAX as i64)),
        Key::optional("limit", "How much there is at most.", Shape::Integer(0, u32::MAX as i64)),
        Key::optional("reset", "When it is whole again, in whole seconds.", Shape::Quantity(Quantity::Duration)),
    ],
    ..Object::PLAIN
};

/// What an upstream is expected to have received.
pub(crate) static UPSTREAM_EXPECT: Object = Object {
    name: "upstream-expectation",
    doc: "What the upstream received; where it was called more than once, by the last call.",
    keys: &[
        Key::optional("called", "Whether, or how often, it was called.", CALLED).examples(&["false", "1"]),
        Key::optional("name", "Which upstream was called.", Shape::Ruled(&NAME)),
        Key::optional("method", "The method.", Shape::Ruled(&METHOD)),
        Key::optional("path", "The path.", Shape::Text),
        Key::optional("query", "The query; `none`: there was none.", Shape::Text),
        Key::optional("headers", "Header fields of the request.", FIELD_EXPECTS),
        Key::optional("body", "The content of the request.", BODY_SHAPE),
    ],
    ..Object::PLAIN
};

const CALLED: Shape = Shape::AnyOf(&[Shape::Boolean, Shape::Integer(0, 1000)]);

/// An invariant.
pub(crate) static INVARIANT: Object = Object {
    name: "invariant",
    doc: "A rule that the routes keep, proved or refuted by a request that breaks it.",
    keys: &[
        Key::optional("name", "What it is called in reports.", Shape::Text).absent("what it says"),
        Key::optional("routes", "Which routes it is about.", SELECTION).default("\"all\""),
        Key::optional("have", "What each of them has.", Shape::List(&REQUIREMENTS))
            .absent("nothing")
            .examples(&["[\"authn\", \"limit\"]"]),
        Key::optional("not", "What none of them has.", Shape::List(&REQUIREMENTS)).absent("nothing"),
        Key::optional(
            "may-be-empty",
            "Whether it holds where it is about no route; else that is a failure, as nothing was proved.",
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
    ("authn", "callers are authenticated"),
    ("scopes", "callers need a scope"),
    ("guard", "requests are checked before callers are authenticated"),
    ("limit", "requests are counted, in `guard` or in `limit`"),
    ("cache", "responses are stored"),
    ("timeout", "the exchange with the upstream has a time limit"),
    ("internal", "it is for callers inside only"),
];

/// A requirement that has a name or a number.
pub(crate) static REQUIREMENT: Object = Object {
    name: "requirement",
    doc: "A policy that a route names, or a bound that it keeps.",
    keys: &[
        Key::optional("policy", "The name of a policy that holds for it.", Shape::Ruled(&NAME)).absent("any"),
        Key::optional("timeout-at-most", "The longest time limit.", Shape::Quantity(Quantity::Time)).absent("any"),
        Key::optional("body-limit-at-most", "The largest limit of content.", Shape::Quantity(Quantity::Size))
            .absent("any"),
    ],
    rules: &[Rule::OneOf(&["policy", "timeout-at-most", "body-limit-at-most"])],
    examples: &["{\"policy\": \"partner-keys\"}", "{\"timeout-at-most\": \"10s\"}"],
    ..Object::PLAIN
};

/// Which routes an invariant is about.
pub(crate) static ROUTE_SELECTION: Object = Object {
    name: "route-selection",
    doc: "Routes to which all that is said applies.",
    keys: &[
        Key::optional("method", "They take one of these methods.", METHODS).absent("any"),
        Key::optional("host", "They answer on this host, or on hosts of this pattern.", Shape::Text).absent("any"),
        Key::optional("path", "They take this path; `*` stands for any text.", Shape::Text).absent("any"),
        Key::optional("api", "They belong to this API.", Shape::Ruled(&NAME)).absent("any"),
        Key::optional("tag", "Their operation has this tag.", Shape::Text).absent("any"),
        Key::optional("id", "The route of this id.", Shape::Ruled(&ID)).absent("any"),
        Key::optional("upstream", "They forward to this upstream.", Shape::Ruled(&NAME)).absent("any"),
        Key::optional("internal", "Whether they are for callers inside only.", Shape::Boolean).absent("either"),
    ],
    ..Object::PLAIN
};

const METHODS: Shape = Shape::AnyOf(&[Shape::Ruled(&METHOD), Shape::List(&METHOD_LIST)]);
static METHOD_LIST: List = List::of(Shape::Ruled(&METHOD));
