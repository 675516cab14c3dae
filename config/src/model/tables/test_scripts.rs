//! What upstreams and services of policy tests answer.

use tollgate_core::forward::UpstreamError;

use crate::schema::texts::{FIELD, METHOD};
use crate::schema::{Key, List, Named, Object, Quantity, Rule, Shape};

pub(super) const SCRIPT_OR_ANSWERS: Shape = Shape::AnyOf(&[Shape::Object(&SCRIPT), Shape::List(&ANSWERS)]);
pub(super) const ANSWER_OR_ANSWERS: Shape = Shape::AnyOf(&[Shape::Object(&ANSWER), Shape::List(&ANSWERS)]);
static ANSWERS: List = List { min: 1, ..List::of(Shape::Object(&ANSWER)) };
static RULES: List = List::of(Shape::Object(&RULE));

/// The script of an upstream.
pub(crate) static SCRIPT: Object = Object {
    name: "upstream-script",
    doc: "The responses of an upstream: always the same, a sequence, or by rules for the request.",
    keys: &[
        Key::optional(
            "rules",
            "Responses to certain requests; the first rule that matches is used.",
            Shape::List(&RULES),
        )
        .absent("none"),
        SEQUENCE,
    ],
    shared: &[ANSWER_KEYS],
    examples: &["{\"status\": 200, \"delay\": \"50ms\"}"],
    rules: &[Rule::SomeOf(SCRIPT_NEEDS), Rule::Excludes("answers", SINGLE_ANSWER), FAILING],
    ..Object::PLAIN
};

/// A rule of a script.
pub(crate) static RULE: Object = Object {
    name: "upstream-rule",
    doc: "Responses to certain requests.",
    keys: &[
        Key::optional("method", "The method.", Shape::Ruled(&METHOD)).absent("any"),
        Key::optional("path", "The path that the upstream receives; `*` matches any text.", Shape::Text)
            .absent("any")
            .examples(&["\"/pets/*\""]),
        Key::optional("route", "The id of the route that matched the request.", Shape::Text).absent("any"),
        Key::optional("content", "The content that is received; `*` matches any text.", Shape::Text)
            .absent("any")
            .examples(&["\"token=abc&*\""]),
        SEQUENCE,
    ],
    shared: &[ANSWER_KEYS],
    rules: &[Rule::SomeOf(RULE_NEEDS), Rule::Excludes("answers", SINGLE_ANSWER), FAILING],
    ..Object::PLAIN
};

const SEQUENCE: Key =
    Key::optional("answers", "A sequence of responses; the last one is repeated.", Shape::List(&ANSWERS));

/// A response of an upstream.
pub(crate) static ANSWER: Object = Object {
    name: "upstream-answer",
    doc: "A response of an upstream, or a failure.",
    shared: &[ANSWER_KEYS],
    examples: &["{\"status\": 503}", "{\"fail\": \"connection_refused\"}"],
    rules: &[FAILING],
    ..Object::PLAIN
};

/// The keys of which a script has at least one.
const SCRIPT_NEEDS: &[&str] = &["rules", "answers", "status", "headers", "body", "delay", "fail", "breaks"];

/// The keys of which a rule has at least one.
const RULE_NEEDS: &[&str] = &["answers", "status", "headers", "body", "delay", "fail", "breaks"];

/// The keys of a single response, which cannot be combined with a list of responses.
const SINGLE_ANSWER: &[&str] = &["status", "headers", "body", "delay", "fail", "breaks"];

/// An upstream that fails sends no response.
const FAILING: Rule = Rule::Excludes("fail", &["status", "headers", "body", "breaks"]);

const ANSWER_KEYS: &[Key] = &[
    Key::optional("status", "The status code.", Shape::Integer(200, 999)).default("200"),
    Key::optional("headers", "Header fields of the response.", FIELD_LINES).absent("none"),
    Key::optional("body", "The content.", CONTENT_SHAPE).absent("none"),
    Key::optional("delay", "The time until the response begins.", Shape::Quantity(Quantity::Duration))
        .default("\"0s\""),
    Key::optional(
        "fail",
        "The upstream fails with this error of RFC 9209 instead of a response.",
        Shape::Word(&ERRORS),
    )
    .examples(&["\"connection_refused\""]),
    Key::optional("breaks", "Whether the connection breaks at the end of the content.", Shape::Boolean)
        .default("false"),
];

/// The errors of upstreams that a script can cause.
pub(crate) const UPSTREAM_ERRORS: [UpstreamError; 17] = [
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
    UpstreamError::TlsAlertReceived,
    UpstreamError::OwnCertificateUnusable,
    UpstreamError::HttpResponseTimeout,
    UpstreamError::HttpResponseIncomplete,
    UpstreamError::HttpProtocolError,
    UpstreamError::RequestContentBroken,
    UpstreamError::ProxyInternalError,
];

static ERRORS: [(&str, &str); UPSTREAM_ERRORS.len()] = {
    let mut words = [("", "defined in RFC 9209, section 2.3"); UPSTREAM_ERRORS.len()];
    let mut at = 0;
    while at < words.len() {
        words[at].0 = UPSTREAM_ERRORS[at].proxy_status();
        at += 1;
    }
    words
};

pub(super) const FIELD_LINES: Shape = Shape::Named(&FIELDS);
static FIELDS: Named = Named { names: &FIELD, of: FIELD_VALUE, max: usize::MAX };
const FIELD_VALUE: Shape = Shape::AnyOf(&[Shape::Text, ANY_INTEGER, Shape::List(&LINES)]);
static LINES: List = List::of(Shape::AnyOf(&[Shape::Text, ANY_INTEGER]));
pub(super) const ANY_INTEGER: Shape = Shape::Integer(i64::MIN, i64::MAX);

pub(super) const CONTENT_SHAPE: Shape = Shape::AnyOf(&[Shape::Text, Shape::Object(&CONTENT)]);

/// Content that is sent.
pub(crate) static CONTENT: Object = Object {
    name: "test-content",
    doc: "The content of a message: one of `text`, `json` and `size`.",
    keys: &[
        Key::optional("text", "The content as a string.", Shape::Text),
        Key::optional("json", "A value that is sent as JSON, with the media type `application/json`.", Shape::Anything),
        Key::optional("size", "Generated content of this size.", Shape::Quantity(Quantity::Size))
            .examples(&["\"2MiB\""]),
        Key::optional("declared", "Whether `Content-Length` is sent.", Shape::Boolean).default("true"),
    ],
    rules: &[Rule::OneOf(&["text", "json", "size"])],
    ..Object::PLAIN
};
