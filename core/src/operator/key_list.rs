//! Lists of keys, in pages.

use serde::{Deserialize, Serialize};

use super::KeyView;
use super::keys::is_caller_name;
use crate::problem::{Problem, ProblemKind};
use crate::query::decoded;

/// Which keys to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyQuery {
    /// Those of a consumer; absent, all.
    pub consumer: Option<String>,
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
        let mut asked = Self::default();
        for pair in query.into_iter().flat_map(|query| query.split('&')).filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let member = match name {
                "consumer" => &mut asked.consumer,
                "cursor" => &mut asked.cursor,
                _ => return Err(refuse("A parameter is unknown.")),
            };
            let value =
                String::from_utf8(decoded(value).into_owned()).map_err(|_| refuse("A parameter is not UTF-8."))?;
            if member.replace(value).is_some() {
                return Err(refuse("A parameter is given twice."));
            }
        }
        if asked.consumer.as_ref().is_some_and(|consumer| !is_caller_name(consumer)) {
            return Err(refuse("The name of a consumer has 1 to 200 visible ASCII characters."));
        }
        if asked.cursor.as_ref().is_some_and(|cursor| !(1..=CURSOR_BYTES_MAX).contains(&cursor.len())) {
            return Err(refuse("The cursor is not one of a page before."));
        }
        Ok(asked)
    }
}

fn refuse(what: &str) -> Problem {
    Problem::plain(
        ProblemKind::BadRequest,
        format!("{what} Send `?consumer=acme`, `?cursor=…` of the page before, both, or neither."),
    )
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
    }
}
