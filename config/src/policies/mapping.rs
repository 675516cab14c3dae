//! Names that tokens with some claims have: `map-consumers`, `map-plans` and `map-groups` of policies that read tokens.

use std::collections::HashMap;

use tollgate_core::authn::{ClaimRule, MapRule};

use super::Written;
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::place::{Span, Spanned};

/// Reads the rules of a key, for tokens of these issuers.
pub(super) fn read(written: &Written, key: &str, issuers: &[String], report: &mut Report) -> Option<Vec<MapRule>> {
    let mut rules = Vec::new();
    let mut known: HashMap<Vec<(String, String)>, Spanned<String>> = HashMap::new();
    for (name, texts) in written.named(key) {
        if !is_name(&name.value) {
            return bad(
                name.span,
                format!("`{}` cannot be a name of `{key}`", name.value),
                "it is written to logs, keys of stores and fields",
                "write 1 to 200 visible ASCII characters",
                report,
            );
        }
        for text in texts {
            let pairs = pairs(&text, name.span, report)?;
            report_other_issuer(&pairs, name.span, issuers, report);
            // Groups are added to each other; a token has one consumer and one plan.
            if key != "map-groups"
                && let Some(other) = known.insert(pairs.clone(), name.clone()).filter(|other| other.value != name.value)
            {
                return bad(
                    name.span,
                    format!("`{text}` is mapped to `{}` and to `{}`", other.value, name.value),
                    "a token has one of them, and the order of a file decides nothing",
                    "remove one of them, or add a claim that distinguishes them",
                    report,
                );
            }
            let claim = |(claim, value)| ClaimRule { claim, any_of: vec![value] };
            rules.push(MapRule { name: name.value.clone(), when: pairs.into_iter().map(claim).collect() });
        }
    }
    Some(rules)
}

/// The claims and values of a rule, sorted.
fn pairs(text: &str, at: Span, report: &mut Report) -> Option<Vec<(String, String)>> {
    let mut all = Vec::new();
    let mut rest = text.trim_ascii();
    while !rest.is_empty() {
        let Some((pair, behind)) = first_pair(rest) else {
            all.clear();
            break;
        };
        all.push(pair);
        rest = behind.trim_ascii_start();
    }
    if all.is_empty() {
        return bad(
            at,
            format!("`{text}` is no rule for claims"),
            "a rule has one or more `claim=value` with blanks between them, and no other operators; a value with blanks is quoted",
            "write it as in `sub=00u7f`, `tier=premium email_verified=true` or `groups=\"Domain Users\"`",
            report,
        );
    }
    all.sort_unstable();
    all.dedup();
    Some(all)
}

/// The first claim and its value, and the rest of the text. A value in quotes ends at the next quote, and has none inside.
fn first_pair(text: &str) -> Option<((String, String), &str)> {
    let (claim, value) = text.split_once('=')?;
    // As in `sub==ada` or `sub!=ada`: a rule has no other operators. A value that begins with `=` is quoted.
    if value.starts_with(['=', '~']) || claim.ends_with(['!', '<', '>', '~', '^', '*', '$']) {
        return None;
    }
    let (value, rest) = match value.strip_prefix('"') {
        Some(quoted) => quoted.split_once('"').filter(|(_, rest)| rest.is_empty() || rest.starts_with(is_blank))?,
        None => value.split_at(value.find(is_blank).unwrap_or(value.len())),
    };
    let is_pair = !claim.is_empty() && !claim.contains(is_blank) && !value.is_empty();
    is_pair.then(|| ((claim.to_owned(), value.to_owned()), rest))
}

const fn is_blank(c: char) -> bool {
    c.is_ascii_whitespace()
}

/// Reports a rule for tokens that the policy refuses.
fn report_other_issuer(pairs: &[(String, String)], at: Span, issuers: &[String], report: &mut Report) {
    let other = pairs.iter().find(|(claim, issuer)| claim == "iss" && !issuers.is_empty() && !issuers.contains(issuer));
    if let Some((_, issuer)) = other {
        report.push(
            Diagnostic::warning(Code::BadMapping, at, format!("no token of the policy has the issuer `{issuer}`"))
                .why("the rule never applies: the policy accepts tokens of its own issuers only")
                .fix("correct it, or write the rule in the policy for this issuer"),
        );
    }
}

fn bad<T>(at: Span, what: String, why: &str, fix: &str, report: &mut Report) -> Option<T> {
    report.push(Diagnostic::error(Code::BadMapping, at, what).why(why).fix(fix));
    None
}

/// Whether a written name of a consumer can be one; reports it otherwise.
pub(super) fn can_be_consumer(name: &str, at: Span, code: Code, report: &mut Report) -> bool {
    let is_right = is_name(name);
    if !is_right {
        report.push(
            Diagnostic::error(code, at, format!("`{name}` cannot be the name of a consumer"))
                .why("it is written to logs, keys of stores and fields")
                .fix("write 1 to 200 visible ASCII characters"),
        );
    }
    is_right
}

/// As names of consumers in tokens.
fn is_name(text: &str) -> bool {
    (1..=200).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic())
}

/// The rules as they would be written.
pub(super) fn written(rules: &[MapRule]) -> Vec<(String, Vec<String>)> {
    let mut all: Vec<(String, Vec<String>)> = Vec::new();
    for rule in rules {
        let pair = |claim: &ClaimRule| {
            let value = claim.any_of.join(",");
            let quote = if value.contains(is_blank) || value.starts_with(['"', '=', '~']) { "\"" } else { "" };
            format!("{}={quote}{value}{quote}", claim.claim)
        };
        let text = rule.when.iter().map(pair).collect::<Vec<_>>().join(" ");
        match all.iter_mut().find(|(name, _)| *name == rule.name) {
            Some((_, texts)) => texts.push(text),
            None => all.push((rule.name.clone(), vec![text])),
        }
    }
    all
}
