//! The numbers of a limit as operators write them, such as `burst=100/s:200`.

use super::entitlements::{printable, refuse};
use super::is_name;
use crate::entitlement::PlanNumbers;
use crate::problem::Problem;
use crate::text::whole;

/// The numbers of a limit: `NAME=COUNT`, of a rate also `NAME=COUNT/PERIOD` and `NAME=COUNT/PERIOD:BURST`.
///
/// # Errors
/// The problem for the response.
pub fn numbers(text: &str) -> Result<PlanNumbers, Problem> {
    let parse = || {
        let (policy, numbers) = text.split_once('=').filter(|(policy, _)| is_name(policy))?;
        let (rate, burst) = match numbers.split_once(':') {
            Some((rate, burst)) => (rate, Some(count(burst)?)),
            None => (numbers, None),
        };
        let (number, period_ms) = match rate.split_once('/') {
            Some((number, period)) => (number, Some(period_ms(period)?)),
            None => (rate, None),
        };
        Some(PlanNumbers { policy: policy.to_owned(), count: count(number)?, period_ms, burst })
    };
    parse().ok_or_else(|| {
        let form = "`monthly=100000`, of a rate also `burst=100/s` or, with a burst, `burst=100/s:200`";
        refuse(format!("`{}` gives a limit no number. Write {form}.", printable(text)))
    })
}

fn count(text: &str) -> Option<u32> {
    whole(text).filter(|count| *count > 0)
}

/// A period as in rates of the configuration: `s`, `10s`, `min`.
fn period_ms(text: &str) -> Option<u32> {
    let unit = text.trim_start_matches(|c: char| c.is_ascii_digit());
    let number = &text[..text.len() - unit.len()];
    let number = if number.is_empty() { 1 } else { count(number)? };
    let ms = match unit {
        "ms" => 1,
        "s" => 1_000,
        "min" | "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    number.checked_mul(ms)
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasm_bindgen_test::wasm_bindgen_test;

    #[wasm_bindgen_test(unsupported = test)]
    fn numbers_are_written_as_they_are_shown() {
        for text in ["monthly=1000", "burst=100/s", "burst=100/s:200", "burst=5/10s", "burst=5/min:1", "slow=1/d"] {
            assert_eq!(numbers(text).map(|numbers| numbers.to_string()).ok().as_deref(), Some(text));
        }
        for text in [
            "monthly",
            "monthly=",
            "=5",
            "monthly=0",
            "monthly=+5",
            "monthly=-5",
            "burst=5/+1s",
            "burst=5/s:+9",
            "burst=5/week",
        ] {
            assert!(numbers(text).is_err(), "{text}");
        }
    }
}
