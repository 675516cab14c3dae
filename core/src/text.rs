//! Writing numbers and JSON strings to a text, for what is written once per request: formatting macros cost several times as
//! much.

/// Adds a number.
pub fn decimal(out: &mut String, number: u64) {
    out.push_str(itoa::Buffer::new().format(number));
}

/// Adds the last `N` digits of a number, with leading zeros.
pub(crate) fn digits<const N: usize>(out: &mut String, mut number: u64) {
    let mut text = [b'0'; N];
    for digit in text.iter_mut().rev() {
        *digit += u8::try_from(number % 10).unwrap_or_default();
        number /= 10;
    }
    // Digits are always text.
    out.push_str(std::str::from_utf8(&text).unwrap_or_default());
}

/// Adds thousandths as a decimal number without trailing zeros: 1500 as `1.5`.
pub(crate) fn thousandths(out: &mut String, number: u64) {
    decimal(out, number / 1_000);
    if !number.is_multiple_of(1_000) {
        out.push('.');
        digits::<3>(out, number % 1_000);
        out.truncate(out.trim_end_matches('0').len());
    }
}

/// Adds a JSON string (RFC 8259, section 7).
pub(crate) fn json_string(out: &mut String, text: &str) {
    out.push('"');
    let mut written = 0;
    for (at, byte) in text.bytes().enumerate() {
        if byte >= b' ' && byte != b'"' && byte != b'\\' {
            continue;
        }
        out.push_str(&text[written..at]);
        written = at + 1;
        match byte {
            b'"' => out.push_str("\\\""),
            b'\\' => out.push_str("\\\\"),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            _ => {
                out.push_str("\\u00");
                crate::hex::push(out, &[byte]);
            }
        }
    }
    out.push_str(&text[written..]);
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(write: impl Fn(&mut String)) -> String {
        let mut out = String::new();
        write(&mut out);
        out
    }

    proptest! {
        #[test]
        fn numbers_are_written_as_by_the_formatter(number: u64, fraction in 0..1_000u64, whole in 0..10_000u64) {
            prop_assert_eq!(written(|out| decimal(out, number)), number.to_string());
            prop_assert_eq!(written(|out| digits::<4>(out, whole)), format!("{whole:04}"));
            let thousandth = written(|out| thousandths(out, whole * 1_000 + fraction));
            let precise = format!("{whole}.{fraction:03}");
            prop_assert_eq!(thousandth, precise.trim_end_matches('0').trim_end_matches('.'));
        }

        #[test]
        fn strings_are_read_back_as_they_were(text in prop_oneof![any::<String>(), "[\"\\\\\u{0}-\u{2a}a-cé€]*"]) {
            let json = written(|out| json_string(out, &text));
            prop_assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
            let is_broken = json.bytes().any(|byte| byte < b' ');
            prop_assert!(!is_broken, "{}", json);
        }
    }
}
