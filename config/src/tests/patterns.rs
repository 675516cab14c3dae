//! The patterns of the tables accept what the parsers accept.

use std::sync::LazyLock;

use jsonschema::Validator;
use proptest::prelude::*;
use serde_json::json;
use tollgate_core::authn::ApiKey;
use tollgate_core::forward::UpstreamUrl;
use tollgate_core::guard::Cidr;
use tollgate_core::route::{HostPattern, PathTemplate};
use tollgate_core::secret::SecretText;
use tollgate_core::time::Timestamp;

use crate::model::target::Target;
use crate::schema::{Quantity, TextRule, pattern, texts, units};

fn matcher(pattern: &str) -> Validator {
    jsonschema::draft202012::new(&json!({ "pattern": pattern })).expect("a pattern")
}

/// Whether the compiler's parser accepts a text as a quantity.
fn is_read(quantity: Quantity, text: &str) -> bool {
    match quantity {
        Quantity::Duration => units::duration_ms(text).is_ok(),
        Quantity::Time => units::duration_ms(text).is_ok_and(|ms| ms > 0),
        Quantity::Size => units::size_bytes(text).is_ok(),
        Quantity::Rate => units::rate(text).is_ok(),
    }
}

const QUANTITIES: [Quantity; 4] = [Quantity::Duration, Quantity::Time, Quantity::Size, Quantity::Rate];

#[track_caller]
fn check_quantities(text: &str) {
    static PATTERNS: LazyLock<Vec<Validator>> =
        LazyLock::new(|| QUANTITIES.into_iter().map(|quantity| matcher(&pattern::of(quantity))).collect());
    for (quantity, pattern) in QUANTITIES.into_iter().zip(PATTERNS.iter()) {
        assert_eq!(pattern.is_valid(&text.into()), is_read(quantity, text), "{text:?} as {quantity:?}");
    }
}

#[test]
fn patterns_have_the_limits_of_the_parsers() {
    use units::{DURATION_MS_MAX, SIZE_BYTES_MAX, SIZE_UNITS, TIME_UNITS};
    for (max, units) in [(DURATION_MS_MAX, TIME_UNITS), (SIZE_BYTES_MAX, SIZE_UNITS), (u32::MAX.into(), TIME_UNITS)] {
        for (unit, factor) in units {
            let last = max / factor;
            for number in [0, 1, 2, 9, 10, 11, last / 2, last - 1, last, last + 1, last * 10, last + 10_000, u64::MAX] {
                check_quantities(&format!("{number}{unit}"));
                check_quantities(&format!("000{number}{unit}"));
                check_quantities(&format!("1/{number}{unit}"));
                check_quantities(&format!("{number}/{unit}"));
            }
        }
    }
}

/// A rule and the parser of such strings.
struct ParsedRule {
    rule: &'static TextRule,
    is_read: fn(&str) -> bool,
    /// Whether the pattern accepts only what the parser accepts. If not, the parser reports a code other than `TG02..`.
    is_exact: bool,
}

const fn exactly(rule: &'static TextRule, is_read: fn(&str) -> bool) -> ParsedRule {
    ParsedRule { rule, is_read, is_exact: true }
}

const fn at_least(rule: &'static TextRule, is_read: fn(&str) -> bool) -> ParsedRule {
    ParsedRule { rule, is_read, is_exact: false }
}

