//! Outages of identity providers: what operators say about them, and what they are told.

use serde::{Deserialize, Serialize};

use super::keys::is_note;
use super::members::Members;
use super::rotation::parse_duration;
use crate::authn::{Allowance, JTI, OF_CONSUMER, Outage, OutageRules, Revocations, RevokedToken};
use crate::cell::Listed;
use crate::problem::{Problem, ProblemKind};
use crate::time::Timestamp;
use crate::token_id::{digest_of_token, is_same_credential};

/// A request to admit tokens of consumers for a while.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutageRequest {
    consumers: Vec<String>,
    for_s: u64,
    reason: String,
}

/// A request to revoke tokens, or to accept them again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokensRequest {
    /// Which; empty: all that were admitted while the provider was away.
    named: Vec<RevokedToken>,
    is_restored: bool,
}

/// What is known of the outages of a policy's provider.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutageView {
    /// The policy.
    pub policy: String,
    /// Whether tokens are admitted now because an operator allows it.
    pub open: bool,
    /// What operators have said.
    #[serde(flatten)]
    pub outage: Outage,
    /// The tokens that were admitted while the provider was away.
    pub tokens: Vec<AdmittedToken>,
}

/// A token that was admitted while the provider was away.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdmittedToken {
    /// Its public id, as in logs.
    pub credential: String,
    /// Its consumer.
    pub consumer: String,
    /// When it was admitted first.
    pub first: Timestamp,
    /// When an isolate admitted it last for the first time.
    pub last: Timestamp,
    /// Whether it is revoked.
    pub revoked: bool,
}

impl OutageRequest {
    /// Parses the content of a request.
    ///
    /// # Errors
    /// The problem for the response.
    pub fn parse(content: &[u8]) -> Result<Self, Problem> {
        let mut members = Members::parse(content, ALLOW_FORM)?;
        let request = Self {
            consumers: members.texts("consumers")?,
            for_s: parse_duration(&members.text("for")?.ok_or_else(|| members.missing("for"))?)
                .ok_or_else(|| refuse("`for` is a whole number with s, m, h, d or w, such as 30m."))?,
            reason: members.text("reason")?.ok_or_else(|| members.missing("reason"))?,
        };
        if request.consumers.is_empty() {
            return Err(members.missing("consumers"));
        }
        members.finish()?;
        if is_note(&request.reason) {
            Ok(request)
        } else {
            Err(refuse("`reason` has 1 to 200 characters, and no control characters."))
        }
    }

    /// The consumers that it names.
    #[must_use]
    pub fn consumers(&self) -> &[String] {
        &self.consumers
    }

    /// Says from now on that the tokens of these consumers are admitted, by the operator of this name.
    ///
    /// # Errors
    /// The problem for the response, if the policy does not allow it.
    pub fn allow(self, outage: &mut Outage, rules: &OutageRules, now: Timestamp, by: &str) -> Result<(), Problem> {
        if !rules.admits() {
            return Err(refuse("The policy does not have `on-unavailable: known`, so nothing can be admitted."));
        }
        if let Some(other) = self.consumers.iter().find(|consumer| !rules.names(consumer)) {
            let detail = format!(
                "The policy does not name the consumer {other} in `outage-consumers`; it names {}.",
                rules.consumers.join(", ")
            );
            return Err(refuse(detail));
        }
        if self.for_s == 0 || self.for_s > rules.for_s.into() {
            let detail = format!("The policy allows an outage of 1 to {} seconds (`outage-for`).", rules.for_s);
            return Err(refuse(detail));
        }
        let until = now.plus_millis(self.for_s * 1_000);
        let (consumers, reason, by) = (self.consumers, self.reason, by.to_owned());
        outage.change(now);
        outage.allowed = Some(Allowance { consumers, from: now, until, reason, by });
        Ok(())
    }
}

