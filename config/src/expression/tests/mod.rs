//! Tests of expressions from text to value: cases in the manner of CEL's conformance tests, and messages for faults.

mod random;

use std::net::IpAddr;

use http::{HeaderMap, HeaderValue, Method};
use tollgate_core::authn::Principal;
use tollgate_core::client::Location;
use tollgate_core::expression::{EvaluationError, Facts};
use tollgate_core::jose::{Members, Value as Json};
use tollgate_core::route::{CanonicalPath, HostName, PathTemplate, RequestHead};
use tollgate_core::time::Timestamp;

use super::compile;

/// A request with all parts that expressions read.
struct Request {
    method: Method,
    path: CanonicalPath,
    query: String,
    fields: HeaderMap,
    host: HostName,
    template: PathTemplate,
    principal: Option<Principal>,
    address: Option<IpAddr>,
    location: Location,
}

impl Request {
    fn new() -> Self {
        let mut fields = HeaderMap::new();
        fields.insert("x-a", HeaderValue::from_static("alpha"));
        fields.append("x-twice", HeaderValue::from_static("one"));
        fields.append("x-twice", HeaderValue::from_static("two"));
        fields.insert("x-bytes", HeaderValue::from_bytes(b"\xff").expect("a value"));
        let claims =
            br#"{"n": 5, "t": "alpha", "f": 2.5, "b": true, "nil": null, "list": ["a", 7], "o": {"in": {"ner": "x"}}}"#;
        let claims = Members::parse(claims).expect("an object");
        let paths =
            [vec!["n"], vec!["t"], vec!["f"], vec!["b"], vec!["nil"], vec!["list"], vec!["o"], vec!["o", "in", "ner"]];
        let paths = paths.map(|path| path.into_iter().map(str::to_owned).collect::<Vec<_>>());
        let principal = Principal::new("acme".into(), "k1".into(), None, vec!["read".into(), "write".into()])
            .with_groups(vec!["ops".into(), "staff".into()])
            .with_claims(&paths, &claims);
        Self {
            method: Method::POST,
            path: CanonicalPath::parse(b"/shops/7/caf%C3%A9/x/y").expect("a path"),
            query: "page=12&%61ction=de%6Cete+all&dup=1&d%75p=2&flag&sort[]=a&x=1;mode=2".into(),
            fields,
            host: HostName::from_authority("api.example.com").expect("a host"),
            template: "/shops/{id}/{name}/{*rest}".parse().expect("a template"),
            principal: Some(principal),
            address: "192.0.2.7".parse().ok(),
            location: Location::new("DE", "3320"),
        }
    }

    fn facts(&self) -> Facts<'_> {
        Facts {
            head: RequestHead {
                method: &self.method,
                path: &self.path,
                query: Some(&self.query),
                fields: &self.fields,
            },
            host: &self.host,
            template: &self.template,
            address: self.address,
            location: &self.location,
            principal: self.principal.as_ref(),
            now: Timestamp::from_rfc3339("2026-03-01T08:30:00Z").expect("an instant"),
        }
    }
}

#[track_caller]
fn holds(text: &str) -> Result<bool, EvaluationError> {
    let expression = compile(text).unwrap_or_else(|fault| panic!("{text}\n{fault:?}"));
    assert!(expression.is_coherent());
    expression.holds(&Request::new().facts())
}

/// Checks cases `expression => result`, a line each; `error` is any error.
#[track_caller]
fn check(cases: &str) {
    for case in cases.lines().map(str::trim).filter(|case| !case.is_empty()) {
        let (text, want) = case.rsplit_once(" => ").unwrap_or_else(|| panic!("{case}"));
        let found = holds(text).map_or_else(|_| "error".to_owned(), |value| value.to_string());
        assert_eq!(found, want, "{text}: {:?}", holds(text));
    }
}