const RULES: &[ParsedRule] = &[
    exactly(&texts::NAME, |text| (1..=40).contains(&text.len()) && text.bytes().all(is_name_byte)),
    exactly(&texts::CURRENCY, crate::model::prices::is_currency),
    exactly(&texts::GATEWAY_NAME, |text| !text.is_empty() && tollgate_kv_schemas::keys::is_gateway_name(text)),
    exactly(&texts::FIELD_VALUE, |text| SecretText::parse(text).is_some()),
    exactly(&texts::FIELD, |text| http::HeaderName::from_bytes(text.as_bytes()).is_ok()),
    exactly(&texts::PERCENT, |text| units::percent(text).is_some()),
    exactly(&texts::TARGET, |text| text.parse::<Target>().is_ok()),
    at_least(&texts::NETWORK, |text| text.parse::<Cidr>().is_ok()),
    at_least(&texts::HOST, |text| text.parse::<HostPattern>().is_ok()),
    at_least(&texts::PATH, |text| text.parse::<PathTemplate>().is_ok()),
    at_least(&texts::URL, |text| text.parse::<UpstreamUrl>().is_ok()),
    at_least(&texts::KEY_TEXT, |text| ApiKey::parse(text).is_ok()),
    at_least(&texts::INSTANT, |text| Timestamp::from_rfc3339(text).is_some()),
];

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-'
}

#[track_caller]
fn check_rules(text: &str) {
    static PATTERNS: LazyLock<Vec<Validator>> =
        LazyLock::new(|| RULES.iter().map(|rule| matcher(rule.rule.pattern)).collect());
    for (rule, pattern) in RULES.iter().zip(PATTERNS.iter()) {
        let (matches, read) = (pattern.is_valid(&text.into()), (rule.is_read)(text));
        let agree = matches == read || (matches && !rule.is_exact);
        assert!(agree, "{text:?} as {}: the pattern returns {matches}, the parser {read}", rule.rule.name);
    }
}

#[test]
fn patterns_accept_the_strings_that_the_parsers_accept() {
    for text in [
        "api.example.com",
        "*.example.com",
        "*",
        "[::1]",
        "a.b.",
        "xn--e1afmkfd.org",
        "a_b",
        "1.2.3.4",
        "https://h",
        "http://[::1]:8/a b",
        "HTTP://h:80/",
        "/",
        "/{a}",
        "/a.{b}",
        "/{*r}",
        "2026-01-31T23:59:50Z",
        "2026-01-31t23:59:60.5+01:00",
        "2026-01-31 00:00:00z",
        "tg_dev_PWu2EyAB2NTHRtw96AWiraT6d9dxTqt420E1EW",
        "$",
        "$$",
        "${",
        "$${secret.A}",
        "${secret.A}$",
        "${secret.A}${secret.B}",
        "$a{",
        "${secret.}",
        "${secret.a}",
        "a-b",
        "-",
        "",
        "spin",
        "workers-free",
        "workers",
    ] {
        check_rules(text);
    }
}

proptest! {
    #[test]
    fn patterns_accept_every_string_that_the_parsers_accept(
        start in prop_oneof![Just(String::new()), "https?://", "\\*\\.", "/", "tg_", "\\$\\{secret\\.", "[0-9]{4}-[0-9]{2}-[0-9]{2}T"],
        middle in prop_oneof!["[a-zA-Z0-9.*:/{}?#@ _$%-]{0,8}", "[A-Z$}{]{0,5}", "[0-9]{2}:[0-9]{2}:[0-9]{2}", "\\PC{0,4}"],
        end in prop_oneof![Just(String::new()), "\\}", "[$]{1,3}", "Z", "[+-][0-9]{2}:[0-9]{2}"],
    ) {
        check_rules(&format!("{start}{middle}{end}"));
    }

    #[test]
    fn patterns_of_quantities_accept_exactly_what_the_parsers_accept(
        number in prop_oneof![Just(String::new()), "[0-9]{1,3}", "[0-9]{9,14}", "0{0,3}[0-9]{4,20}", "[+-][0-9]", "\\PC{1,3}"],
        unit in prop_oneof!["(ms|s|m|min|h|d|B|KiB|MiB|GiB)", "[a-zA-Z]{0,3}", "\\PC{0,2}"],
        period in prop_oneof![Just(String::new()), "/(ms|s|m|min|h|d)", "/[0-9]{1,12}(ms|s|m|min|h|d)", "/\\PC{0,3}"],
    ) {
        check_quantities(&format!("{number}{unit}"));
        check_quantities(&format!("{number}{period}"));
        check_quantities(&format!("{number}{unit}{period}"));
    }
}