impl TokensRequest {
    /// Parses the content of a request that is made at `now`.
    ///
    /// # Errors
    /// The problem for the response.
    pub fn parse(content: &[u8], now: Timestamp) -> Result<Self, Problem> {
        let mut members = Members::parse(content, REVOKE_FORM)?;
        let (tokens, ids, consumers) = (members.texts("tokens")?, members.texts("jti")?, members.texts("consumers")?);
        let (all, is_restored) = (members.flag("all")?, members.flag("restore")?);
        let until = super::keys::time(&mut members, "until")?;
        members.finish()?;
        if tokens.iter().any(|id| !is_token_id(id)) || ids.iter().chain(&consumers).any(|text| !is_note(text)) {
            return Err(refuse(format!("This names no token. {FORMS}")));
        }
        if until.is_some_and(|until| until <= now) {
            return Err(refuse("These tokens have ended: `until` is in the past."));
        }
        let until = until.unwrap_or(now.plus_millis(REVOKED_MS));
        let entry = |credential, issued_until| RevokedToken { credential, until, issued_until };
        let ids = ids.into_iter().map(|id| entry([JTI, &id].concat(), None));
        let consumers = consumers.into_iter().map(|name| entry([OF_CONSUMER, &name].concat(), Some(now)));
        let named: Vec<_> = tokens.into_iter().map(|id| entry(id, None)).chain(ids).chain(consumers).collect();
        if all == named.is_empty() && !(all && is_restored) {
            Ok(Self { named, is_restored })
        } else {
            Err(refuse(format!("Name tokens, or all that were admitted. {FORMS}")))
        }
    }

    /// Revokes the tokens, or accepts them again; answers which.
    ///
    /// # Errors
    /// The problem for the response, if one that should be accepted again is not revoked, or there is no room.
    pub fn apply(
        self,
        outage: &mut Outage,
        admitted: &[Listed],
        rules: &OutageRules,
        now: Timestamp,
    ) -> Result<Vec<String>, Problem> {
        let late_ms = u64::from(rules.late_s) * 1_000;
        let of_listed = |listed: &Listed| {
            let mut until = listed.ends.plus_millis(late_ms);
            // What only its provider knows may end later than was said when it was verified first.
            if !listed.name.starts_with(SIGNED_TOKEN) {
                until = until.max(now.plus_millis(REVOKED_MS));
            }
            RevokedToken { credential: listed.name.to_string(), until, issued_until: None }
        };
        let listed = |token: RevokedToken| {
            let known = admitted.iter().find(|listed| is_same_credential(&listed.name, &token.credential));
            // In an outage it is admitted for some time after its end.
            let named = || RevokedToken { until: token.until.plus_millis(late_ms), ..token.clone() };
            known.map_or_else(named, of_listed)
        };
        let named: Vec<RevokedToken> = if self.named.is_empty() {
            admitted.iter().map(of_listed).collect()
        } else {
            self.named.into_iter().map(listed).collect()
        };
        outage.change(now);
        for token in &named {
            // By the kind of its policy, or by what a command that does not know it makes of the token.
            let is_it = |known: &&mut RevokedToken| is_same_credential(&known.credential, &token.credential);
            let known = outage.revoked.iter_mut().find(is_it);
            match (known, self.is_restored) {
                // Kept until the next change: another writer may still have it.
                (Some(known), true) => known.until = now,
                (Some(known), false) => known.clone_from(token),
                (None, false) => outage.revoked.push(token.clone()),
                (None, true) => {
                    let detail = format!("{} is not revoked.", token.credential);
                    return Err(Problem::plain(ProblemKind::ResourceNotFound, detail));
                }
            }
        }
        if outage.revoked.len() > REVOKED_MAX {
            return Err(refuse("More than 2,000 tokens that have not ended would be revoked."));
        }
        Ok(named.into_iter().map(|token| token.credential).collect())
    }
}

/// Whether a text is the public id of a token, or of a session after the name of its policy, as in logs.
fn is_token_id(text: &str) -> bool {
    let is_hex = |text: &str| text.len() == 16 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let of_session = || text.rsplit_once('/').filter(|(policy, _)| is_note(policy)).map(|(_, id)| id);
    digest_of_token(text).or_else(of_session).is_some_and(is_hex)
}

impl Outage {
    /// Ends what is allowed, if it has not ended.
    pub fn end(&mut self, now: Timestamp) {
        self.change(now);
        if let Some(allowed) = &mut self.allowed {
            allowed.until = allowed.until.min(now);
        }
    }
}

impl Outage {
    /// Notes a change, and forgets what is over.
    fn change(&mut self, now: Timestamp) {
        self.changed = now;
        self.revoked.retain(|known| now < known.until);
    }
}