#[test]
fn an_error_in_one_operand_does_not_matter_if_the_other_decides() {
    check(
        r"
        true || 1 / 0 == 1 => true
        1 / 0 == 1 || true => true
        false && 1 / 0 == 1 => false
        1 / 0 == 1 && false => false
        false || 1 / 0 == 1 => error
        1 / 0 == 1 || false => error
        true && 1 / 0 == 1 => error
        1 / 0 == 1 && true => error
        1 / 0 == 1 || 1 % 0 == 1 => error
        1 / 0 == 1 || 2 / 0 == 1 || true => true
        true ? true : 1 / 0 == 1 => true
        false ? 1 / 0 == 1 : false => false
        1 / 0 == 1 ? true : true => error
        !(1 / 0 == 1) => error
        !(1 / 0 == 1 && false) => true
        ",
    );
}

#[test]
fn operators_have_cels_precedence_and_group_from_the_left() {
    check(
        r"
        1 + 2 * 3 == 7 => true
        (1 + 2) * 3 == 9 => true
        10 - 3 - 2 == 5 => true
        100 / 10 / 2 == 5 => true
        2 * 7 % 4 == 2 => true
        -2 * 3 == -6 => true
        true || false && false => true
        (true || false) && false => false
        1 < 2 == true => true
        !true || true => true
        !false && !false => true
        !!true => true
        false ? false : true ? true : false => true
        true // a comment => true
        ",
    );
}

#[test]
fn integers_have_64_bits_and_overflow_is_an_error() {
    check(
        r"
        9223372036854775807 == 0x7fffffffffffffff => true
        -9223372036854775808 < -9223372036854775807 => true
        9223372036854775807 + 1 > 0 => error
        -9223372036854775808 - 1 < 0 => error
        -9223372036854775808 / -1 > 0 => error
        -(-9223372036854775808) > 0 => error
        4294967296 * 4294967296 > 0 => error
        7 / 2 == 3 => true
        -7 / 2 == -3 => true
        7 / -2 == -3 => true
        -7 % 2 == -1 => true
        7 % -2 == 1 => true
        0 % 7 == 0 => true
        --5 == 5 => true
        -(5) == -5 => true
        ",
    );
}

#[test]
fn floating_point_numbers_follow_ieee_754() {
    check(
        r"
        1.5 + 1.5 == 3.0 => true
        1e3 == 1000.0 => true
        .5 == 0.5 => true
        1.0 / 0.0 > 1e300 => true
        -1.0 / 0.0 < -1e300 => true
        0.0 / 0.0 == 0.0 / 0.0 => false
        0.0 / 0.0 != 0.0 / 0.0 => true
        0.0 / 0.0 < 1.0 => false
        0.0 / 0.0 >= 1.0 => false
        0.0 == -0.0 => true
        int(2.9) == 2 => true
        int(-2.9) == -2 => true
        int(1e20) > 0 => error
        ",
    );
}

#[test]
fn texts_are_compared_by_code_point_and_have_escapes() {
    check(
        r#"
        "a" < "b" && "a" < "aa" && "Z" < "a" => true
        "\u00e9" == 'é' && "\x41\102\U00000043" == "ABC" => true
        r"\n" == "\\n" => true
        '''it's "it"''' == "it's \"it\"" => true
        size("caf\u00e9") == 4 && "abc".size() == 3 && size("") == 0 => true
        "a" + "b" + "" == "ab" => true
        "abc".startsWith("ab") && "abc".endsWith("bc") && "abc".contains("b") => true
        "abc".startsWith("") && "".contains("") => true
        "abc".startsWith("b") || "abc".endsWith("b") || "abc".contains("ac") => false
        "é" == "e\u0301" => false
        int("42") == 42 && int("-7") == -7 => true
        int("4 2") == 42 => error
        int("") == 0 => error
        int("9223372036854775808") > 0 => error
        "\a\b\f\n\r\t\v\?\`" != "" => true
        "#,
    );
}

