//! Numbers that are no integers, as text. The standard library's writer finds the shortest text of all numbers, which takes 15 KB of
//! a Worker's module; these have 15 digits at most.

/// Adds a number as JSON has it (RFC 8259, section 6), rounded to 15 digits.
pub fn float(out: &mut String, value: f64) {
    if !value.is_finite() {
        out.push_str("null");
        return;
    }
    if value.is_sign_negative() {
        out.push('-');
    }
    let (digits, exponent) = digits(value.abs());
    let point = i32::try_from(digits.len()).unwrap_or_default() + exponent;
    match (point, usize::try_from(point)) {
        (1..=21, Ok(point)) if point >= digits.len() => {
            out.push_str(&digits);
            out.extend(std::iter::repeat_n('0', point - digits.len()));
        }
        (1..=21, Ok(point)) => {
            let (whole, fraction) = digits.split_at(point);
            out.extend([whole, ".", fraction]);
        }
        (-5..=0, _) => {
            out.push_str("0.");
            out.extend((point..0).map(|_| '0'));
            out.push_str(&digits);
        }
        _ => {
            let (first, rest) = digits.split_at(1);
            out.extend([first, if rest.is_empty() { "" } else { "." }, rest, "e", &(point - 1).to_string()]);
        }
    }
}

/// The digits of a number without zeros at their end, and the power of ten that they are multiplied with.
fn digits(value: f64) -> (String, i32) {
    if value == 0.0 {
        return ("0".to_owned(), 0);
    }
    let mut exponent = 0_i32;
    let mut scaled = value;
    while scaled >= 1e15 {
        scaled /= 10.0;
        exponent += 1;
    }
    // One multiplication by an exact power rounds once.
    while scaled < 1e14 && exponent > -400 {
        exponent -= 1;
        scaled = if exponent >= -22 { value * POWERS[exponent.unsigned_abs() as usize] } else { scaled * 10.0 };
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it has 15 digits")]
    let mut whole = scaled.round() as u64;
    while whole > 0 && whole.is_multiple_of(10) {
        whole /= 10;
        exponent += 1;
    }
    (whole.to_string(), exponent)
}

/// The powers of ten that a number of 64 bits is exact for.
const POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20,
    1e21, 1e22,
];

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use wasm_bindgen_test::wasm_bindgen_test;

    fn text(value: f64) -> String {
        let mut out = String::new();
        float(&mut out, value);
        out
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn numbers_are_written_as_people_write_them() {
        let usual = [
            (0.0, "0"),
            (1.5, "1.5"),
            (-0.25, "-0.25"),
            (0.1 + 0.2, "0.3"),
            (52.5200066, "52.5200066"),
            (1_700_000_000.123_456, "1700000000.12346"),
            (1e20, "100000000000000000000"),
            (1.25e21, "1.25e21"),
            (0.000_001, "0.000001"),
            (1.5e-7, "1.5e-7"),
            (1e300, "1e300"),
            (f64::NAN, "null"),
        ];
        for (value, expected) in usual {
            assert_eq!(text(value), expected);
        }
        assert_eq!(text(f64::MAX).parse::<f64>().map(|read| read / f64::MAX > 0.999_999), Ok(true));
    }

    proptest! {
        #[test]
        fn fifteen_digits_are_kept(whole in -999_999_999_999_999_i64..=999_999_999_999_999, places in 0_i32..20) {
            let number: f64 = format!("{whole}e-{places}").parse().unwrap();
            prop_assert_eq!(text(number).parse::<f64>(), Ok(number));
        }

        #[test]
        fn others_are_rounded(number in prop::num::f64::NORMAL) {
            let written = text(number);
            let read: f64 = written.parse().unwrap();
            prop_assert!((read / number - 1.0).abs() < 1e-13, "{written} is not {number:e}");
            prop_assert!(serde_json::from_str::<f64>(&written).is_ok(), "{written}");
        }
    }
}
