//! How identities of tokens are linked to registered consumers.

use tollgate_core::authn::{IdentityName, LinkRules};

use super::super::Written;
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::place::Span;

pub(super) const LINKS: &str = "links";
pub(super) const UNLINKED: &str = "unlinked";

pub(super) const UNLINKED_WORDS: &[(&str, &str)] = &[
    ("accept", "it has the consumer that its claims name"),
    ("refuse", "it is refused: only registered identities are accepted"),
];

pub(super) const IS_REQUIRED: &[(&str, bool)] = &[("accept", false), ("refuse", true)];

/// How identities are linked to consumers; `Some(None)` if they are not.
#[expect(clippy::option_option, reason = "a refused value differs from an absent one")]
pub(super) fn links(written: &Written, issuers: &[String], report: &mut Report) -> Option<Option<LinkRules>> {
    let required = written.word(UNLINKED, IS_REQUIRED)?;
    let Some(claim) = written.text(LINKS) else {
        let Some(at) = written.written(UNLINKED).map(|placed| placed.span).filter(|_| required) else {
            return Some(None);
        };
        return bad_links(
            at,
            "`unlinked: refuse` has no effect without `links`",
            "no identity is linked, so all tokens would be refused",
            "add `links: sub`, or remove it",
            report,
        );
    };
    if issuers.is_empty() {
        return bad_links(
            claim.span,
            "`links` without an issuer",
            "two providers may have the same name for different people",
            "add `issuer` with the provider that issues the tokens",
            report,
        );
    }
    if let Some(issuer) = issuers.iter().find(|issuer| IdentityName::new(issuer, &claim.value, "x").is_err()) {
        return bad_links(
            claim.span,
            format!("`{}` of `{issuer}` cannot name an identity", claim.value),
            "it is written `<issuer> <claim>=<value>`, so an issuer has no blanks, and a claim neither blanks nor `=`",
            "use another claim, such as `sub`",
            report,
        );
    }
    Some(Some(LinkRules { claim: claim.value, required }))
}

fn bad_links<T>(at: Span, what: impl Into<String>, why: &str, fix: &str, report: &mut Report) -> Option<T> {
    report.push(Diagnostic::error(Code::BadMapping, at, what).why(why).fix(fix));
    None
}