#[test]
fn lists_are_searched_compared_and_indexed() {
    check(
        r#"
        2 in [1, 2, 3] => true
        "d" in ["a", "b"] => false
        1 in [] => false
        [1, 2] == [1, 2] && [1] != [2] && [] == [] => true
        [1, 2] == [2, 1] => false
        [1, 2] == [1, 2, 3] => false
        [1, 2][1] == 2 => true
        [1, 2][2] == 2 => error
        [1, 2][-1] == 2 => error
        size([1, 2, 3]) == 3 && [].size() == 0 => true
        2 in [1 / 0, 2] => error
        [1, 2,] == [1, 2] => true
        "#,
    );
}

#[test]
fn macros_absorb_errors_as_the_operators_do() {
    check(
        r#"
        [1, 2].all(x, x > 0) && [].all(x, x > 0) => true
        [1, 2].exists(x, x > 1) => true
        [].exists(x, x > 0) => false
        [1, 2, 3].exists_one(x, x > 2) => true
        [1, 2, 3].exists_one(x, x > 1) => false
        [0, 1].all(x, 1 / x < 0) => false
        [0, 1].all(x, 1 / x > 0) => error
        [0, 1].exists(x, 1 / x > 0) => true
        [0, 1].exists(x, 1 / x < 0) => error
        [0, 1].exists_one(x, 1 / x > 0) => error
        [1, 2].all(x, [3, 4].all(y, x < y)) => true
        [1, 5].all(x, [3, 4].exists(y, x < y)) => false
        [1, 2].exists(x, x == 2 && [x].exists(y, y == x)) => true
        [1, 2].exists(x, [3].exists(x, x == 3)) => true
        principal.scopes.exists(s, s == "write") && principal.groups.all(g, size(g) > 2) => true
        "#,
    );
}

#[test]
fn instants_and_durations_are_computed_with() {
    check(
        r#"
        timestamp("2009-02-13T23:31:30Z").getFullYear() == 2009 => true
        timestamp("2009-02-13T23:31:30Z").getMonth() == 1 => true
        timestamp("2009-02-13T23:31:30Z").getDate() == 13 => true
        timestamp("2009-02-13T23:31:30Z").getDayOfMonth() == 12 => true
        timestamp("2009-02-13T23:31:30Z").getDayOfWeek() == 5 => true
        timestamp("2009-02-13T23:31:30Z").getHours() == 23 => true
        timestamp("2009-02-13T23:31:30Z").getHours("+02:00") == 1 => true
        timestamp("2009-02-13T23:31:30Z").getDate("+02:00") == 14 => true
        timestamp("2009-02-13T23:31:30Z").getMinutes("-05:45") == 46 => true
        timestamp("2009-02-13T23:31:30Z").getSeconds("UTC") == 30 => true
        timestamp("2009-02-13T23:31:30Z") + duration("1h") == timestamp("2009-02-14T00:31:30Z") => true
        timestamp("2009-02-14T00:00:00Z") - timestamp("2009-02-13T00:00:00Z") == duration("24h") => true
        timestamp("2009-02-13T23:31:30+01:00") < timestamp("2009-02-13T23:31:30Z") => true
        timestamp("9999-12-31T23:59:59Z") + duration("1s") > now => error
        duration("1h30m") == duration("90m") && duration("1.5s") == duration("1500ms") => true
        duration("-1m") < duration("0") && duration("1us") > duration("0s") => true
        now >= timestamp("2026-01-01T00:00:00Z") && now.getHours() == 8 => true
        int(timestamp("1970-01-01T00:01:00Z")) == 60 => true
        timestamp("2026-03-29T00:59:59Z").getHours("Europe/Berlin") == 1 => true
        timestamp("2026-03-29T01:00:00Z").getHours("Europe/Berlin") == 3 => true
        timestamp("2026-06-30T22:30:00Z").getDate("Europe/Berlin") == 1 => true
        now.getHours("Asia/Tokyo") == 17 && now.getHours("Asia/Tokyo") == 17 => true
        now.getHours("America/New_York") == 3 && now.getDayOfWeek("America/New_York") == 0 => true
        "#,
    );
}

