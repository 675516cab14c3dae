//! Issuers: their metadata, and what else is fetched from them.

use std::rc::Rc;

use http::Uri;
use tollgate_core::fetch::{AddressRule, FetchBounds, FetchRequest, Lifetimes};

use super::Isolate;
use super::fetched::{Expects, FetchPlan, Fetched, Sharing, Usable};

/// How the metadata of an issuer are fetched (OpenID Connect Discovery 1.0, section 4). Most servers have them, also those of
/// OAuth 2.0 without OpenID Connect.
pub(crate) fn metadata(issuer: &str, addresses: AddressRule) -> Result<Rc<FetchPlan>, String> {
    let url = uri(&format!("{}{DISCOVERY}", issuer.trim_end_matches('/')))?;
    plan(url, addresses, Expects::Metadata(issuer.to_owned()))
}

pub(crate) fn uri(url: &str) -> Result<Uri, String> {
    url.parse().map_err(|_| "the URL is not valid".to_owned())
}

/// How keys or metadata at a URL are fetched.
pub(crate) fn plan(url: Uri, addresses: AddressRule, expects: Expects) -> Result<Rc<FetchPlan>, String> {
    if url.scheme_str() != Some("https") && addresses == AddressRule::Public {
        return Err("the URL is not one of https".to_owned());
    }
    let bounds = FetchBounds { timeout_ms: TIMEOUT_MS, answer_bytes_max: ANSWER_BYTES_MAX, addresses };
    Ok(Rc::new(FetchPlan::new(FetchRequest::get(url), bounds, LIFETIMES, Sharing::Gateway).expecting(expects)))
}

/// The answer, if it is a successful one; what remains to do is done after a reply. An error is for the operator.
pub(crate) fn answer(isolate: &Isolate, fetched: Fetched) -> Result<Rc<Usable>, String> {
    isolate.defer(fetched.after_reply);
    let answer = fetched.outcome.map_err(|error| error.to_string())?;
    if Lifetimes::is_success(&answer) { Ok(answer) } else { Err(format!("status {}", answer.status.as_u16())) }
}

const DISCOVERY: &str = "/.well-known/openid-configuration";

/// How long keys are used: an issuer publishes a new one some time before it uses it, and withdraws an old one when no token
/// of it is valid. Longer only while the issuer does not answer.
const LIFETIMES: Lifetimes = Lifetimes { fresh_ms: 300_000, stale_ms: 24 * 3_600_000, negative_ms: 5_000 };

const TIMEOUT_MS: u64 = 3_000;
const ANSWER_BYTES_MAX: u64 = 256 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 8414, section 3.3: the metadata of one are not those of the other, although they have one URL.
    #[test]
    fn issuers_that_differ_by_a_slash_share_no_answer() {
        let id = |issuer| metadata(issuer, AddressRule::Public).expect("a plan").id();
        assert_ne!(id("https://id.example.com"), id("https://id.example.com/"));
        assert_eq!(id("https://id.example.com"), id("https://id.example.com"));
    }

    #[test]
    fn nothing_is_fetched_over_an_unprotected_connection() {
        assert!(metadata("http://id.example.com", AddressRule::Public).is_err());
        assert!(metadata("http://id.example.com", AddressRule::Any).is_ok());
        assert!(metadata("id example", AddressRule::Any).is_err());
    }
}
