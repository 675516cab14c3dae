//! What is known of a token for certain: its claims, if its signature was verified (RFC 7519, section 4.1; RFC 8725; RFC 9068), or
//! what its issuer answered about it (RFC 7662, section 2.2).

use thiserror::Error;

use super::{ClaimRule, Confirmation, IdentityRules, KeyDigest, MapRule, TokenFacts};
use crate::bounds::{CLAIMS_BYTES_MAX, GROUPS_MAX, SCOPES_MAX};
use crate::jose::{Members, Value};
use crate::order;
use crate::time::Timestamp;

/// What a token says of its bearer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The consumer's name.
    pub consumer: String,
    /// The plan.
    pub plan: Option<String>,
    /// The scopes, sorted.
    pub scopes: Vec<String>,
    /// The groups and roles.
    pub groups: Vec<String>,
    /// Until when the token is accepted, exclusive.
    pub until: Timestamp,
    /// What the token is bound to.
    pub confirmation: Option<Box<Confirmation>>,
    /// Under what a link may be stored that says who the bearer is.
    pub link: Option<KeyDigest>,
}

/// Why a token with a verified signature is not accepted.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ClaimError {
    /// Its type is another one.
    #[error("its type is not the one that is required")]
    Kind,
    /// Its issuer is not trusted.
    #[error("its issuer is not trusted here")]
    Issuer,
    /// It is for others.
    #[error("it was issued for another audience")]
    Audience,
    /// Its time is over.
    #[error("it has expired")]
    Expired,
    /// Its time has not begun, or it was issued in the future.
    #[error("it is not valid yet")]
    NotYet,
    /// It was issued too long ago.
    #[error("it was issued too long ago")]
    TooOld,
    /// A claim is missing.
    #[error("the claim `{0}` is missing")]
    Missing(String),
    /// A claim has a form that it must not have.
    #[error("the claim `{0}` has the wrong form")]
    Form(String),
    /// A claim has another value than it must have.
    #[error("the claim `{0}` does not have a value that is accepted")]
    Value(String),
    /// Several names are mapped to its claims.
    #[error("its claims are those of several {0}, and it has one")]
    Several(&'static str),
    /// A claim names too many scopes or groups.
    #[error("the claim `{0}` has more than {SCOPES_MAX} names")]
    TooMany(String),
    /// Only identities with a link are accepted, and this one has none.
    #[error("its identity is not registered with this gateway")]
    NotLinked,
    /// The claims that conditions read cannot be kept.
    #[error("the claims that conditions read are larger than {CLAIMS_BYTES_MAX} bytes together")]
    TooLarge,
}

impl ClaimError {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Kind => "type",
            Self::Issuer => "issuer",
            Self::Audience => "audience",
            Self::Expired => "expired",
            Self::NotYet => "not-yet",
            Self::TooOld => "too-old",
            Self::Missing(_) => "missing",
            Self::Form(_) => "form",
            Self::Value(_) => "value",
            Self::Several(_) => "several",
            Self::TooMany(_) => "too-many",
            Self::NotLinked => "not-linked",
            Self::TooLarge => "too-large",
        }
    }
}

impl IdentityRules {
    /// The identity of the bearer of a token whose signature was verified, for the policy of this name.
    ///
    /// # Errors
    /// If the token is not accepted now.
    pub fn of_token(&self, policy: &str, claims: &Members, now: Timestamp) -> Result<Identity, ClaimError> {
        self.of_late_token(policy, claims, now, 0)
    }

    /// The same for a token that is accepted for so many seconds after its end.
    ///
    /// # Errors
    /// If the token is not accepted now.
    pub fn of_late_token(
        &self,
        policy: &str,
        claims: &Members,
        now: Timestamp,
        late_s: u32,
    ) -> Result<Identity, ClaimError> {
        let is_there = |name: &str| claims.get(name).map(drop).ok_or_else(|| ClaimError::Missing(name.into()));
        is_there("iss")?;
        is_there("exp")?;
        self.identity(policy, claims, now, late_s)
    }