#[test]
fn requests_are_read_as_upstreams_read_them() {
    check(
        r#"
        request.method == "POST" && request.host == "api.example.com" => true
        request.path == "/shops/7/caf%C3%A9/x/y" => true
        request.headers["x-a"] == "alpha" && request.headers["X-A"] == "alpha" => true
        request.headers["x-b"] == "alpha" => error
        request.headers["x-b"] != "alpha" => error
        request.headers["x-twice"] != "one" => error
        request.headers["x-bytes"] != "one" => error
        "x-a" in request.headers && !("x-b" in request.headers) && "x-twice" in request.headers => true
        request.query["action"] == "delete all" && "action" in request.query => true
        request.query["flag"] == "" && has(request.query.flag) => true
        request.query["dup"] != "3" => error
        "dup" in request.query => true
        int(request.query.page) <= 100 => true
        "sort" in request.query && "mode" in request.query => true
        request.query.sort == "a" => error
        request.query.mode != "3" => error
        request.query["sort[]"] == "a" => true
        params.id == "7" && params.name == "café" && params.rest == "x/y" => true
        has(params.id) && !has(params.other) => true
        client.address == ip("192.0.2.7") && client.address != ip("::1") => true
        cidr("192.0.2.0/24").containsIP(client.address) => true
        cidr("2001:db8::/32").containsIP(client.address) => false
        client.country in ["DE", "AT"] && client.asn == 3320 => true
        has(client.country) && has(client.asn) => true
        "#,
    );
}

#[test]
fn callers_are_read_with_the_claims_of_their_tokens() {
    check(
        r#"
        principal.consumer == "acme" && "read" in principal.scopes && "staff" in principal.groups => true
        has(principal.plan) => false
        principal.plan != "free" => error
        principal.claims.n == 5 && principal.claims.n > 4 && principal.claims.n + 1 == 6 => true
        principal.claims.n == 5.0 && principal.claims.f < 3 => true
        principal.claims.n == "5" => false
        principal.claims.n < "5" => error
        principal.claims.t == "alpha" && principal.claims.t.startsWith("al") => true
        principal.claims.t == request.headers["x-a"] => true
        principal.claims.b => true
        principal.claims.t => error
        principal.claims.nil == null && has(principal.claims.nil) => true
        principal.claims.missing == null => error
        "a" in principal.claims.list && 7 in principal.claims.list && !("b" in principal.claims.list) => true
        principal.claims.list[1] == 7 && size(principal.claims.list) == 2 => true
        principal.claims.list.exists(x, x == "a") => true
        principal.claims.o["in"].ner == "x" && "o" in principal.claims => true
        principal.claims.o == principal.claims.o => false
        has(principal.claims.o) && !has(principal.claims.p) => true
        "#,
    );
    let mut public = Request::new();
    public.principal = None;
    let of = |text: &str| compile(text).expect("an expression").holds(&public.facts());
    assert_eq!(of("has(principal.consumer)"), Ok(false));
    public.location = Location::default();
    let of = |text: &str| compile(text).expect("an expression").holds(&public.facts());
    assert_eq!(of("has(client.country) || has(client.asn)"), Ok(false));
    assert!(of("client.country != \"US\"").is_err() && of("client.asn > 0").is_err());
    assert!(of("principal.consumer != \"a\"").is_err() && of("size(principal.groups) == 0").is_err());
}

#[track_caller]
fn check_fault(text: &str, marked: &str, what: &str, fix: &str) {
    let fault = compile(text).expect_err(text);
    assert_eq!(text.get(fault.at.clone()), Some(marked), "{text}: {fault:?}");
    assert!(fault.what.contains(what), "{text}: {fault:?}");
    assert!(fault.fix.contains(fix), "{text}: {fault:?}");
    assert!(!fault.why.is_empty() || fault.what.contains("in a row"), "{text}: {fault:?}");
}

