//! What can be said of a token whose signature cannot be verified here, because its keys are fetched and the network is not used, and
//! of a session, because it is encrypted with a secret of the host.

use tollgate_config::Compiled;
use tollgate_core::authn::{JwtSettings, Presented};
use tollgate_core::event::Reason;
use tollgate_core::jose::Token;
use tollgate_core::kinds::AuthnPolicy;

use super::ask::{Explained, Question};

/// What a policy would say of the token of a request, if its signature were right.
pub(super) struct Unverified {
    pub(super) policy: String,
    /// `None` if nothing is known of it here.
    pub(super) is_accepted: Option<bool>,
    /// Who the bearer is, or why the token is refused in any case.
    pub(super) says: String,
}

/// The policies that had no keys for the token of the request.
pub(super) fn unverified(question: &Question, explained: &Explained, compiled: &Compiled) -> Vec<Unverified> {
    let events = explained.record.events.as_slice().iter();
    let without_keys = events.filter(|event| matches!(event.reason, Reason::TokenKeysUnavailable { .. }));
    let policies = &compiled.whole().policies.authn;
    let check = |name: &str| {
        let named = policies.iter().find(|named| *named.name == *name)?;
        let AuthnPolicy::Jwt(settings) = &named.policy else { return None };
        Some(judged(settings, name, question))
    };
    let tokens = without_keys.filter_map(|event| check(event.policy.as_deref()?));
    let events = explained.record.events.as_slice().iter();
    let unreadable = events.filter(|event| matches!(event.reason, Reason::SessionUnreadable));
    let session = |name: &str| Unverified { policy: name.to_owned(), is_accepted: None, says: SESSION.to_owned() };
    tokens.chain(unreadable.filter_map(|event| Some(session(event.policy.as_deref()?)))).collect()
}

const SESSION: &str = "the session is encrypted with a secret of the host; a policy test with `token` or `browser` shows what a session may do";

fn judged(settings: &JwtSettings, policy: &str, question: &Question) -> Unverified {
    let (is_accepted, says) = match bearer(settings, policy, question) {
        Ok(says) => (Some(true), says),
        Err(why) => (Some(false), why),
    };
    Unverified { policy: policy.to_owned(), is_accepted, says }
}

fn bearer(settings: &JwtSettings, policy: &str, question: &Question) -> Result<String, String> {
    let place = settings.place.presented(question.request.headers(), question.request.uri().query());
    let Presented::Text(text) = place else { return Err("there is no token, or several".to_owned()) };
    let token = Token::parse(text).map_err(|error| error.to_string())?;
    if !settings.accepts(token.algorithm) {
        return Err(format!("its algorithm {} is not accepted", token.algorithm));
    }
    let claims = token.claims().map_err(|error| error.to_string())?;
    let identity = settings.identity(policy, &token, &claims, question.at).map_err(|error| error.to_string())?;
    let plan = identity.plan.map(|plan| format!(", plan {plan}")).unwrap_or_default();
    let list = |name: &str, all: &[String]| {
        if all.is_empty() { String::new() } else { format!(", {name} {}", all.join(" ")) }
    };
    let (scopes, groups) = (list("scopes", &identity.scopes), list("groups", &identity.groups));
    let linked = if identity.link.is_some() { " unless its identity is linked to another" } else { "" };
    Ok(format!("consumer {}{linked}{plan}{scopes}{groups}, until {}", identity.consumer, identity.until.to_rfc3339()))
}

impl Unverified {
    /// A line for people.
    pub(super) fn text(&self) -> String {
        let Self { policy, is_accepted, says } = self;
        match is_accepted {
            Some(true) => format!("{policy}  accepted if the signature is right, which is not verified here: {says}\n"),
            Some(false) => format!("{policy}  refused, whatever its signature is: {says}\n"),
            None => format!("{policy}  not known here: {says}\n"),
        }
    }
}
