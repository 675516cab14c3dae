//! `tests/*.test.yaml`.

use tollgate_core::problem::ProblemKind;

use super::FILE;
use super::fixtures::IDENTITIES;
use super::key_properties::KEY_PROPERTIES;
use super::test_invariants::INVARIANT;
use super::test_issuers::{KEY_IDS, TEST_ISSUER, TEST_ISSUER_CHANGE, TOKEN};
use super::test_records::{TEST_GRANT, TEST_PLAN, TEST_PRODUCT, TEST_SUBSCRIPTION};
use super::test_scripts::{ANSWER_OR_ANSWERS, ANY_INTEGER, CONTENT_SHAPE, FIELD_LINES, SCRIPT_OR_ANSWERS};
use crate::schema::texts::{FIELD, ID, INSTANT, METHOD, NAME, PERCENT, URL};
use crate::schema::{Key, List, Named, Object, Quantity, Rule, Shape, TextRule};

/// The root of a test file.
pub(crate) static TEST_FILE: Object = Object {
    name: "policy-test",
    doc: "Test cases and invariants. Cases run the production pipeline with a virtual clock, empty stores and scripted \
          upstreams. Invariants are rules for routes, which are proved without requests.",
    keys: &[
        Key::optional("clock", "The time at which every case begins.", Shape::Ruled(&INSTANT))
            .default("\"2026-01-01T00:00:00Z\""),
        Key::optional("env", "The environment for which the project is compiled.", Shape::Ruled(&NAME))
            .absent("the environment that `--env` names, or the defaults of values"),
        Key::optional("consumers", "The consumers.", Shape::List(&CONSUMERS)).absent("none"),
        Key::optional(
            "issuers",
            "Identity providers, by name, whose keys and tokens are generated.",
            Shape::Named(&ISSUERS),
        )
        .absent("none"),
        Key::optional("upstreams", "The scripted responses of upstreams, by name.", Shape::Named(&SCRIPTS))
            .absent("200 without content"),
        Key::optional(
            "fetches",
            "The scripted responses of services that the gateway itself asks, such as identity providers, by URL.",
            Shape::Named(&SERVICES),
        )
        .absent("no service can be reached, but receivers of notices answer 204")
        .examples(&["{\"https://id.example.com/introspect\": {\"body\": {\"json\": {\"active\": false}}}}"]),
        Key::optional("secrets", "Values of secrets, by name.", Shape::Named(&SECRETS)).absent("generated values"),
        Key::optional("cases", "The test cases, each with its own stores.", Shape::List(&CASES)).absent("none"),
        Key::optional("invariants", "Rules for routes, which are proved without requests.", Shape::List(&INVARIANTS))
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
static SERVICES: Named = Named { names: &URL, of: SCRIPT_OR_ANSWERS, max: usize::MAX };
static SECRETS: Named = Named { names: &SECRET, of: Shape::Text, max: usize::MAX };

static ISSUERS: Named = Named { names: &NAME, of: Shape::Object(&TEST_ISSUER), max: usize::MAX };
static SECRET: TextRule = TextRule {
    name: "secret-name",
    doc: "The name of a secret, as in `${secret.NAME}`.",
    pattern: "",
    examples: &["PETS_TOKEN"],
};

/// A consumer of a test.
pub(crate) static TEST_CONSUMER: Object = Object {
    name: "test-consumer",
    doc: "A consumer of a test: the owner of keys.",
    keys: &[
        Key::required("id", "The id of the consumer.", Shape::Ruled(&ID)).examples(&["\"acme\""]),
        Key::optional("plan", "The plan of the consumer.", Shape::Ruled(&ID)).absent("no plan").examples(&["\"gold\""]),
        Key::optional("keys", "Names of keys, which are generated for the test.", Shape::List(&KEYS))
            .absent("none")
            .examples(&["[\"k1\"]"]),
        IDENTITIES,
    ],
    ..Object::PLAIN
};

static KEYS: List = List::of(Shape::AnyOf(&[Shape::Ruled(&ID), Shape::Object(&TEST_KEY)]));

/// A key of a test.
pub(crate) static TEST_KEY: Object = Object {
    name: "test-key",
    doc: "A key of a test with its properties.",
    keys: &[Key::required("name", "The name of the key in steps.", Shape::Ruled(&ID)).examples(&["\"k1\""])],
    shared: &[KEY_PROPERTIES],
    ..Object::PLAIN
};

/// A case.
pub(crate) static CASE: Object = Object {
    name: "test-case",
    doc: "A sequence of steps, beginning with empty stores at the time of `clock`.",
    keys: &[
        Key::required("name", "The name in reports.", Shape::Text),
        Key::optional(
            "upstreams",
            "The scripted responses of upstreams in this case, by name.",
            Shape::Named(&SCRIPTS),
        )
        .absent("the scripts of the file"),
        Key::optional(
            "fetches",
            "The scripted responses of services that the gateway itself asks, in this case, by URL.",
            Shape::Named(&SERVICES),
        )
        .absent("the scripts of the file"),
        Key::required("steps", "The steps, which run in this order.", Shape::List(&STEPS)),
    ],
    ..Object::PLAIN
};

static STEPS: List =
    List { min: 1, ..List::of(Shape::AnyOf(&[Shape::Object(&REQUEST_STEP), Shape::Object(&OTHER_STEP)])) };

/// A step that sends requests.
pub(crate) static REQUEST_STEP: Object = Object {
    name: "request-step",
    doc: "A step that sends requests and checks the responses. `${key.NAME}` in its strings is replaced by a key.",
    keys: &[
        Key::required("request", "The method and the path or URL.", Shape::Text)
            .examples(&["\"GET /pets?limit=5\"", "\"POST https://api.example.com/pets\""]),
        Key::optional("host", "The host of the request.", Shape::Text)
            .absent("the host of the URL, or one of the project's hosts"),
        Key::optional("headers", "Header fields of the request.", FIELD_LINES).absent("none"),
        Key::optional("body", "The content of the request.", CONTENT_SHAPE).absent("none"),
        Key::optional(
            "key",
            "The name of the key that is sent, in the place that the route's policy reads.",
            Shape::Ruled(&ID),
        )
        .absent("none"),
        Key::optional(
            "sign",
            "The name of a `webhook` policy, or of an `http-signature` policy with `secrets`: the request is signed for it, with its \
             first secret, at the clock's time.",
            Shape::Ruled(&ID),
        )
        .absent("it is not signed"),
        Key::optional(
            "token",
            "The token that is sent, in the place that the route's policy reads: the name of its issuer, or a mapping. For `oidc-login`, \
             the session of a person who has just logged in with this ID token.",
            TOKEN,
        )
        .absent("none")
        .examples(&["\"staff\"", "{\"issuer\": \"staff\", \"claims\": {\"sub\": \"ada\"}}"]),
        Key::optional(
            "browser",
            "The name of a browser that sends the request: it keeps cookies from step to step, and says of its requests what browsers say \
             (`Accept`, `Sec-Fetch-Mode`, `Sec-Fetch-Site`), unless `headers` does.",
            Shape::Ruled(&ID),
        )
        .absent("none, and no cookies are kept")
        .examples(&["\"laptop\""]),
        Key::optional(
            "log-in",
            "The ID token of the person who logs in, if the browser is sent to its issuer: the name of the issuer, or a mapping. The browser \
             goes there and back, and the expectation is for the page at the end.",
            TOKEN,
        )
        .absent("nobody logs in")
        .examples(&["{\"issuer\": \"id\", \"claims\": {\"sub\": \"ada\"}}"]),
        Key::optional("client", "The client that sends the request.", Shape::Object(&CLIENT))
            .absent("address 192.0.2.1 with HTTPS"),
        Key::optional(
            "from",
            "Whether the client is internal or external; this selects the default host.",
            Shape::Word(SIDES),
        )
        .default("\"outside\""),
        Key::optional("upstream", "The responses of the upstream in this step.", ANSWER_OR_ANSWERS)
            .absent("the scripts of the case and the file"),
        Key::optional("repeat", "How many times the request is sent.", Shape::Integer(1, 1_000_000)).default("1"),
        Key::optional("expect", "The expectation for every response.", Shape::Object(&EXPECT)),
        Key::optional("each", "The same as `expect`, for steps with `repeat`.", Shape::Object(&EXPECT)),
        Key::optional("first", "The expectation for the first response.", Shape::Object(&EXPECT)),
        Key::optional("last", "The expectation for the last response.", Shape::Object(&EXPECT)),
        Key::optional("count", "The expected number of responses by status code.", Shape::Named(&COUNTS))
            .examples(&["{\"200\": 1000, \"429\": 1}"]),
    ],
    examples: &["{\"request\": \"GET /pets\", \"key\": \"k1\", \"expect\": {\"status\": 200}}"],
    rules: &[Rule::AtMostOneOf(&["expect", "each"])],
    ..Object::PLAIN
};

const SIDES: &[(&str, &str)] = &[("inside", "an internal host is called"), ("outside", "a public host is called")];

static COUNTS: Named = Named { names: &STATUS_NAME, of: Shape::Integer(0, u32::MAX as i64), max: usize::MAX };

static STATUS_NAME: TextRule =
    TextRule { name: "status", doc: "A status code.", pattern: "^[1-9][0-9]{2}$", examples: &["200"] };

/// The client of a request.
pub(crate) static CLIENT: Object = Object {
    name: "test-client",
    doc: "Where a request comes from.",
    keys: &[
        Key::optional("address", "The client's IP address.", Shape::Text).default("\"192.0.2.1\""),
        Key::optional("https", "Whether the client uses HTTPS.", Shape::Boolean).absent("as in the URL, or `true`"),
        Key::optional("country", "The country of the client, as the platform says it.", Shape::Text)
            .absent("not known")
            .examples(&["\"DE\""]),
        Key::optional(
            "asn",
            "The number of the autonomous system of the client's address, as the platform says it.",
            Shape::Integer(1, u32::MAX as i64),
        )
        .absent("not known")
        .examples(&["3320"]),
        Key::optional("certificate", "The certificate that the client presents.", Shape::Object(&TEST_CERTIFICATE))
            .absent("none"),
    ],
    ..Object::PLAIN
};

/// The certificate of a client.
pub(crate) static TEST_CERTIFICATE: Object = Object {
    name: "test-certificate",
    doc: "The certificate that a client presents when it connects, as the host has verified it.",
    keys: &[
        Key::optional("common-name", "The common name in the subject.", Shape::Text).absent("none"),
        Key::optional("subject", "The subject (RFC 4514).", Shape::Text).absent("the common name as `CN=`, or empty"),
        Key::optional("issuer", "The issuer (RFC 4514).", Shape::Text).default("\"CN=test\""),
        Key::optional("dns", "The host names in the alternative names.", TEXT_OR_TEXTS).absent("none"),
        Key::optional("uri", "The URIs in the alternative names.", TEXT_OR_TEXTS).absent("none"),
        Key::optional("email", "The addresses of mail in the alternative names.", TEXT_OR_TEXTS).absent("none"),
        Key::optional(
            "key",
            "A key of the file's consumers, in whose place the certificate is registered.",
            Shape::Text,
        )
        .absent("it is not registered"),
        Key::optional("expires", "The last second of its validity.", Shape::Ruled(&INSTANT)).absent("never"),
        Key::optional("trust", "What the host says of it.", Shape::Word(TRUST_WORDS)).default("\"verified\""),
    ],
    examples: &["{\"dns\": \"d7.devices.example.com\"}"],
    ..Object::PLAIN
};

const TEXT_OR_TEXTS: Shape = Shape::AnyOf(&[Shape::Text, Shape::List(&List::some_texts(Shape::Text, 100))]);

const TRUST_WORDS: &[(&str, &str)] = &[
    ("verified", "an authority that is trusted vouches for it"),
    ("revoked", "its authority has revoked it"),
    ("not-verified", "it was not verified"),
];

/// A step that is not a request.
pub(crate) static OTHER_STEP: Object = Object {
    name: "step",
    doc: "A step that advances the clock, purges the cache, makes stores unavailable or available, changes what issuers answer, \
          or is what an operator says about the outage of an identity provider. It has exactly one key.",
    keys: &[
        Key::optional("advance", "Advances the clock by this duration.", Shape::Quantity(Quantity::Duration))
            .examples(&["\"10s\""]),
        Key::optional("at", "Advances the clock to this time.", Shape::Ruled(&INSTANT)),
        Key::optional("purge", "Purges stored responses: `all`, or those of a URL.", Shape::Text)
            .examples(&["\"all\"", "\"/pets?page=1\""]),
        Key::optional("fault", "Makes stores unavailable, until `restore`.", Shape::Object(&FAULT))
            .examples(&["{\"counters\": \"down\"}"]),
        Key::optional("restore", "Makes stores available again.", RESTORED).examples(&["\"all\"", "[\"counters\"]"]),
        Key::optional(
            "issuers",
            "What changes at identity providers, by name: the keys that they publish, how they answer, or what becomes of people.",
            Shape::Named(&ISSUER_CHANGES),
        )
        .examples(&["{\"staff\": [\"k2\"]}", "{\"staff\": \"down\"}", "{\"staff\": {\"accounts\": {\"ada\": \"closed\"}}}"]),
        Key::optional(
            "idp-outage",
            "What an operator says about the outage of a policy's provider, as `tollgate idp-outage` does.",
            Shape::Object(&TEST_OUTAGE),
        )
        .examples(&["{\"policy\": \"staff\", \"allow\": [\"staff:ada\"], \"for\": \"30m\"}"]),
        Key::optional("product", "An operator writes a product, as `tollgate product set` does.", Shape::Object(&TEST_PRODUCT))
            .examples(&["{\"name\": \"pets\", \"apis\": [\"pets\"]}"]),
        Key::optional("plan", "An operator writes a plan, as `tollgate plan set` does.", Shape::Object(&TEST_PLAN))
            .examples(&["{\"name\": \"pro\", \"product\": \"pets\", \"limits\": [\"monthly=1000\"]}"]),
        Key::optional(
            "subscription",
            "An operator subscribes a consumer to a product, changes the plan, or ends the subscription, as `tollgate subscription` does.",
            Shape::Object(&TEST_SUBSCRIPTION),
        )
        .examples(&["{\"consumer\": \"acme\", \"product\": \"pets\", \"plan\": \"pro\"}"]),
        Key::optional("grant", "An operator raises a limit of a consumer for a while, as `tollgate grant new` does.", Shape::Object(&TEST_GRANT))
            .examples(&["{\"consumer\": \"acme\", \"limit\": \"monthly\", \"raise\": \"2000\", \"for\": \"7d\"}"]),
    ],
    rules: &[Rule::OneOf(&[
        "advance", "at", "purge", "fault", "restore", "issuers", "idp-outage", "product", "plan", "subscription", "grant",
    ])],
    ..Object::PLAIN
};

static ISSUER_CHANGES: Named = Named {
    names: &NAME,
    of: Shape::AnyOf(&[Shape::List(&KEY_IDS), Shape::Word(ISSUER_ANSWERS), Shape::Object(&TEST_ISSUER_CHANGE)]),
    max: usize::MAX,
};

const ISSUER_ANSWERS: &[(&str, &str)] = &[
    ("up", "with its metadata and keys"),
    ("down", "not at all"),
    ("html", "with a page in place of the metadata and keys"),
    ("large", "with 10 MiB"),
    ("slow", "after a minute"),
];

/// What an operator says about an outage.
pub(crate) static TEST_OUTAGE: Object = Object {
    name: "test-outage",
    doc: "What an operator says about the outage of a policy's provider, or what must be listed of it.",
    keys: &[
        Key::required("policy", "The policy.", Shape::Text).examples(&["\"staff\""]),
        Key::optional("allow", "Admits known tokens of these consumers.", TEXTS).examples(&["[\"staff:ada\"]"]),
        Key::optional("for", "For how long they are admitted.", Shape::Quantity(Quantity::Time)).default("\"30m\""),
        Key::optional("end", "Ends what is allowed.", Shape::Word(&[("now", "before its time")])),
        Key::optional("revoke", "Revokes the tokens that were admitted.", Shape::Word(&[("all", "all of them")])),
        Key::optional("revoke-consumers", "Revokes the tokens of these consumers that were issued until now.", TEXTS)
            .examples(&["[\"staff:ada\"]"]),
        Key::optional("admitted", "The consumers whose tokens were admitted so far, sorted.", TEXTS)
            .examples(&["[\"staff:ada\"]"]),
    ],
    rules: &[Rule::OneOf(&["allow", "end", "revoke", "revoke-consumers", "admitted"])],
    ..Object::PLAIN
};

pub(super) const TEXTS: Shape = Shape::List(&List::of(Shape::Text));

const PORT: Shape = Shape::Word(&[
    ("records", "the store of credentials, configuration and purges"),
    ("counters", "the counter store of limits"),
    ("cache", "the response cache"),
    ("secrets", "the store of secrets"),
    ("telemetry", "the receiver of telemetry"),
]);

const RESTORED: Shape = Shape::AnyOf(&[PORT, Shape::List(&PORTS), Shape::Word(&[("all", "all stores")])]);
static PORTS: List = List::of(PORT);

const DOWN: Shape = Shape::Word(&[("down", "the store is unavailable")]);

/// The stores that become unavailable.
pub(crate) static FAULT: Object = Object {
    name: "test-fault",
    doc: "Stores that become unavailable.",
    keys: &[
        Key::optional("records", "The store of credentials, configuration and purges.", DOWN),
        Key::optional("counters", "The counter store of limits.", DOWN),
        Key::optional("cache", "The response cache.", DOWN),
        Key::optional("secrets", "The store of secrets.", DOWN),
        Key::optional("telemetry", "The receiver of telemetry.", DOWN),
    ],
    ..Object::PLAIN
};

/// The expectation for a response.
pub(crate) static EXPECT: Object = Object {
    name: "expectation",
    doc: "The expectation for a response. Properties that are not set are not checked.",
    keys: &[
        Key::optional("status", "The status code, a class such as `2xx`, or a list of these.", STATUS_EXPECT)
            .examples(&["200", "\"2xx\"", "[200, 304]"]),
        Key::optional("headers", "Header fields of the response.", FIELD_EXPECTS),
        Key::optional("body", "The content of the response.", BODY_SHAPE),
        Key::optional(
            "problem",
            "The problem type of the response; `none`: the response is not a problem.",
            Shape::Word(&PROBLEMS),
        ),
        Key::optional("policy", "The policy that refused the request; `none`: no policy refused it.", Shape::Text),
        Key::optional("route", "The id of the route that matched; `none`: no route matched.", Shape::Text),
        Key::optional("operation", "The same as `route`.", Shape::Text),
        Key::optional("phase", "The phase that ended the exchange.", Shape::Word(PHASES)),
        Key::optional("consumer", "The authenticated consumer; `none`: no consumer was authenticated.", Shape::Text),
        Key::optional(
            "in-outage",
            "Whether the caller was admitted although the provider of its token is away.",
            Shape::Boolean,
        ),
        Key::optional("upstream", "The request that the upstream received.", Shape::Object(&UPSTREAM_EXPECT)),
        Key::optional("cache", "The result of the cache look-up.", Shape::Word(CACHE)),
        Key::optional("stored", "Whether the response was stored.", Shape::Boolean),
        Key::optional("quota", "The limits in the RateLimit fields of the response, by policy.", Shape::Named(&QUOTAS))
            .examples(&["{\"burst\": {\"remaining\": 3}}"]),
        Key::optional(
            "notices",
            "The notices of limits that the gateway sends after the response, in any order; `[]`: it sends none. A notice is one, however many \
             receivers are told.",
            Shape::List(&NOTICES),
        )
        .examples(&["[{\"limit\": \"monthly\", \"share\": \"80%\"}]"]),
        Key::optional(
            "retry-after",
            "The duration in the `Retry-After` field of the response.",
            Shape::Quantity(Quantity::Duration),
        ),
        Key::optional(
            "duration",
            "The duration of the exchange on the virtual clock.",
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
    doc: "A status code, or a class of status codes.",
    pattern: "^([1-5]xx|[1-9][0-9]{2})$",
    examples: &["2xx"],
};

const FIELD_EXPECTS: Shape = Shape::Named(&EXPECTED_FIELDS);
static EXPECTED_FIELDS: Named = Named {
    names: &FIELD,
    of: Shape::AnyOf(&[Shape::Text, ANY_INTEGER, Shape::Object(&TEXT_EXPECT)]),
    max: usize::MAX,
};

/// The expectation for a text.
pub(crate) static TEXT_EXPECT: Object = Object {
    name: "text-expectation",
    doc: "The expectation for a text; all keys that are set must apply.",
    keys: TEXT_KEYS,
    ..Object::PLAIN
};

const TEXT_KEYS: &[Key] = &[
    Key::optional("is", "The text equals this.", Shape::AnyOf(&[Shape::Text, ANY_INTEGER])),
    Key::optional("contains", "The text contains this.", Shape::AnyOf(&[Shape::Text, ANY_INTEGER])),
    Key::optional("matching", "A part of the text matches this regular expression.", Shape::Text)
        .examples(&["\"^W/\""]),
    Key::optional("present", "Whether the text is present.", Shape::Boolean),
    Key::optional("absent", "Whether the text is absent.", Shape::Boolean),
];

const BODY_SHAPE: Shape = Shape::AnyOf(&[Shape::Text, Shape::Object(&BODY_EXPECT)]);

/// The expectation for content.
pub(crate) static BODY_EXPECT: Object = Object {
    name: "content-expectation",
    doc: "The expectation for content; all keys that are set must apply.",
    keys: &[
        Key::optional("json", "The content is JSON with this value.", Shape::Anything),
        Key::optional("json-has", "The content is JSON with at least these members.", Shape::Anything),
        Key::optional("empty", "Whether the content is empty.", Shape::Boolean),
    ],
    shared: &[TEXT_KEYS],
    ..Object::PLAIN
};

static PROBLEMS: [(&str, &str); ProblemKind::ALL.len() + 1] = {
    let mut words = [("none", "the response is not a problem"); ProblemKind::ALL.len() + 1];
    let mut at = 0;
    while at < ProblemKind::ALL.len() {
        words[at] = (ProblemKind::ALL[at].slug(), ProblemKind::ALL[at].title());
        at += 1;
    }
    words
};

const PHASES: &[(&str, &str)] = &[
    ("receive", "the request was malformed"),
    ("route", "no route matches"),
    ("guard", "the request is too large, or a guard refused it"),
    ("authenticate", "the credential was missing or not valid"),
    ("authorize", "the credential lacks a scope"),
    ("limit", "a limit was exceeded"),
    ("look-up", "the response came from the cache"),
    ("forward", "the upstream sent the response, or failed"),
    ("store", "the response was being stored"),
    ("respond", "the response was being sent"),
];

const CACHE: &[(&str, &str)] = &[
    ("hit", "the response came from the cache"),
    ("miss", "no stored response could be used"),
    ("stale", "the stored response was stale, and the upstream sent a new one"),
    ("revalidated", "the stored response was stale, and the upstream confirmed it with 304"),
    ("bypass", "the cache was bypassed because of the request, or because it was unavailable"),
    ("request", "the client requested a new response"),
    ("method", "responses to this method are never served from the cache"),
    ("none", "the route has no cache, or the request ended before the look-up"),
];

static QUOTAS: Named = Named { names: &NAME, of: Shape::Object(&QUOTA_EXPECT), max: usize::MAX };

/// The expectation for the RateLimit fields of a limit.
pub(crate) static QUOTA_EXPECT: Object = Object {
    name: "quota-expectation",
    doc: "The expectation for a limit in the RateLimit fields of the response.",
    keys: &[
        Key::optional("remaining", "The remaining quota.", Shape::Integer(0, u32::MAX as i64)),
        Key::optional("limit", "The maximum of the quota.", Shape::Integer(0, u32::MAX as i64)),
        Key::optional(
            "reset",
            "The time until the quota is complete again, in whole seconds.",
            Shape::Quantity(Quantity::Duration),
        ),
    ],
    ..Object::PLAIN
};

static NOTICES: List = List::of(Shape::Object(&NOTICE_EXPECT));

/// The expectation for a notice of a limit.
pub(crate) static NOTICE_EXPECT: Object = Object {
    name: "notice-expectation",
    doc: "The expectation for a notice that a share of a limit is reached.",
    keys: &[
        Key::required("limit", "The limit.", Shape::Text).examples(&["\"monthly\""]),
        Key::required("share", "The share that is reached.", Shape::Ruled(&PERCENT)),
        Key::optional("consumer", "Whose limit it is; `none`: nobody's.", Shape::Text).examples(&["\"acme\""]),
        Key::optional("plan", "The plan of the consumer; `none`: it has none.", Shape::Text).examples(&["\"pro\""]),
        Key::optional("used", "What is used of the limit.", Shape::Integer(0, u32::MAX as i64)),
        Key::optional("quota", "The number of the limit.", Shape::Integer(0, u32::MAX as i64)),
    ],
    ..Object::PLAIN
};

/// The expectation for the request that an upstream received.
pub(crate) static UPSTREAM_EXPECT: Object = Object {
    name: "upstream-expectation",
    doc: "The expectation for the request that the upstream received. If it received several, the last one is checked.",
    keys: &[
        Key::optional("called", "Whether the upstream was called, or the number of calls.", CALLED)
            .examples(&["false", "1"]),
        Key::optional("name", "The name of the upstream that was called.", Shape::Ruled(&NAME)),
        Key::optional("method", "The method.", Shape::Ruled(&METHOD)),
        Key::optional("path", "The path.", Shape::Text),
        Key::optional("query", "The query; `none`: the request had no query.", Shape::Text),
        Key::optional("headers", "Header fields of the request.", FIELD_EXPECTS),
        Key::optional("body", "The content of the request.", BODY_SHAPE),
        Key::optional(
            "certificate",
            "The secret of the certificate that the gateway presents; `none`: it presents none.",
            Shape::Text,
        )
        .examples(&["\"PETS_CERTIFICATE\""]),
    ],
    ..Object::PLAIN
};

const CALLED: Shape = Shape::AnyOf(&[Shape::Boolean, Shape::Integer(0, 1000)]);