#[test]
fn faults_say_where_and_what_to_write() {
    for (text, marked, what, fix) in [
        ("", "", "ends too early", "add a value"),
        ("request.method = \"GET\"", "=", "`=` has no meaning here", "`==`"),
        ("request.method == \"GET\" and true", "and", "`and`", "`&&`"),
        ("not true", "true", "`true`", ""),
        ("true & false", "&", "`&` has no meaning", "`&&`"),
        ("true | false", "|", "`|` has no meaning", "`||`"),
        ("(true", "", "ends too early", "`)`"),
        ("[1, 2", "", "ends too early", "`]`"),
        ("\"abc", "\"abc", "a text without an end", "add \""),
        ("\"a\\qb\" == \"\"", "\\q", "is not an escape", "raw text"),
        ("b\"a\" == \"a\"", "b\"", "byte string", "write a text"),
        ("5u == 5", "5u", "is not a number", "remove `u`"),
        ("10m > 5", "10m", "is not a number", "duration"),
        ("99999999999999999999 > 0", "99999999999999999999", "is not a number", "smaller"),
        ("9223372036854775808 > 0", "9223372036854775808", "out of range", "smaller"),
        ("{\"a\": 1} == {}", "{", "a map", "list"),
        ("request.methd == \"GET\"", "methd", "no member `methd`", "`method`"),
        ("request.header[\"x\"] == \"a\"", "header", "no member `header`", "request.headers"),
        ("request.headers == \"a\"", "request.headers", "not a value", "request.headers["),
        ("request == \"a\"", "request", "not a value", "request.path"),
        ("request.method.name == \"a\"", "method", "no such member", "request.method"),
        ("jwt.sub == \"a\"", "jwt", "not defined", "principal.claims"),
        ("request.headers[request.method] == \"a\"", "request.method", "computed", "[\"name\"]"),
        ("request.headers[\"a b\"] == \"a\"", "\"a b\"", "not the name of a header field", "x-version"),
        ("request.method == 5", "request.method", "`==` of a text and an integer", "int("),
        ("request.query[\"page\"] > 5", "request.query[\"page\"]", "a text and an integer", "int("),
        ("client.address == \"10.0.0.1\"", "\"10.0.0.1\"", "an address and a text", "ip("),
        ("now > \"2026-01-01T00:00:00Z\"", "\"2026-01-01T00:00:00Z\"", "a timestamp and a text", "timestamp("),
        ("principal.groups == \"ops\"", "principal.groups == \"ops\"", "a list of texts and a text", "in list"),
        ("\"ops\" in request.path", "request.path", "a text in place of a list", ""),
        ("client.address in cidr(\"10.0.0.0/8\")", "cidr(\"10.0.0.0/8\")", "a network in place of a list", ""),
        ("request.method", "request.method", "the expression is a text", "compare"),
        ("request.method && true", "request.method", "a text in place of true or false", "compare"),
        ("!request.method", "request.method", "a text in place of true or false", "compare"),
        ("[1, \"a\"] == []", "\"a\"", "a text in place of an integer", "int("),
        ("[[1]] == []", "[1]", "a list within a list", "one by one"),
        ("true ? 1 : \"a\" == \"a\"", "true ? 1 : \"a\" == \"a\"", "", ""),
        ("request.path.matches(\"^/a\")", "matches", "no function `matches`", "startsWith"),
        ("request.path.startswith(\"/a\")", "startswith", "no function `startswith`", "`startsWith`"),
        ("len(request.path) > 5", "len", "no function `len`", "size"),
        ("string(5) == \"5\"", "string", "no function", "`int` is offered"),
        ("size() == 5", "size", "does not take 0 arguments", "docs/policies/condition.md"),
        ("cidr(\"10.0.0.1/8\").containsIP(client.address)", "\"10.0.0.1/8\"", "not a valid network", "cidr("),
        (
            "cidr(request.host).containsIP(client.address)",
            "cidr(request.host)",
            "a text that is written there",
            "cidr(",
        ),
        ("timestamp(\"2026-01-01\") < now", "\"2026-01-01\"", "not a valid timestamp", "timestamp("),
        ("duration(\"1d\") < duration(\"2h\")", "\"1d\"", "not a valid duration", "duration("),
        ("duration(\"1.5us\") < duration(\"2h\")", "\"1.5us\"", "not a valid duration", "duration("),
        ("now.getHours(\"Europe/Berln\") > 8", "\"Europe/Berln\"", "not a zone", "Europe/Berlin"),
        ("now.getHours(\"Berlin\") > 8", "\"Berlin\"", "not a zone", "Europe/Berlin"),
        ("now.getHours(\"+15:00\") > 8", "\"+15:00\"", "not a zone", ""),
        ("now.getHours(request.host) > 8", "request.host", "not a zone", "Europe/Berlin"),
        ("client.geo == \"DE\"", "geo", "no member `geo`", "client.country"),
        ("has(5)", "5", "`has` of what has no members", "has("),
        ("principal.groups.exists(\"a\")", "principal.groups.exists(\"a\")", "without a variable", "exists(x"),
        ("principal.groups.exists(request, true)", "request", "cannot be a variable", "another name"),
        ("principal.groups.map(g, g) == []", "map", "no function `map`", "`exists`"),
        ("x == 5", "x", "`x` is not defined", ""),
        ("if == 5", "if", "reserved word", "another name"),
        ("true true", "true", "`true` in place of the end", ""),
        ("1 +", "", "ends too early", "a value"),
        ("a.b.c == 1", "a", "`a` is not defined", ""),
    ] {
        if text.starts_with("true ?") {
            assert!(compile(text).is_err(), "{text}");
        } else {
            check_fault(text, marked, what, fix);
        }
    }
}

