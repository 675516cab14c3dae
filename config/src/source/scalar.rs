//! The value of a plain scalar in the core schema of YAML 1.2, and where YAML 1.1 differs.

use super::Value;

/// The value of a plain (unquoted) scalar in the core schema (YAML 1.2.2, section 10.3.2).
pub(crate) fn resolve(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" => Value::Bool(true),
        "false" | "False" | "FALSE" => Value::Bool(false),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => Value::Float(f64::INFINITY),
        "-.inf" | "-.Inf" | "-.INF" => Value::Float(f64::NEG_INFINITY),
        ".nan" | ".NaN" | ".NAN" => Value::Float(f64::NAN),
        _ => number(text).unwrap_or_else(|| Value::Text(text.to_owned())),
    }
}

/// The boolean that a YAML 1.1 parser reads in a plain scalar which is text in YAML 1.2.
pub(crate) fn yaml_1_1_boolean(text: &str) -> Option<bool> {
    match text {
        "y" | "Y" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => Some(true),
        "n" | "N" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => Some(false),
        _ => None,
    }
}

/// Whether a plain scalar is a number in YAML 1.1 and something else in YAML 1.2: in 1.1, `0777` is octal, `1_000` has
/// a separator, `12:30` is sexagesimal, `0b1` is binary.
pub(super) fn is_yaml_1_1_number(text: &str) -> bool {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let octal = unsigned.len() > 1 && unsigned.starts_with('0') && digits(unsigned);
    let separated = unsigned.contains('_')
        && unsigned.starts_with(|c: char| c.is_ascii_digit())
        && unsigned.bytes().all(|b| b.is_ascii_digit() || b == b'_');
    let binary = unsigned
        .strip_prefix("0b")
        .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|b| b == b'0' || b == b'1'));
    octal || separated || binary || is_sexagesimal(unsigned)
}

/// `[1-9][0-9]*(:[0-5]?[0-9])+`
fn is_sexagesimal(text: &str) -> bool {
    let mut parts = text.split(':');
    let first = parts.next().unwrap_or_default();
    let is_first = first.bytes().all(|b| b.is_ascii_digit()) && first.starts_with(|c: char| ('1'..='9').contains(&c));
    let sixties = |part: &str| {
        (1..=2).contains(&part.len())
            && part.bytes().all(|b| b.is_ascii_digit())
            && part.parse().is_ok_and(|n: u8| n < 60)
    };
    is_first && text.contains(':') && parts.all(sixties)
}

fn number(text: &str) -> Option<Value> {
    if let Some(digits) = text.strip_prefix("0x") {
        return radix(digits, 16);
    }
    if let Some(digits) = text.strip_prefix("0o") {
        return radix(digits, 8);
    }
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    if !unsigned.is_empty() && unsigned.bytes().all(|b| b.is_ascii_digit()) {
        return text.parse().map(Value::Integer).or_else(|_| text.parse().map(Value::Float)).ok();
    }
    is_decimal(unsigned).then(|| text.parse().map(Value::Float).ok())?
}

fn radix(digits: &str, radix: u32) -> Option<Value> {
    // `from_str_radix` accepts a sign, which the schema does not allow here.
    let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_hexdigit());
    plain.then(|| i64::from_str_radix(digits, radix).map(Value::Integer).ok())?
}

/// `( \. [0-9]+ | [0-9]+ ( \. [0-9]* )? ) ( [eE] [-+]? [0-9]+ )?`
fn is_decimal(text: &str) -> bool {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (text, None),
    };
    let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let has_mantissa = digits(whole) && digits(fraction) && !(whole.is_empty() && fraction.is_empty());
    let has_exponent = exponent.is_none_or(|part| {
        let number = part.strip_prefix(['-', '+']).unwrap_or(part);
        !number.is_empty() && digits(number)
    });
    has_mantissa && has_exponent
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &Value) {
        assert_eq!(&resolve(text), expected, "{text}");
    }

    #[test]
    fn plain_scalars_have_the_values_of_the_core_schema() {
        for (text, value) in [("0", 0), ("-12", -12), ("+7", 7), ("010", 10), ("0o17", 15), ("0xfF", 255)] {
            check(text, &Value::Integer(value));
        }
        for (text, value) in [("1.5", 1.5), (".5", 0.5), ("1.", 1.0), ("-1e3", -1000.0), ("1E-2", 0.01)] {
            check(text, &Value::Float(value));
        }
        for text in ["", "~", "null"] {
            check(text, &Value::Null);
        }
        check("True", &Value::Bool(true));
    }

    #[test]
    fn numbers_that_differ_in_yaml_1_1_are_detected() {
        for text in ["0777", "-010", "08", "1_000", "1__0", "12:30", "12:30:45", "0b101"] {
            assert!(is_yaml_1_1_number(text), "{text}");
        }
        for text in
            ["0", "7", "-1", "0x1F", "0o17", "1.5", "_1", "1:60", "01:30:99", "::1", "a:1", "12:", ":30", "10s", ""]
        {
            assert!(!is_yaml_1_1_number(text), "{text}");
        }
    }

    #[test]
    fn texts_similar_to_numbers_are_strings() {
        for text in [
            "1_000", "0x", "0o8", "0x+1", "-", ".", "e3", "1e", "1.2.3", "12:30", "-0x1", "10s", "infinity", "nan",
            "0b1",
        ] {
            check(text, &Value::Text(text.to_owned()));
        }
    }
}
