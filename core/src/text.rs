//! Numbers in texts. Writing is for what is written once per request: formatting macros cost several times as much.

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

/// Adds a byte as an escape (RFC 3986, section 2.1).
pub(crate) fn escape(out: &mut String, byte: u8) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    out.push('%');
    out.push(char::from(DIGITS[usize::from(byte >> 4)]));
    out.push(char::from(DIGITS[usize::from(byte & 15)]));
}

/// A number that is written with digits alone: a sign is no part of it.
pub(crate) fn whole(text: &str) -> Option<u32> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None }
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
        fn numbers_are_written_as_by_the_formatter(number: u64, small in 0..10_000u64) {
            prop_assert_eq!(written(|out| decimal(out, number)), number.to_string());
            prop_assert_eq!(written(|out| digits::<4>(out, small)), format!("{small:04}"));
        }
    }
}
