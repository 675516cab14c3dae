//! Lists in pages: of keys, and of usage.

use serde::{Deserialize, Serialize};

use super::KeyView;
use super::keys::is_caller_name;
use crate::problem::{Problem, ProblemKind};
use crate::query::decoded;
use crate::telemetry::HOUR_BYTES;

/// Which keys to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyQuery {
    /// Those of a consumer; absent, all.
    pub consumer: Option<String>,
    /// The cursor of the page before.
    pub cursor: Option<String>,
}

/// Which batches of usage to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UsageQuery {
    /// What their hours begin with: a year, a month, a day, or an hour; empty, all.
    pub hours: String,
    /// The cursor of the page before.
    pub cursor: Option<String>,
}

/// A page of keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyList {
    /// The keys. A page may have fewer than the next one, also none.
    pub keys: Vec<KeyView>,
    /// What the next page is asked for with; absent on the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

impl KeyQuery {
    /// Parses the query of a request.
    ///
    /// # Errors
    /// The problem for the response.
    pub fn parse(query: Option<&str>) -> Result<Self, Problem> {
        let (consumer, cursor) = parameters(query, &CONSUMERS)?;
        Ok(Self { consumer, cursor })
    }
}

impl UsageQuery {
    /// Parses the query of a request.
    ///
    /// # Errors
    /// The problem for the response.
    pub fn parse(query: Option<&str>) -> Result<Self, Problem> {
        let (hours, cursor) = parameters(query, &HOURS)?;
        Ok(Self { hours: hours.unwrap_or_default(), cursor })
    }
}

/// What can be asked for beside a cursor.
struct Choice {
    name: &'static str,
    is_valid: fn(&str) -> bool,
    form: &'static str,
}

static CONSUMERS: Choice = Choice {
    name: "consumer",
    is_valid: is_caller_name,
    form: "Send `?consumer=acme` (1 to 200 visible ASCII characters), `?cursor=…` of the page before, both, or neither.",
};

static HOURS: Choice = Choice {
    name: "hours",
    is_valid: is_beginning_of_hour,
    form: "Send `?hours=2026-11` (the beginning of an hour such as 2026-11-28T23), `?cursor=…` of the page before, both, or neither.",
};

/// The value of the parameter, and the cursor.
fn parameters(query: Option<&str>, choice: &Choice) -> Result<(Option<String>, Option<String>), Problem> {
    let refuse = |what| Problem::plain(ProblemKind::BadRequest, format!("{what} {}", choice.form));
    let (mut chosen, mut cursor) = (None::<String>, None::<String>);
    for pair in query.into_iter().flat_map(|query| query.split('&')).filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let member = match name {
            "cursor" => &mut cursor,
            name if name == choice.name => &mut chosen,
            _ => return Err(refuse("A parameter is unknown.")),
        };
        let value = String::from_utf8(decoded(value).into_owned()).map_err(|_| refuse("A parameter is not UTF-8."))?;
        if member.replace(value).is_some() {
            return Err(refuse("A parameter is given twice."));
        }
    }
    if chosen.as_ref().is_some_and(|value| !(choice.is_valid)(value)) {
        return Err(refuse("A parameter is not valid."));
    }
    if cursor.as_ref().is_some_and(|cursor| !(1..=CURSOR_BYTES_MAX).contains(&cursor.len())) {
        return Err(refuse("The cursor is not one of a page before."));
    }
    Ok((chosen, cursor))
}

/// Whether a text is the beginning of an hour such as `2026-11-28T23`, or all of it.
fn is_beginning_of_hour(text: &str) -> bool {
    const FORM: &[u8; HOUR_BYTES] = b"0000-00-00T00";
    let fits = |(byte, form): (u8, &u8)| if *form == b'0' { byte.is_ascii_digit() } else { byte == *form };
    text.len() <= HOUR_BYTES && text.bytes().zip(FORM).all(fits)
}

/// Keys of records stay below 512 bytes; cursors of Workers KV are of the same size.
const CURSOR_BYTES_MAX: usize = 1_024;

#[cfg(test)]
mod tests {
    use super::*;
    use wasm_bindgen_test::wasm_bindgen_test;

    #[wasm_bindgen_test(unsupported = test)]
    fn a_query_is_read_strictly() {
        let asked = |consumer: Option<&str>, cursor: Option<&str>| KeyQuery {
            consumer: consumer.map(str::to_owned),
            cursor: cursor.map(str::to_owned),
        };
        for (query, want) in [
            (None, asked(None, None)),
            (Some(""), asked(None, None)),
            (Some("consumer=acme"), asked(Some("acme"), None)),
            (Some("cursor=a%3Db&consumer=acme"), asked(Some("acme"), Some("a=b"))),
        ] {
            assert_eq!(KeyQuery::parse(query), Ok(want), "{query:?}");
        }
        for bad in
            ["consumer=", "consumer=a%20b", "consumer=a&consumer=b", "cursor=", "limit=9", "cursor=%ff", "consumer"]
        {
            assert_eq!(KeyQuery::parse(Some(bad)).unwrap_err().kind, ProblemKind::BadRequest, "{bad}");
        }
        for (query, hours, cursor) in [
            (None, "", None),
            (Some("hours=2026-11-28T23"), "2026-11-28T23", None),
            (Some("cursor=x&hours=2026-1"), "2026-1", Some("x")),
        ] {
            let asked = UsageQuery { hours: hours.to_owned(), cursor: cursor.map(str::to_owned) };
            assert_eq!(UsageQuery::parse(query), Ok(asked), "{query:?}");
        }
        for bad in ["hours=2026-11-28T23:00", "hours=today", "hours=2026/11", "consumer=acme", "hours=1&hours=2"] {
            assert_eq!(UsageQuery::parse(Some(bad)).unwrap_err().kind, ProblemKind::BadRequest, "{bad}");
        }
    }
}
