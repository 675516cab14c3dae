//! Lowers `gateway.identity-tokens`.

use tollgate_core::forward::TokenSigning;

use crate::decode::parsed;
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::model::project::IdentityTokens;
use crate::place::Span;

/// How tokens about callers are signed.
pub(super) fn identity_tokens(written: &IdentityTokens, report: &mut Report) -> Option<TokenSigning> {
    let IdentityTokens { issuer, key, keys_path, lifetime_ms } = written;
    let key = parsed::secret_reference(key, report)?;
    if issuer.value.is_empty() || issuer.value.chars().any(char::is_control) {
        let why = "an upstream compares it with the issuer that it expects";
        return bad(
            issuer.span,
            "the issuer is empty or has control characters",
            why,
            "write a text such as the gateway's URL",
            report,
        );
    }
    let keys_path = match keys_path {
        Some(path) => parsed::base(path, report)?.0,
        None => KEYS_PATH.to_owned(),
    };
    let lifetime_s = match lifetime_ms {
        None => LIFETIME_S,
        Some(ms) => {
            let seconds = ms.value / 1_000;
            let allowed = u32::try_from(seconds).ok().filter(|seconds| LIFETIMES_S.contains(seconds));
            let Some(seconds) = allowed else {
                let why =
                    "a token is sent until half of its time is over, and must end soon after a caller loses a right";
                return bad(ms.span, "the lifetime of tokens is too short or too long", why, "write 30s to 1h", report);
            };
            seconds
        }
    };
    Some(TokenSigning { issuer: issuer.value.clone(), key, keys_path, lifetime_s })
}

fn bad<T>(at: Span, what: &str, why: &str, fix: &str, report: &mut Report) -> Option<T> {
    report.push(Diagnostic::error(Code::BadIdentity, at, what).why(why).fix(fix));
    None
}

/// Where clients of other issuers look for keys too.
const KEYS_PATH: &str = "/.well-known/jwks.json";

const LIFETIME_S: u32 = 300;
const LIFETIMES_S: std::ops::RangeInclusive<u32> = 30..=3_600;