#[test]
fn expressions_are_bounded() {
    let many = vec!["request.method == \"GET\""; 120].join(" || ");
    assert!(compile(&many).is_ok(), "a long chain of alternatives is not deep");
    for (text, what) in [
        (vec!["request.method == \"GET\""; 400].join(" || "), "bytes"),
        (format!("{}true{}", "(".repeat(60), ")".repeat(60)), "nested"),
        (format!("{}true", "!".repeat(60)), "in a row"),
        (format!("{} == 1", vec!["1"; 60].join(" + ")), "in a row"),
        (format!("{} == 1", vec!["1"; 40].join(" + ")), "too large"),
        (vec!["1 in [1]"; 200].join(" || "), "too large"),
        ("principal.groups.all(a, principal.groups.all(b, principal.groups.all(c, a == b)))".to_owned(), "too large"),
    ] {
        let fault = compile(&text).expect_err(what);
        assert!(fault.what.contains(what), "{fault:?}");
    }
}

#[test]
fn the_claims_that_are_kept_are_those_that_are_named() {
    let claims = Members::parse(br#"{"a": 1, "b": {"c": 2, "d": 3}, "big": "0123456789"}"#).expect("an object");
    let path = |text: &str| text.split('.').map(str::to_owned).collect::<Vec<_>>();
    let caller = Principal::new("a".into(), "k".into(), None, vec![])
        .with_claims(&[path("a"), path("b.c"), path("b.x")], &claims);
    assert_eq!(caller.claim(&path("a")), Some(&Json::Integer(1)));
    assert_eq!(caller.claim(&path("b.c")), Some(&Json::Integer(2)));
    assert_eq!(
        (caller.claim(&path("b.x")), caller.claim(&path("b.d")), caller.claim(&path("big"))),
        (None, None, None)
    );
}
