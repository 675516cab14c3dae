//! What can be said of a token whose signature cannot be verified here, because its keys are fetched and the network is not used, and
//! of a session, because it is encrypted with a secret of the host.

use http::header::HOST;
use tollgate_config::Compiled;
use tollgate_core::authn::{BindingError, Confirmation, JwtSettings, Presented, Proof, ProvedRequest};
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
        Some(judged(settings, name, question, compiled))
    };
    let tokens = without_keys.filter_map(|event| check(event.policy.as_deref()?));
    let events = explained.record.events.as_slice().iter();
    let unreadable = events.filter(|event| matches!(event.reason, Reason::SessionUnreadable));
    let session = |name: &str| Unverified { policy: name.to_owned(), is_accepted: None, says: SESSION.to_owned() };
    tokens.chain(unreadable.filter_map(|event| Some(session(event.policy.as_deref()?)))).collect()
}

const SESSION: &str = "the session is encrypted with a secret of the host; a policy test with `token` or `browser` shows what a session may do";

fn judged(settings: &JwtSettings, policy: &str, question: &Question, compiled: &Compiled) -> Unverified {
    let (is_accepted, says) = match bearer(settings, policy, question, compiled) {
        Ok(says) => (Some(true), says),
        Err(why) => (Some(false), why),
    };
    Unverified { policy: policy.to_owned(), is_accepted, says }
}

fn bearer(settings: &JwtSettings, policy: &str, question: &Question, compiled: &Compiled) -> Result<String, String> {
    let place = settings.place.presented(question.request.headers(), question.request.uri().query());
    let Presented::Text(text) = place else { return Err("there is no token, or several".to_owned()) };
    let token = Token::parse(text).map_err(|error| error.to_string())?;
    if !settings.accepts(token.algorithm) {
        return Err(format!("its algorithm {} is not accepted", token.algorithm));
    }
    let claims = token.claims().map_err(|error| error.to_string())?;
    let identity = settings.identity(policy, &token, &claims, question.at).map_err(|error| error.to_string())?;
    let bound = held(settings, identity.confirmation.as_deref(), text, question, compiled)
        .map_err(|error| error.to_string())?;
    let plan = identity.plan.map(|plan| format!(", plan {plan}")).unwrap_or_default();
    let list = |name: &str, all: &[String]| {
        if all.is_empty() { String::new() } else { format!(", {name} {}", all.join(" ")) }
    };
    let (scopes, groups) = (list("scopes", &identity.scopes), list("groups", &identity.groups));
    let linked = if identity.link.is_some() { " unless its identity is linked to another" } else { "" };
    let until = identity.until.to_rfc3339();
    Ok(format!("consumer {}{linked}{plan}{scopes}{groups}, until {until}{bound}", identity.consumer))
}

/// Checks that who sends the request holds what the token is bound to, and says what of that cannot be checked here.
fn held(
    settings: &JwtSettings,
    confirmation: Option<&Confirmation>,
    token: &str,
    question: &Question,
    compiled: &Compiled,
) -> Result<&'static str, BindingError> {
    let (rules, place) = (&settings.rules, &settings.place);
    rules.binding_mode().check(confirmation)?;
    let has_scheme = place.with_proof && place.has_proof_scheme(question.request.headers());
    match (confirmation.and_then(|bound| bound.key.as_ref()), rules.dpop()) {
        (Some(_), Some(_)) if !has_scheme => return Err(BindingError::Scheme),
        (Some(key), Some(dpop)) => {
            let proof = Proof::presented(question.request.headers(), dpop)?;
            let (fields, client) = (question.request.headers(), question.client);
            let proxies = compiled.settings().proxies.as_ref();
            let origin = proxies.map(|rule| rule.origin(client.address, client.https, fields));
            let host = fields.get(HOST).and_then(|line| line.to_str().ok()).unwrap_or_default();
            let request = ProvedRequest {
                method: question.request.method().as_str(),
                https: origin.as_ref().map_or(client.https, |origin| origin.https),
                authority: origin.as_ref().and_then(|origin| origin.host.as_deref()).unwrap_or(host),
                path: question.request.uri().path(),
                token,
            };
            proof.check(key, &request, dpop, question.at)?;
            if dpop.nonce.is_some() && proof.nonce().is_none() {
                return Err(BindingError::Nonce);
            }
            if dpop.once && question.times > 1 {
                return Err(BindingError::Replayed);
            }
            let with_nonce = "; neither the signature of its proof nor the nonce in it is verified here";
            return Ok(if dpop.nonce.is_some() {
                with_nonce
            } else {
                "; the signature of its proof is not verified here"
            });
        }
        (Some(_), None) => return Err(BindingError::DpopOff),
        (None, _) if has_scheme && place.scheme.is_some() => return Err(BindingError::NotOfKey),
        (None, _) => {}
    }
    let is_of_certificate = confirmation.is_some_and(|bound| bound.certificate.is_some());
    Ok(if is_of_certificate { "; it is bound to a client certificate, which a request here does not have" } else { "" })
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