    /// The identity of the bearer of a token that its issuer says is active, for the policy of this name. What the answer does
    /// not say (`iss`, `exp`) is not checked: the issuer itself was asked.
    ///
    /// # Errors
    /// If the token is not accepted now.
    pub fn of_answer(&self, policy: &str, claims: &Members, now: Timestamp) -> Result<Identity, ClaimError> {
        self.identity(policy, claims, now, 0)
    }

    /// The same for a token that is accepted for so many seconds after its end.
    ///
    /// # Errors
    /// If the token is not accepted now.
    pub fn of_late_answer(
        &self,
        policy: &str,
        claims: &Members,
        now: Timestamp,
        late_s: u32,
    ) -> Result<Identity, ClaimError> {
        self.identity(policy, claims, now, late_s)
    }

    /// When a token ends for this policy, with its leeway; never if it does not say.
    ///
    /// # Errors
    /// If it says something that is no time.
    pub fn end(&self, claims: &Members) -> Result<Timestamp, ClaimError> {
        let leeway_ms = u64::from(self.leeway_s) * 1_000;
        Ok(date(claims, "exp")?.map_or(Timestamp::MAX, |expires| expires.plus_millis(leeway_ms)))
    }

    /// What a token says of itself, by which it can be revoked.
    #[must_use]
    pub fn facts(claims: &Members) -> Box<TokenFacts> {
        let id = match claims.get("jti") {
            Some(Value::Text(id)) => Some(id.clone()).filter(|id| id.len() <= JTI_BYTES_MAX),
            // Some issuers number their tokens, although it is a text (RFC 7519, section 4.1.7).
            Some(Value::Integer(number)) => Some(number.to_string()),
            _ => None,
        };
        Box::new(TokenFacts { issued: date(claims, "iat").ok().flatten(), id })
    }

    fn identity(&self, policy: &str, claims: &Members, now: Timestamp, late_s: u32) -> Result<Identity, ClaimError> {
        self.check_issuer(claims)?;
        self.check_audience(claims)?;
        let until = self.check_times(claims, now, late_s)?;
        if let Some(missing) = self.required.iter().find(|name| find(claims, name).is_none()) {
            return Err(ClaimError::Missing(missing.clone()));
        }
        for rule in &self.claims {
            if !rule.holds(claims) {
                let is_there = find(claims, &rule.claim).is_some();
                let error = if is_there { ClaimError::Value } else { ClaimError::Missing };
                return Err(error(rule.claim.clone()));
            }
        }
        // A condition must not take a claim for absent because the bearer has made another one long.
        if self.kept_claims.iter().filter_map(|path| claims.at(path)).map(Value::size).sum::<usize>() > CLAIMS_BYTES_MAX
        {
            return Err(ClaimError::TooLarge);
        }
        Ok(Identity {
            consumer: self.consumer(policy, claims)?,
            plan: self.plan(claims)?,
            scopes: self.scopes(claims)?,
            groups: self.groups(claims)?,
            until,
            confirmation: Confirmation::of(claims)?,
            link: self.link(claims)?,
        })
    }

    /// Whether the issuer, if the claims name one, is one of the policy's: exact, as two texts (RFC 7519, section 2: StringOrURI).
    ///
    /// # Errors
    /// If it is another one.
    pub fn check_issuer(&self, claims: &Members) -> Result<(), ClaimError> {
        let Some(issuer) = claims.get("iss").filter(|_| !self.issuers.is_empty()) else { return Ok(()) };
        let issuer = issuer.as_text().ok_or_else(|| ClaimError::Form("iss".into()))?;
        if self.issuers.iter().any(|own| own == issuer) { Ok(()) } else { Err(ClaimError::Issuer) }
    }

    /// One text or a list of texts (RFC 7519, section 4.1.3).
    pub(super) fn check_audience(&self, claims: &Members) -> Result<(), ClaimError> {
        if self.audiences.is_empty() {
            return Ok(());
        }
        let named = claims.get("aud").ok_or_else(|| ClaimError::Missing("aud".into()))?;
        let is_ours = |value: &Value| value.as_text().is_some_and(|text| self.audiences.iter().any(|own| own == text));
        let found = match named {
            Value::Text(_) => is_ours(named),
            Value::List(all) if all.iter().all(|one| one.as_text().is_some()) => all.iter().any(is_ours),
            _ => return Err(ClaimError::Form("aud".into())),
        };
        if found { Ok(()) } else { Err(ClaimError::Audience) }
    }

