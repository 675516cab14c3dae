//! Lowers `upstreams.NAME.tls`.

use tollgate_core::forward::{OwnCertificate, UpstreamUrl};
use tollgate_core::secret::Piece;

use crate::decode::parsed;
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::model::upstream::WrittenTls;
use crate::place::{Span, Spanned};

/// The certificate that the gateway presents to an upstream at this URL, which is absent if it is not valid.
pub(super) fn certificate(
    written: &WrittenTls,
    url: Option<&UpstreamUrl>,
    report: &mut Report,
) -> Option<OwnCertificate> {
    if url.is_some_and(|url| !url.is_https()) {
        let why = "a certificate is presented in the TLS handshake, and connections to an `http://` URL have none";
        bad(
            written.at,
            "a certificate is presented over TLS only",
            why,
            "write an `https://` URL, or remove `tls`",
            report,
        );
        return None;
    }
    let name = secret_name(&written.certificate, report);
    let key = match &written.key {
        Some(key) => Some(secret_name(key, report)?),
        None => None,
    };
    Some(OwnCertificate { name: name?, key })
}

/// The name of the one secret that a text consists of.
fn secret_name(written: &Spanned<String>, report: &mut Report) -> Option<String> {
    let text = parsed::secret_reference(written, report)?;
    if let [Piece::Secret(name)] = text.pieces.as_slice() {
        return Some(name.clone());
    }
    let why = "on Cloudflare the name is that of a binding, which is not part of a text";
    bad(written.span, "a certificate or a key is one whole secret", why, "write `${secret.NAME}` alone", report);
    None
}

fn bad(at: Span, what: &str, why: &str, fix: &str, report: &mut Report) {
    report.push(Diagnostic::error(Code::BadUpstreamTls, at, what).why(why).fix(fix));
}
