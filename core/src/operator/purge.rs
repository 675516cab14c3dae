//! Purges: requests and responses.

use http::Uri;
use serde::{Deserialize, Serialize};

use super::members::Members;
use crate::cache::CacheKey;
use crate::problem::{Problem, ProblemKind};
use crate::route::{CanonicalPath, HostName};

/// A request for a purge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PurgeRequest {
    /// What to purge.
    pub target: PurgeTarget,
}

/// What to purge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PurgeTarget {
    /// Everything.
    All,
    /// The resource with this key.
    Key(CacheKey),
    /// The resources under which responses to a GET of this URL are stored.
    Url {
        /// Its host.
        host: HostName,
        /// Its path.
        path: CanonicalPath,
        /// Its query.
        query: Option<String>,
    },
}

/// What was purged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PurgeAnswer {
    /// The keys of the resources; empty if everything is purged.
    pub keys: Vec<String>,
    /// Whether everything is purged.
    pub all: bool,
}

impl PurgeRequest {
    /// Parses the content of a request.
    ///
    /// # Errors
    /// The problem for the response.
    pub fn parse(content: &[u8]) -> Result<Self, Problem> {
        let mut members = Members::parse(content, FORM)?;
        let (all, key, url) = (members.flag("all")?, members.text("key")?, members.text("url")?);
        members.finish()?;
        let target = match (all, key, url) {
            (true, None, None) => PurgeTarget::All,
            (false, Some(key), None) => CacheKey::parse(&key)
                .map(PurgeTarget::Key)
                .ok_or_else(|| refuse("`key` must be the 64 hexadecimal digits of the key in Cache-Status."))?,
            (false, None, Some(url)) => url_target(&url)?,
            (..) => return Err(refuse(format!("Send exactly one of: {FORM}."))),
        };
        Ok(Self { target })
    }
}

fn url_target(url: &str) -> Result<PurgeTarget, Problem> {
    let invalid = || refuse("`url` must be an absolute URL, such as https://api.example.com/pets?page=2.");
    let url: Uri = url.parse().map_err(|_| invalid())?;
    let authority = url.authority().ok_or_else(invalid)?;
    let host = HostName::from_authority(authority.as_str()).map_err(|_| invalid())?;
    let path = CanonicalPath::parse(url.path().as_bytes())
        .map_err(|error| refuse(format!("`url` has an invalid path: {error}.")))?;
    let query = url.query().map(str::to_owned);
    Ok(PurgeTarget::Url { host, path, query })
}

fn refuse(detail: impl Into<std::borrow::Cow<'static, str>>) -> Problem {
    Problem::plain(ProblemKind::BadRequest, detail)
}

const FORM: &str = r#"{"url": "https://host/path"}, {"key": "<64 hexadecimal digits>"} or {"all": true}"#;

#[cfg(test)]
mod tests {
    use super::*;
    use wasm_bindgen_test::wasm_bindgen_test;

    #[wasm_bindgen_test(unsupported = test)]
    fn a_purge_has_exactly_one_target() {
        let target = |text: &str| PurgeRequest::parse(text.as_bytes()).map(|request| request.target);
        let key = "ab".repeat(32);
        assert_eq!(target(r#"{"all":true}"#), Ok(PurgeTarget::All));
        assert_eq!(target(&format!(r#"{{"key":"{key}"}}"#)), Ok(PurgeTarget::Key(CacheKey::parse(&key).unwrap())));
        let expected = PurgeTarget::Url {
            host: HostName::from_authority("h.test").unwrap(),
            path: CanonicalPath::parse(b"/p").unwrap(),
            query: Some("q=1".into()),
        };
        assert_eq!(target(r#"{"url":"https://H.test:8443/p?q=1"}"#), Ok(expected));
        assert_ne!(target(r#"{"url":"https://h.test/p?"}"#), target(r#"{"url":"https://h.test/p"}"#));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn anything_else_is_a_problem_that_says_what_to_send() {
        for bad in [
            "",
            "{",
            "[]",
            "null",
            "{}",
            r#"{"all":false}"#,
            r#"{"all":"yes"}"#,
            r#"{"all":true,"url":"http://h/"}"#,
            r#"{"key":"x"}"#,
            r#"{"key":7}"#,
            r#"{"url":"/p"}"#,
            r#"{"url":"http://h/a/../b"}"#,
            r#"{"url":"http://h/","url":"http://h/"}"#,
            r#"{"url":"http://h/","tag":"t"}"#,
        ] {
            let problem = PurgeRequest::parse(bad.as_bytes()).unwrap_err();
            assert_eq!(problem.kind, ProblemKind::BadRequest, "{bad}");
            assert!(!problem.detail.is_empty());
        }
        let deep = format!("{}1{}", "[".repeat(10_000), "]".repeat(10_000));
        assert!(PurgeRequest::parse(deep.as_bytes()).is_err());
    }
}
