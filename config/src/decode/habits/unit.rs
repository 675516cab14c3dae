//! Durations, sizes, rates and shares with the units of other formats: `10sec`, `1h30m`, `10MB`, `100r/s`, `0.8`.

use super::EXAMINED_BYTES_MAX;
use crate::schema::units::{self, duration_ms, rate, size_bytes};

/// A duration as it is written here.
pub(in crate::decode) fn duration(text: &str) -> Option<String> {
    let text = short(text)?;
    if let Ok(number) = text.parse::<u64>() {
        let seconds = format!("{number}s");
        let is_valid = number > 0 && duration_ms(&seconds).is_ok();
        // A number this large was probably meant in milliseconds.
        let found = if number >= 1_000 { format!("{}` or `{seconds}", of_ms(number)) } else { seconds };
        return Some(found).filter(|_| is_valid);
    }
    let iso = text.strip_prefix('p').map(|rest| rest.replace('t', ""));
    let parts = parts(iso.as_deref().unwrap_or(&text))?;
    let mut ms = 0.0_f64;
    for (number, unit) in &parts {
        ms += number * time_factor(unit)?;
    }
    let whole = whole(ms)?;
    Some(of_ms(whole)).filter(|text| whole > 0 && duration_ms(text).is_ok())
}

/// A size as it is written here.
pub(in crate::decode) fn size(text: &str) -> Option<String> {
    let text = short(text)?;
    if let Ok(number) = text.parse::<u64>() {
        return Some(of_bytes(number)).filter(|text| number > 0 && size_bytes(text).is_ok());
    }
    let [(number, unit)] = parts(&text)?.try_into().ok()?;
    let factor = match unit.as_str() {
        "b" | "byte" | "bytes" => 1.0,
        "k" | "kb" | "kib" | "ki" => 1024.0,
        "m" | "mb" | "mib" | "mi" => 1024.0 * 1024.0,
        "g" | "gb" | "gib" | "gi" => 1024.0 * 1024.0 * 1024.0,
        _ => return None,
    };
    let bytes = whole(number * factor)?;
    Some(of_bytes(bytes)).filter(|text| bytes > 0 && size_bytes(text).is_ok())
}

/// A rate as it is written here.
pub(in crate::decode) fn per_period(text: &str) -> Option<String> {
    let text = short(text)?;
    if let Ok(number) = text.parse::<u32>() {
        return Some(format!("{number}/s` or `{number}/min")).filter(|_| number > 0);
    }
    let text =
        text.replace("requests", "").replace("req", "").replace("per", "/").replace("rps", "/s").replace("rpm", "/min");
    let text = text.replace("r/", "/").replace("-", "/").replace("//", "/");
    let (count, period) = text.split_once('/')?;
    let period = period.trim_end_matches('s');
    let unit = match period {
        "" | "sec" | "second" | "1" => "s",
        "m" | "min" | "minute" => "min",
        "h" | "hr" | "hour" => "h",
        "d" | "day" => "d",
        "w" | "week" => "7d",
        "mo" | "month" => "30d",
        _ => return None,
    };
    // Half a request a second is one in two seconds.
    if let Some(several) = count.parse::<f64>().ok().filter(|count| *count > 0.0 && *count < 1.0 && unit.len() < 4) {
        let found = format!("1/{}{}", whole((1.0 / several).round())?, if unit == "min" { "m" } else { unit });
        return rate(&found).is_ok().then_some(found);
    }
    let found = match count.strip_suffix('k') {
        Some(count) => format!("{}000/{unit}", count.trim()),
        None => format!("{}/{unit}", count.trim()),
    };
    rate(&found).is_ok().then_some(found)
}

/// A share of a limit as it is written here.
pub(crate) fn percent(text: &str) -> Option<String> {
    let text = short(text)?;
    let number = text.strip_suffix('%').unwrap_or(&text);
    let value = number.parse::<f64>().ok()?;
    // A part of 1 is written with a point.
    let is_part = number.len() == text.len() && number.contains('.') && value <= 1.0;
    let hundredths = if is_part { (value * 1e8).round() / 1e6 } else { value };
    Some(format!("{}%", whole(hundredths)?)).filter(|text| units::percent(text).is_some())
}

/// The text in lower case without spaces; `None` for one that nobody wrote by hand.
fn short(text: &str) -> Option<String> {
    (text.len() <= EXAMINED_BYTES_MAX)
        .then(|| text.chars().filter(|c| !c.is_whitespace()).collect::<String>().to_lowercase())
}

/// The numbers with the units behind them.
fn parts(text: &str) -> Option<Vec<(f64, String)>> {
    let (mut parts, mut rest) = (Vec::new(), text);
    while !rest.is_empty() && parts.len() < PARTS_MAX {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, behind) = rest.split_at(end);
        let unit_end = behind.find(|c: char| c.is_ascii_digit()).unwrap_or(behind.len());
        parts.push((number.parse().ok()?, behind[..unit_end].to_owned()));
        rest = &behind[unit_end..];
    }
    (!parts.is_empty() && rest.is_empty()).then_some(parts)
}

