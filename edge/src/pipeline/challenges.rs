//! Challenges: how a client authenticates on a route, and what was wrong with its credential (RFC 9110, section 11.6.1).

use http::header::WWW_AUTHENTICATE;
use http::{HeaderName, StatusCode};
use tollgate_core::authn::{PeerCertificate, Presented};
use tollgate_core::event::Reason;
use tollgate_core::kinds::{AuthnPolicy, SlotPolicy};
use tollgate_core::problem::{Problem, ProblemKind};

use super::exchange::{Exchange, Received};
use crate::policies::login::cookie;

/// Adds the challenges of the route's policies to a 401, each once. That of a policy which refused a bearer token says why.
pub(super) fn challenged(problem: Problem, exchange: &Exchange) -> Problem {
    if problem.kind.status() != StatusCode::UNAUTHORIZED {
        return problem;
    }
    let error = error(&problem);
    let mut challenges: Vec<(String, bool)> = Vec::new();
    let is_of_key = matches!(problem.reason, Reason::TokenNotBound { error } if error.is_of_key());
    for named in exchange.authenticators().filter(|named| !named.policy.is_anonymous()) {
        let realm = &exchange.site.gateway.name;
        let (usual, with_proof) = (named.policy.challenge(realm), named.policy.proof_challenge(realm));
        let is_refused_by = problem.policy.as_ref() == Some(&named.name);
        let is_for_proof = is_of_key && with_proof.is_some();
        let both = [Some((usual, !is_for_proof)), with_proof.map(|challenge| (challenge, is_for_proof))];
        for (challenge, has_refused) in both.into_iter().flatten() {
            let has_refused = has_refused && is_refused_by && takes_error(&challenge);
            match challenges.iter_mut().find(|(known, _)| *known == challenge) {
                Some((_, has_error)) => *has_error |= has_refused,
                None => challenges.push((challenge, has_refused)),
            }
        }
    }
    let problem = with_accepted_signatures(problem, exchange);
    challenges.into_iter().fold(problem, |problem, (challenge, has_error)| {
        let error = error.as_deref().filter(|_| has_error).unwrap_or_default();
        problem.with(WWW_AUTHENTICATE, challenge + error)
    })
}

/// Adds what the policies ask a caller to sign: the members of one dictionary, so each has a label of its own.
fn with_accepted_signatures(problem: Problem, exchange: &Exchange) -> Problem {
    let (mut asked, mut free) = (String::new(), LABELS.as_slice());
    for named in exchange.authenticators() {
        if let [label, others @ ..] = free
            && let Some(member) = named.policy.accept_signature(label)
        {
            asked.push_str(if asked.is_empty() { "" } else { ", " });
            asked.push_str(&member);
            free = others;
        }
    }
    if asked.is_empty() { problem } else { problem.with(ACCEPT_SIGNATURE, asked) }
}

/// The challenge of the policy whose credential the request presents, with an error.
pub(super) fn challenge_with(error: &str, exchange: &Exchange) -> Option<String> {
    let has_presented = exchange.authenticators().find(|named| presents(&exchange.received, &named.policy));
    let named = has_presented.or_else(|| exchange.authenticators().find(|named| !named.policy.is_anonymous()))?;
    let (realm, fields) = (&exchange.site.gateway.name, &exchange.received.fields);
    let place = named.policy.as_kind().uses().credential;
    let has_proof = place.is_some_and(|place| place.with_proof && place.has_proof_scheme(fields));
    let with_proof = if has_proof { named.policy.proof_challenge(realm) } else { None };
    Some(format!("{}, {error}", with_proof.unwrap_or_else(|| named.policy.challenge(realm))))
}

/// Whether a request has something in a place where a policy reads credentials, or its client a certificate.
pub(super) fn presents(received: &Received, policy: &AuthnPolicy) -> bool {
    let place = policy.as_kind().uses().credential;
    let has_session = policy.login().is_some_and(|login| cookie(&received.fields, &login.cookie) != Presented::Nothing);
    let certificate = policy.certificate_source().map(|source| received.certificates.of(source));
    policy.is_signed(&received.fields)
        || has_session
        || certificate.is_some_and(|certificate| *certificate != PeerCertificate::Absent)
        || place.is_some_and(|place| place.presented(&received.fields, received.query.as_deref()) != Presented::Nothing)
}

/// Whether the scheme is one of tokens, whose challenges have errors (RFC 6750, section 3; RFC 9449, section 7.1).
fn takes_error(challenge: &str) -> bool {
    let scheme = challenge.split(' ').next().unwrap_or_default();
    ["Bearer", "DPoP"].iter().any(|known| scheme.eq_ignore_ascii_case(known))
}

const LABELS: [&str; 8] = ["sig", "sig2", "sig3", "sig4", "sig5", "sig6", "sig7", "sig8"];
const ACCEPT_SIGNATURE: HeaderName = HeaderName::from_static("accept-signature");

/// The parameters for a refused token; none if no token was presented (RFC 6750, section 3.1).
fn error(problem: &Problem) -> Option<String> {
    let code = match (problem.kind, &problem.reason) {
        (ProblemKind::CredentialMissing, _) => return None,
        (_, Reason::TokenNotBound { error }) => error.oauth_error(),
        (_, Reason::TokensSeveral | Reason::KeysSeveral) => "invalid_request",
        _ => "invalid_token",
    };
    let allowed = |c: char| if matches!(c, ' '..='~') && c != '"' && c != '\\' { c } else { '?' };
    let description: String = problem.detail.chars().map(allowed).collect();
    Some(format!(", error=\"{code}\", error_description=\"{description}\""))
}