    /// The times of the token; answers until when it is accepted.
    pub(super) fn check_times(&self, claims: &Members, now: Timestamp, late_s: u32) -> Result<Timestamp, ClaimError> {
        let leeway_ms = u64::from(self.leeway_s) * 1_000;
        let mut until = self.end(claims)?.plus_millis(u64::from(late_s) * 1_000);
        let (not_before, issued) = (date(claims, "nbf")?, date(claims, "iat")?);
        if now >= until {
            return Err(ClaimError::Expired);
        }
        let latest = now.plus_millis(leeway_ms);
        if [not_before, issued].into_iter().flatten().any(|start| start > latest) {
            return Err(ClaimError::NotYet);
        }
        if let Some(age_max_s) = self.age_max_s {
            let issued = issued.ok_or_else(|| ClaimError::Missing("iat".into()))?;
            let oldest = issued.plus_millis(u64::from(age_max_s) * 1_000 + leeway_ms);
            if now >= oldest {
                return Err(ClaimError::TooOld);
            }
            until = until.min(oldest);
        }
        Ok(until)
    }

    fn consumer(&self, policy: &str, claims: &Members) -> Result<String, ClaimError> {
        if let Some(name) = mapped(&self.consumers, claims, "consumers")? {
            return Ok(name.to_owned());
        }
        let value = find(claims, &self.consumer).ok_or_else(|| ClaimError::Missing(self.consumer.clone()))?;
        let name = text(value).filter(|name| is_name(name)).ok_or_else(|| ClaimError::Form(self.consumer.clone()))?;
        Ok(match &self.consumer_prefix {
            Some(prefix) => format!("{prefix}{name}"),
            None => format!("{policy}:{name}"),
        })
    }

    fn plan(&self, claims: &Members) -> Result<Option<String>, ClaimError> {
        if let Some(name) = mapped(&self.plans, claims, "plans")? {
            return Ok(Some(name.to_owned()));
        }
        let Some(claim) = &self.plan else { return Ok(None) };
        let Some(value) = find(claims, claim) else { return Ok(None) };
        let name = text(value).filter(|name| is_name(name)).ok_or_else(|| ClaimError::Form(claim.clone()))?;
        Ok(Some(name))
    }

    /// The scopes as the configuration names them; those that it does not rename have the name in the token.
    fn scopes(&self, claims: &Members) -> Result<Vec<String>, ClaimError> {
        let named = match find(claims, &self.scope_claim) {
            None => Vec::new(),
            Some(Value::Text(text)) => text.split(' ').filter(|scope| !scope.is_empty()).map(str::to_owned).collect(),
            Some(Value::List(all)) => {
                let texts: Option<Vec<String>> = all.iter().map(|one| one.as_text().map(str::to_owned)).collect();
                texts.ok_or_else(|| ClaimError::Form(self.scope_claim.clone()))?
            }
            Some(_) => return Err(ClaimError::Form(self.scope_claim.clone())),
        };
        // They are kept as long as the token is remembered.
        if named.len() > SCOPES_MAX {
            return Err(ClaimError::TooMany(self.scope_claim.clone()));
        }
        let is_renamed = |scope: &str| self.scopes.iter().any(|rule| rule.scope == scope);
        let renamed = self.scopes.iter().filter(|rule| named.contains(&rule.in_token)).map(|rule| rule.scope.clone());
        // A name that the configuration gives to another scope of tokens does not stand for itself too.
        Ok(order::each_once(renamed.chain(named.iter().filter(|own| !is_renamed(own)).cloned()).collect()))
    }

    /// The name in tokens of a scope of the configuration.
    pub(super) fn scope_in_token<'s>(&'s self, scope: &'s str) -> &'s str {
        self.scopes.iter().find(|rule| rule.scope == scope).map_or(scope, |rule| &rule.in_token)
    }