fn time_factor(unit: &str) -> Option<f64> {
    Some(match unit {
        "ms" | "msec" | "msecs" | "millis" | "millisecond" | "milliseconds" => 1.0,
        "s" | "sec" | "secs" | "second" | "seconds" => 1_000.0,
        "m" | "min" | "mins" | "minute" | "minutes" => 60_000.0,
        "h" | "hr" | "hrs" | "hour" | "hours" => 3_600_000.0,
        "d" | "day" | "days" => 86_400_000.0,
        "w" | "week" | "weeks" => 604_800_000.0,
        _ => return None,
    })
}

/// The number, if it is an integer that is not too large to be exact.
fn whole(number: f64) -> Option<u64> {
    let is_whole = number.fract() == 0.0 && (0.0..1e15).contains(&number);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the range is checked")]
    is_whole.then_some(number as u64)
}

fn of_ms(ms: u64) -> String {
    let units = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s")];
    let found = units.into_iter().find(|(factor, _)| ms > 0 && ms.is_multiple_of(*factor));
    found.map_or_else(|| format!("{ms}ms"), |(factor, unit)| format!("{}{unit}", ms / factor))
}

fn of_bytes(bytes: u64) -> String {
    let units = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    let found = units.into_iter().find(|(factor, _)| bytes > 0 && bytes.is_multiple_of(*factor));
    found.map_or_else(|| format!("{bytes}B"), |(factor, unit)| format!("{}{unit}", bytes / factor))
}

/// The maximum number of parts of a duration: weeks, days, hours, minutes, seconds, milliseconds.
const PARTS_MAX: usize = 6;

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(found: Option<&String>, expected: &str, text: &str) {
        assert_eq!(found.map_or("", String::as_str), expected, "{text}");
    }

    #[test]
    fn durations_of_other_formats_are_converted() {
        for (text, ours) in [
            ("10", "10s"),
            ("60000", "1m` or `60000s"),
            ("10 s", "10s"),
            ("10sec", "10s"),
            ("5 minutes", "5m"),
            ("1.5s", "1500ms"),
            ("1h30m", "90m"),
            ("PT10S", "10s"),
            ("1w", "7d"),
            ("10S", "10s"),
            ("0", ""),
            ("forever", ""),
            ("-1", ""),
            ("10x", ""),
            ("1e3s", ""),
            ("99999999999999999999999999d", ""),
        ] {
            check(duration(text).as_ref(), ours, text);
        }
    }

    #[test]
    fn sizes_of_other_formats_are_converted() {
        for (text, ours) in [
            ("10MB", "10MiB"),
            ("10m", "10MiB"),
            ("8k", "8KiB"),
            ("1.5 MiB", "1536KiB"),
            ("1048576", "1MiB"),
            ("1000", "1000B"),
            ("1Gi", "1GiB"),
            ("-1", ""),
            ("0", ""),
            ("big", ""),
        ] {
            check(size(text).as_ref(), ours, text);
        }
    }

    #[test]
    fn rates_of_other_formats_are_converted() {
        for (text, ours) in [
            ("100", "100/s` or `100/min"),
            ("10r/s", "10/s"),
            ("10r/m", "10/min"),
            ("100 per minute", "100/min"),
            ("100/minute", "100/min"),
            ("100/sec", "100/s"),
            ("1000/hours", "1000/h"),
            ("100-M", "100/min"),
            ("100rps", "100/s"),
            ("5k/s", "5000/s"),
            ("100/month", "100/30d"),
            ("0.5/s", "1/2s"),
            ("0.5/min", "1/2m"),
            ("1/week", "1/7d"),
            ("1/year", ""),
            ("a/b", ""),
        ] {
            check(per_period(text).as_ref(), ours, text);
        }
    }

    #[test]
    fn shares_of_other_formats_are_converted() {
        for (text, ours) in [
            ("0.8", "80%"),
            ("0.29", "29%"),
            ("1.0", "100%"),
            (".5", "50%"),
            ("80", "80%"),
            ("80 %", "80%"),
            ("80.0%", "80%"),
            ("080%", "80%"),
            ("1", "1%"),
            ("0.805", ""),
            ("0.8%", ""),
            ("0", ""),
            ("120%", ""),
            ("1.5", ""),
            ("-1", ""),
            ("most", ""),
            ("NaN", ""),
            ("inf", ""),
        ] {
            check(percent(text).as_ref(), ours, text);
        }
    }

    proptest::proptest! {
        #[test]
        fn what_is_suggested_is_valid(text in "[0-9.]{0,20} ?[a-zA-Z/ é-]{0,12}[0-9]{0,3}[a-z]{0,6}") {
            let is_valid = |found: Option<String>, is: fn(&str) -> bool| found.is_none_or(|found| found.split("` or `").all(is));
            proptest::prop_assert!(is_valid(duration(&text), |text| duration_ms(text).is_ok()));
            proptest::prop_assert!(is_valid(size(&text), |text| size_bytes(text).is_ok()));
            proptest::prop_assert!(is_valid(per_period(&text), |text| rate(text).is_ok()));
        }
    }
}