impl OutageView {
    /// What is known now.
    #[must_use]
    pub fn of(policy: &str, outage: Outage, admitted: &[Listed], rules: &OutageRules, now: Timestamp) -> Self {
        let revocations = Revocations::of(&outage);
        let token = |listed: &Listed| AdmittedToken {
            credential: listed.name.to_string(),
            consumer: listed.text.to_string(),
            first: listed.first,
            last: listed.last,
            revoked: revocations.include(&listed.name, &listed.text, None, now),
        };
        let tokens = admitted.iter().map(token).collect();
        Self { policy: policy.to_owned(), open: outage.allowance(rules, now).is_some(), outage, tokens }
    }
}

fn refuse(detail: impl Into<std::borrow::Cow<'static, str>>) -> Problem {
    Problem::plain(ProblemKind::BadRequest, detail)
}

const ALLOW_FORM: &str = r#"{"consumers": ["staff:ada"], "for": "30m", "reason": "the provider is down"}"#;

const REVOKE_FORM: &str = r#"{"tokens": ["jwt-3f9a5b7c9d0e1f2a"]}"#;

const FORMS: &str = r#"Send ids of the log in `tokens`, ids that the issuer gave in `jti`, names of the log in `consumers`, each with at most 200 characters; or `"all": true`."#;

/// Before ids of tokens that say themselves when they end.
const SIGNED_TOKEN: &str = "jwt-";

/// How long tokens are refused whose end is not known: longer than tokens are valid, except those without an end.
const REVOKED_MS: u64 = 31 * 24 * 60 * 60 * 1_000;

/// Tokens that may be revoked at once: twice as many as are listed as admitted.
const REVOKED_MAX: usize = 2_000;

#[cfg(test)]
mod tests {
    use super::*;
    use wasm_bindgen_test::wasm_bindgen_test;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    fn rules() -> OutageRules {
        let consumers = vec!["staff:ada".into(), "staff:bob".into()];
        OutageRules { consumers, for_s: 3_600, late_s: 60, after_s: None }
    }

    fn allow(content: &str) -> Result<Outage, Problem> {
        let mut outage = Outage::default();
        OutageRequest::parse(content.as_bytes())?.allow(&mut outage, &rules(), NOW, "ci")?;
        Ok(outage)
    }

