//! `identity`: what upstreams are told about callers.

use tollgate_core::authn::CertificateName;
use tollgate_core::forward::{Attribute, IdentityToken, TokenClaim, Told};

use super::level::{Setting, is_none};
use super::upstream::by_field;
use crate::decode::{self, Fields};
use crate::diagnostic::{Code, Diagnostic, Report, closest};
use crate::model::tables;
use crate::place::Spanned;
use crate::source::{Node, Value};

/// Header fields, each with what it tells.
pub(crate) type Identity = Vec<(Spanned<String>, Spanned<Told>)>;

/// Decodes a mapping from header fields to what they tell about the caller, or `none`.
pub(crate) fn statement(node: &Node, report: &mut Report) -> Option<Setting<Identity>> {
    let fix = "write a mapping such as `{X-Consumer: consumer}`";
    let value = if is_none(node) {
        Vec::new()
    } else {
        by_field(node, "header fields", "what they tell about the caller", fix, report, told)?
    };
    Some(Setting { value, span: node.span, locked: None })
}

/// An attribute, or a mapping for a token.
fn told(node: &Node, report: &mut Report) -> Option<Spanned<Told>> {
    let told = match &node.value {
        Value::Map(_) => Told::Token(Box::new(token(node, report)?)),
        _ => attribute(node, report)?.value.into(),
    };
    Some(Spanned::new(told, node.span))
}

/// A token; without an audience it is for the upstream of this name.
fn token(node: &Node, report: &mut Report) -> Option<IdentityToken> {
    let mut fields = Fields::open(node, &tables::IDENTITY_TOKEN, "a token about the caller", node.span, report)?;
    let audience = fields.optional("audience", report, decode::text);
    let fix = "write a mapping such as `{email: claims.email}`";
    let claims = fields.optional("claims", report, |node, report| {
        by_field(node, "claims", "what they tell about the caller", fix, report, attribute)
    });
    fields.finish(report);
    let mut all = Vec::new();
    for (name, tells) in claims.unwrap_or_default() {
        let is_name = !name.value.is_empty()
            && name.value.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\');
        if !is_name || IdentityToken::OWN.contains(&name.value.as_str()) {
            let why = "the gateway writes `iss`, `sub`, `aud`, `exp`, `iat`, `jti` and `scope` itself; other names have no blanks and no quotes";
            let what = format!("`{}` cannot be a claim of the token", name.value);
            report.push(Diagnostic::error(Code::BadIdentity, name.span, what).why(why).fix("write another name"));
            return None;
        }
        all.push(TokenClaim { name: name.value, tells: tells.value });
    }
    all.sort_by(|one, other| one.name.cmp(&other.name));
    Some(IdentityToken { audience: audience.map(|audience| audience.value).unwrap_or_default(), claims: all })
}

fn attribute(node: &Node, report: &mut Report) -> Option<Spanned<Attribute>> {
    let kept = match &node.value {
        Value::Text(text) if text.starts_with("claims") => claim(text),
        Value::Text(text) => text.strip_prefix("certificate.").map(certificate),
        _ => None,
    };
    let Some(kept) = kept else {
        let common = Attribute::COMMON.map(|(word, _)| word);
        if let Value::Text(text) = &node.value
            && let Some(meant) = meant_claim(text).filter(|_| !common.contains(&text.as_str()))
        {
            let what = format!("`{text}` is not known of callers");
            let why =
                format!("what a token says is written as a claim; of every caller {} are known", common.join(", "));
            let fix = format!("write `{meant}`, if it is a claim of the token");
            report.push(Diagnostic::error(Code::BadIdentity, node.span, what).why(why).fix(fix));
            return None;
        }
        let words: Vec<(&str, usize)> = common.iter().enumerate().map(|(at, word)| (*word, at)).collect();
        let at = decode::word(node, &words, report)?;
        return Attribute::COMMON.into_iter().nth(at).map(|(_, common)| Spanned::new(common, node.span));
    };
    match kept {
        Ok(attribute) => Some(Spanned::new(attribute, node.span)),
        Err((what, fix)) => {
            let why = "a field tells the consumer, or a claim of its token, or a name in its certificate";
            report.push(Diagnostic::error(Code::BadIdentity, node.span, what).why(why).fix(fix));
            None
        }
    }
}

/// The claim that was probably meant by another word; none by a slip in one of the words for all callers.
fn meant_claim(text: &str) -> Option<String> {
    let name = text.strip_prefix("principal.").unwrap_or(text);
    let name = ["claims.", "claim.", "token.", "jwt."].into_iter().find_map(|begin| name.strip_prefix(begin));
    let common = Attribute::COMMON.map(|(word, _)| word);
    let name = match name {
        Some(name) => name,
        None if closest(text, common.into_iter()).is_none() => text,
        None => return None,
    };
    let meant = format!("claims.{name}");
    matches!(claim(&meant), Some(Ok(_))).then_some(meant)
}

/// What is wrong, and what to write instead.
type Wrong = (String, String);

/// A claim as conditions write it, without `principal.`; `None` if the word is another one.
fn claim(text: &str) -> Option<Result<Attribute, Wrong>> {
    let rest = text.strip_prefix("claims").filter(|rest| rest.is_empty() || rest.starts_with(['.', '[']))?;
    let fix = "write `claims.NAME`, `claims.NAME.MEMBER`, or `claims[\"NAME\"]` if the name has other characters";
    let wrong = || (format!("`{text}` does not name a claim"), fix.to_owned());
    Some(path(rest).map(Attribute::Claim).ok_or_else(wrong))
}

/// The members of a path such as `.org["https://example.com/id"]`.
fn path(mut rest: &str) -> Option<Vec<String>> {
    let mut members = Vec::new();
    while !rest.is_empty() {
        let member;
        if let Some(quoted) = rest.strip_prefix("[\"") {
            (member, rest) = quoted.split_once("\"]")?;
        } else {
            let name = rest.strip_prefix('.').filter(|name| !name.starts_with(|c: char| c.is_ascii_digit()))?;
            let end = name.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(name.len());
            (member, rest) = name.split_at(end);
        }
        if member.is_empty() || member.contains(['"', '\\']) {
            return None;
        }
        members.push(member.to_owned());
    }
    (!members.is_empty()).then_some(members)
}

fn certificate(name: &str) -> Result<Attribute, Wrong> {
    let known = CertificateName::ALL.into_iter().find(|known| known.as_str() == name);
    known.map(Attribute::Certificate).ok_or_else(|| {
        let all = CertificateName::ALL.map(|known| format!("`certificate.{known}`")).join(", ");
        (format!("certificates have no `{name}`"), format!("write one of {all}"))
    })
}
