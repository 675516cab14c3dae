//! The metadata of an issuer, which names its introspection endpoint (RFC 8414, section 2).

use std::rc::Rc;

use http::Uri;
use tollgate_core::fetch::{AddressRule, FetchBounds, FetchRequest, Lifetimes};

use crate::isolate::Isolate;
use crate::isolate::fetched::{Expects, FetchPlan, Meaning, Sharing, fetched};
use crate::ports::Host;

/// The URL of an issuer's introspection endpoint. An error is for the operator.
pub(super) async fn introspection_endpoint<H: Host>(
    isolate: &Isolate,
    host: &H,
    issuer: &str,
    is_private: bool,
) -> Result<String, String> {
    let url: Uri =
        format!("{}{DISCOVERY}", issuer.trim_end_matches('/')).parse().map_err(|_| "the issuer is not a URL")?;
    if url.scheme_str() != Some("https") && !is_private {
        return Err("the issuer's metadata are not at an https URL".to_owned());
    }
    let addresses = AddressRule::with_private(is_private);
    let bounds = FetchBounds { timeout_ms: TIMEOUT_MS, answer_bytes_max: ANSWER_BYTES_MAX, addresses };
    let plan = FetchPlan::new(FetchRequest::get(url), bounds, LIFETIMES, Sharing::Gateway);
    let plan = Rc::new(plan.expecting(Expects::Endpoint(issuer.to_owned())));
    let found = fetched(isolate, host, &plan).await;
    isolate.defer(found.after_reply);
    let answer = found.outcome.map_err(|error| format!("the metadata of the issuer: {error}"))?;
    if !Lifetimes::is_success(&answer) {
        return Err(format!("the metadata of the issuer: status {}", answer.status.as_u16()));
    }
    match &answer.meaning {
        Meaning::At(url) => Ok(url.to_string()),
        Meaning::Content | Meaning::Keys(_) => {
            Err("the metadata of the issuer name no introspection endpoint".to_owned())
        }
    }
}

/// Most servers have it, also those of OAuth 2.0 without OpenID Connect.
const DISCOVERY: &str = "/.well-known/openid-configuration";

/// As long as those with the URL of keys.
const LIFETIMES: Lifetimes = Lifetimes { fresh_ms: 300_000, stale_ms: 24 * 3_600_000, negative_ms: 5_000 };

const TIMEOUT_MS: u64 = 3_000;

/// Other than for the URL of keys, so that the answers are separate: what is expected of them differs.
const ANSWER_BYTES_MAX: u64 = 64 * 1024;
