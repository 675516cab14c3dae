//! Outages of identity providers: what operators say about them, and what they are told.

use serde::{Deserialize, Serialize};

use super::keys::is_note;
use super::members::Members;
use super::rotation::parse_duration;
use crate::authn::{Allowance, Outage, OutageRules, RevokedToken};
use crate::cell::Listed;
use crate::problem::{Problem, ProblemKind};
use crate::time::Timestamp;

/// A request to admit tokens of consumers for a while.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutageRequest {
    consumers: Vec<String>,
    for_s: u64,
    reason: String,
}

/// A request to revoke tokens that were admitted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokensRequest {
    /// Their public ids; empty: all.
    credentials: Vec<String>,
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
                .ok_or_else(|| refuse("`for` is a number with s, m, h or d, such as 30m."))?,
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
    /// Parses the content of a request.
    ///
    /// # Errors
    /// The problem for the response.
    pub fn parse(content: &[u8]) -> Result<Self, Problem> {
        let mut members = Members::parse(content, REVOKE_FORM)?;
        let (credentials, all) = (members.texts("tokens")?, members.flag("all")?);
        members.finish()?;
        if all == credentials.is_empty() {
            Ok(Self { credentials })
        } else {
            Err(refuse(format!("Send exactly one of: {REVOKE_FORM}.")))
        }
    }

    /// Revokes the tokens, each of which was admitted; answers their public ids.
    ///
    /// # Errors
    /// The problem for the response, if one was not admitted, or there is no room.
    pub fn revoke(
        self,
        outage: &mut Outage,
        admitted: &[Listed],
        rules: &OutageRules,
        now: Timestamp,
    ) -> Result<Vec<String>, Problem> {
        let is_named = |listed: &&Listed| {
            self.credentials.is_empty() || self.credentials.iter().any(|named| **named == *listed.name)
        };
        if let Some(other) =
            self.credentials.iter().find(|named| !admitted.iter().any(|listed| *listed.name == ***named))
        {
            let detail = format!("No token {other} was admitted while the provider of this policy was away.");
            return Err(Problem::plain(ProblemKind::ResourceNotFound, detail));
        }
        let revoked: Vec<&Listed> = admitted.iter().filter(is_named).collect();
        outage.change(now);
        for listed in &revoked {
            if !outage.is_revoked(&listed.name) {
                let until = listed.ends.plus_millis(u64::from(rules.late_s) * 1_000);
                outage.revoked.push(RevokedToken { credential: listed.name.to_string(), until });
            }
        }
        if outage.revoked.len() > REVOKED_MAX {
            return Err(refuse("More than 2,000 tokens that have not ended would be revoked."));
        }
        Ok(revoked.into_iter().map(|listed| listed.name.to_string()).collect())
    }
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
        let token = |listed: &Listed| AdmittedToken {
            credential: listed.name.to_string(),
            consumer: listed.text.to_string(),
            first: listed.first,
            last: listed.last,
            revoked: outage.is_revoked(&listed.name),
        };
        let tokens = admitted.iter().map(token).collect();
        Self { policy: policy.to_owned(), open: outage.allowance(rules, now).is_some(), outage, tokens }
    }
}

fn refuse(detail: impl Into<std::borrow::Cow<'static, str>>) -> Problem {
    Problem::plain(ProblemKind::BadRequest, detail)
}

const ALLOW_FORM: &str = r#"{"consumers": ["staff:ada"], "for": "30m", "reason": "the provider is down"}"#;

const REVOKE_FORM: &str = r#"{"tokens": ["jwt-3f9a5b7c9d0e1f2a"]} or {"all": true}"#;

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

    #[wasm_bindgen_test(unsupported = test)]
    fn tokens_that_were_admitted_are_revoked_one_or_all() {
        let admitted = [listed("jwt-1", 1_000), listed("jwt-2", 2_000)];
        let revoke = |outage: &mut Outage, content: &str, ms| {
            TokensRequest::parse(content.as_bytes())?.revoke(outage, &admitted, &rules(), NOW.plus_millis(ms))
        };
        let mut outage = Outage::default();
        assert_eq!(revoke(&mut outage, r#"{"tokens":["jwt-2"]}"#, 0).unwrap(), ["jwt-2"]);
        assert!(outage.is_revoked("jwt-2") && !outage.is_revoked("jwt-1"));
        assert_eq!(revoke(&mut outage, r#"{"all":true}"#, 0).unwrap(), ["jwt-1", "jwt-2"]);
        assert_eq!(outage.revoked.len(), 2);
        let view = OutageView::of("staff", outage.clone(), &admitted, &rules(), NOW);
        assert!(!view.open && view.tokens.iter().all(|token| token.revoked));
        for (content, kind) in [
            (r#"{"tokens":["jwt-3"]}"#, ProblemKind::ResourceNotFound),
            ("{}", ProblemKind::BadRequest),
            (r#"{"tokens":["jwt-1"],"all":true}"#, ProblemKind::BadRequest),
        ] {
            assert_eq!(revoke(&mut outage, content, 0).unwrap_err().kind, kind, "{content}");
        }
        let later = revoke(&mut outage, r#"{"tokens":["jwt-2"]}"#, 61_500).unwrap();
        assert!(later == ["jwt-2"] && outage.revoked.len() == 1, "what has ended is forgotten");
    }
}
