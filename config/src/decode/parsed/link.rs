//! Identities that are linked to consumers.

use tollgate_core::authn::{Credential, IdentityName, KeyDigest};

use crate::decode::{self, Fields};
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::place::Spanned;

/// The links of a consumer with this id and plan, with the digests under which they are stored.
pub(crate) fn links(
    fields: &mut Fields<'_>,
    consumer: Option<&Spanned<String>>,
    plan: Option<&Spanned<String>>,
    report: &mut Report,
) -> Vec<(KeyDigest, Credential)> {
    let texts = fields.optional("identities", report, |node, report| decode::texts(node, IDENTITIES_MAX, report));
    let link = |text: Spanned<String>| {
        let name = identity_name(&text, report)?;
        let (digest, plan) = (name.digest(), plan.map(|plan| plan.value.clone()));
        let of_consumer = Credential::of(digest.link_id(), consumer?.value.clone());
        Some((digest, Credential { plan, identity: Some(name.to_string()), ..of_consumer }))
    };
    texts.unwrap_or_default().into_iter().filter_map(link).collect()
}

fn identity_name(text: &Spanned<String>, report: &mut Report) -> Option<IdentityName> {
    let read = text.value.parse();
    if let Err(error) = &read {
        report.push(
            Diagnostic::error(Code::BadMapping, text.span, format!("`{}` is no identity: {error}", text.value))
                .why("tokens name a person or program by their issuer and a claim")
                .fix("write it as in `https://login.example.com sub=00u7f`"),
        );
    }
    read.ok()
}

/// A person has a few.
const IDENTITIES_MAX: usize = 32;