    /// The groups and roles of all claims that name some; one name is never several.
    fn groups(&self, claims: &Members) -> Result<Vec<String>, ClaimError> {
        let mut groups: Vec<String> = names(&self.groups, claims).map(str::to_owned).collect();
        for claim in &self.group_claims {
            let form = || ClaimError::Form(claim.clone());
            match find(claims, claim) {
                None => {}
                Some(Value::Text(text)) => groups.push(text.clone()),
                Some(Value::List(all)) => {
                    let texts: Option<Vec<String>> = all.iter().map(|one| one.as_text().map(str::to_owned)).collect();
                    groups.extend(texts.ok_or_else(form)?);
                }
                Some(_) => return Err(form()),
            }
            if groups.len() > GROUPS_MAX {
                return Err(ClaimError::TooMany(claim.clone()));
            }
        }
        Ok(groups)
    }
}

impl ClaimRule {
    /// Whether the claim has one of the values, or a list with one.
    fn holds(&self, claims: &Members) -> bool {
        find(claims, &self.claim).is_some_and(|value| texts(value).iter().any(|own| self.any_of.contains(own)))
    }
}

/// The names that are mapped to the claims.
fn names<'r>(rules: &'r [MapRule], claims: &Members) -> impl Iterator<Item = &'r str> {
    rules.iter().filter(|rule| rule.when.iter().all(|claim| claim.holds(claims))).map(|rule| rule.name.as_str())
}

/// The one name that is mapped to the claims; the order of rules must not decide it.
fn mapped<'r>(rules: &'r [MapRule], claims: &Members, of: &'static str) -> Result<Option<&'r str>, ClaimError> {
    let mut all = names(rules, claims);
    let Some(first) = all.next() else { return Ok(None) };
    if all.all(|other| other == first) { Ok(Some(first)) } else { Err(ClaimError::Several(of)) }
}

/// A claim by its name; if there is none, the name is a path of members, with dots between them.
pub(super) fn find<'c>(claims: &'c Members, name: &str) -> Option<&'c Value> {
    if let Some(value) = claims.get(name) {
        return Some(value);
    }
    let (first, rest) = name.split_once('.')?;
    match claims.get(first)? {
        Value::Object(inner) => find(inner, rest),
        _ => None,
    }
}

/// A single value as a text.
pub(super) fn text(value: &Value) -> Option<String> {
    match value {
        Value::Text(text) => Some(text.clone()),
        Value::Integer(number) => Some(number.to_string()),
        Value::Bool(value) => Some(value.to_string()),
        Value::Null | Value::Float(_) | Value::List(_) | Value::Object(_) => None,
    }
}

/// A value, or the values of a list, as texts.
fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::List(all) => all.iter().filter_map(text).collect(),
        single => text(single).into_iter().collect(),
    }
}

/// Whether a text can be the name of a consumer or plan: it is written to logs, keys and fields.
pub(in crate::authn) fn is_name(text: &str) -> bool {
    (1..=NAME_BYTES_MAX).contains(&text.len()) && !text.chars().any(char::is_control)
}

/// Subjects have at most 255 characters (OpenID Connect Core 1.0, section 2).
const NAME_BYTES_MAX: usize = 255;

/// A NumericDate (RFC 7519, section 2): seconds, perhaps with a fraction.
pub(super) fn date(claims: &Members, name: &str) -> Result<Option<Timestamp>, ClaimError> {
    let seconds = match claims.get(name) {
        None => return Ok(None),
        Some(Value::Integer(seconds)) => {
            u64::try_from(*seconds).ok().and_then(|seconds| seconds.checked_mul(1_000_000))
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within the range of dates")]
        Some(Value::Float(seconds)) if (0.0..=MAX_S).contains(seconds) => Some((seconds * 1e6) as u64),
        Some(_) => None,
    };
    let micros = seconds.filter(|micros| *micros <= Timestamp::MAX.as_micros());
    micros.map(|micros| Some(Timestamp::from_micros(micros))).ok_or_else(|| ClaimError::Form(name.to_owned()))
}

/// Longer ids of tokens are not remembered, so those tokens are not revoked by them.
pub(crate) const JTI_BYTES_MAX: usize = 200;

/// The end of the year 9999.
const MAX_S: f64 = 253_402_300_799.0;

#[cfg(test)]
mod tests;