    fn listed(name: &str, ends_ms: u64) -> Listed {
        let (name, text) = (name.into(), "staff:ada".into());
        Listed { name, text, first: NOW, last: NOW, ends: NOW.plus_millis(ends_ms), kept_until: Timestamp::MAX }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn an_operator_allows_consumers_that_the_policy_names_for_a_while() {
        let outage = allow(r#"{"consumers":["staff:ada"],"for":"30m","reason":"down"}"#).unwrap();
        let allowed = outage.allowed.clone().unwrap();
        assert_eq!((allowed.until, allowed.by.as_str()), (NOW.plus_millis(1_800_000), "ci"));
        let mut ended = outage;
        ended.end(NOW.plus_millis(5));
        assert_eq!(ended.allowance(&rules(), NOW.plus_millis(5)), None);
        ended.end(NOW.plus_millis(9));
        assert_eq!(ended.allowed.unwrap().until, NOW.plus_millis(5));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn what_the_policy_does_not_allow_is_refused_by_name() {
        for (content, words) in [
            (r#"{"consumers":["staff:eve"],"for":"30m","reason":"x"}"#, "staff:eve"),
            (r#"{"consumers":["staff:ada"],"for":"61m","reason":"x"}"#, "1 to 3600 seconds"),
            (r#"{"consumers":["staff:ada"],"for":"0s","reason":"x"}"#, "1 to 3600 seconds"),
            (r#"{"consumers":["staff:ada"],"for":"soon","reason":"x"}"#, "such as 30m"),
            (r#"{"consumers":["staff:ada"],"for":"30m"}"#, "`reason` is missing"),
            (r#"{"consumers":["staff:ada"],"for":"30m","reason":"a\nb"}"#, "control characters"),
            (r#"{"for":"30m","reason":"x"}"#, "`consumers` is missing"),
            (r#"{"consumers":["staff:ada"],"for":"30m","reason":"x","all":true}"#, "`all` is unknown"),
        ] {
            let problem = allow(content).unwrap_err();
            assert!(problem.kind == ProblemKind::BadRequest && problem.detail.contains(words), "{}", problem.detail);
        }
    }

    fn apply(outage: &mut Outage, admitted: &[Listed], content: &str, ms: u64) -> Result<Vec<String>, Problem> {
        let now = NOW.plus_millis(ms);
        TokensRequest::parse(content.as_bytes(), now)?.apply(outage, admitted, &rules(), now)
    }

    const ONE: &str = "jwt-00000000000000ff";
    const TWO: &str = "jwt-00000000000000fe";

    #[wasm_bindgen_test(unsupported = test)]
    fn tokens_that_were_admitted_are_revoked_one_or_all() {
        let admitted = [listed(ONE, 1_000), listed(TWO, 2_000)];
        let mut outage = Outage::default();
        let is_revoked = |outage: &Outage, id, ms| Revocations::of(outage).include(id, "", None, NOW.plus_millis(ms));
        assert_eq!(apply(&mut outage, &admitted, r#"{"tokens":["jwt-00000000000000fe"]}"#, 0).unwrap(), [TWO]);
        assert!(is_revoked(&outage, TWO, 0) && !is_revoked(&outage, ONE, 0));
        assert_eq!(apply(&mut outage, &admitted, r#"{"all":true}"#, 0).unwrap(), [ONE, TWO]);
        assert_eq!(outage.revoked.len(), 2);
        let view = OutageView::of("staff", outage.clone(), &admitted, &rules(), NOW);
        assert!(!view.open && view.tokens.iter().all(|token| token.revoked));
        assert!(is_revoked(&outage, TWO, 61_999) && !is_revoked(&outage, TWO, 62_000), "it ends with the token");
        let opaque = "token-00000000000000aa";
        assert_eq!(apply(&mut outage, &[listed(opaque, 1_000)], r#"{"all":true}"#, 0).unwrap(), [opaque]);
        assert!(is_revoked(&outage, opaque, REVOKED_MS - 1), "its provider may have moved its end");
        outage.revoked.pop();
        let later = apply(&mut outage, &admitted, r#"{"tokens":["jwt-00000000000000fe"]}"#, 61_500).unwrap();
        assert!(later == [TWO] && outage.revoked.len() == 1, "what has ended is forgotten");
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn any_token_is_revoked_and_accepted_again() {
        let mut outage = Outage::default();
        let all = r#"{"tokens":["token-00000000000000ff"],"jti":["7"],"consumers":["staff:ada"],"until":"2027-01-15T09:00:00Z"}"#;
        let named = ["token-00000000000000ff", "jti:7", "consumer:staff:ada"];
        assert_eq!(apply(&mut outage, &[], all, 0).unwrap(), named);
        let is_revoked = |outage: &Outage, id, consumer, ms| {
            Revocations::of(outage).include(id, consumer, None, NOW.plus_millis(ms))
        };
        assert!(is_revoked(&outage, ONE, "", 0) && is_revoked(&outage, TWO, "staff:ada", 0));
        assert_eq!(outage.revoked[2].issued_until, Some(NOW));
        assert_eq!(
            outage.revoked[0].until,
            NOW.plus_millis(3_600_000 + 60_000),
            "as late as it is admitted in an outage"
        );
        let restore = r#"{"consumers":["staff:ada"],"restore":true}"#;
        assert_eq!(apply(&mut outage, &[], restore, 5).unwrap(), ["consumer:staff:ada"]);
        assert!(!is_revoked(&outage, TWO, "staff:ada", 5));
        assert_eq!(apply(&mut outage, &[], restore, 6).unwrap_err().kind, ProblemKind::ResourceNotFound);
        for (content, words) in [
            ("{}", "Name tokens"),
            (r#"{"tokens":["jwt-00000000000000ff"],"all":true}"#, "Name tokens"),
            (r#"{"all":true,"restore":true}"#, "Name tokens"),
            (r#"{"tokens":["jwt-1"]}"#, "names no token"),
            (r#"{"tokens":["key-0123456789ab"]}"#, "names no token"),
            (r#"{"jti":[""]}"#, "names no token"),
            (r#"{"jti":["7"],"until":"2020-01-01T00:00:00Z"}"#, "in the past"),
        ] {
            let problem = apply(&mut outage, &[], content, 0).unwrap_err();
            assert!(problem.kind == ProblemKind::BadRequest && problem.detail.contains(words), "{}", problem.detail);
        }
    }
}
