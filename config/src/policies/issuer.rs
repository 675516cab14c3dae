//! Issuers that are written as the URLs of their metadata.

use crate::diagnostic::{Code, Diagnostic, Report};
use crate::place::Spanned;

/// Whether a text is an issuer, and not the URL of its metadata, which is reported.
pub(super) fn is_issuer(text: &Spanned<String>, report: &mut Report) -> bool {
    let Some(issuer) = of_metadata(&text.value) else { return true };
    report.push(
        Diagnostic::error(Code::BadTokenPolicy, text.span, "`issuer` is the URL of its metadata")
            .why("an issuer is what tokens have in `iss`, and the gateway finds its metadata below it")
            .fix(format!("write `{issuer}`")),
    );
    false
}

/// The issuer whose metadata have this URL.
fn of_metadata(url: &str) -> Option<&str> {
    METADATA.iter().find_map(|path| url.trim_end_matches('/').strip_suffix(path)).filter(|issuer| !issuer.is_empty())
}

/// Where metadata are below an issuer (OpenID Connect Discovery 1.0, section 4; RFC 8414, section 3).
const METADATA: [&str; 2] = ["/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"];
