//! The request that a step sends.

use std::net::{IpAddr, Ipv4Addr};
use std::rc::Rc;

use http::header::{CONTENT_LENGTH, CONTENT_TYPE, COOKIE, HOST};
use http::{HeaderValue, Request, Uri};
use tollgate_config::policy_tests::RequestStep;
use tollgate_core::authn::{
    BasicSettings, CredentialPlace, NameAndPassword, OidcLoginSettings, PeerCertificate, Session, seal_key, sealed_text,
};
use tollgate_core::client::Location;
use tollgate_core::jose::Token;
use tollgate_edge::Client;
use tollgate_edge::memory::Content;
use tollgate_edge::ports::{Clock, Content as _};

use super::sign::{first_of, sign};
use super::stage::{Bench, Stage};

/// A request that can be sent repeatedly.
pub(super) struct Prepared {
    pub(super) request: Request<Content>,
    pub(super) client: Client,
    pub(super) certificate: Rc<PeerCertificate>,
    pub(super) location: Location,
}

/// Builds the request of a step; `Err` says what the project lacks.
pub(super) fn prepare(stage: &Stage<'_>, bench: &Bench, step: &RequestStep) -> Result<Prepared, String> {
    let client = Client { address: Some(step.address.unwrap_or(ADDRESS)), https: step.https, inside: step.inside };
    let mut request = Request::new(Content::from_bytes(step.content.bytes()));
    *request.method_mut() = step.method.clone();
    *request.uri_mut() = step.target.parse::<Uri>().map_err(|error| format!("the URL cannot be sent: {error}"))?;
    let fields = request.headers_mut();
    if let Some(media_type) = step.content.media_type {
        fields.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    }
    if !step.content.is_empty() && !step.content.undeclared {
        fields.insert(CONTENT_LENGTH, HeaderValue::from(step.content.len()));
    }
    for name in [CONTENT_TYPE, CONTENT_LENGTH] {
        if step.fields.iter().any(|(given, _)| *given == name) {
            fields.remove(name);
        }
    }
    for (name, value) in &step.fields {
        fields.append(name, value.clone());
    }
    put_host(stage, step, &mut request, client);
    put_key(stage, step, &mut request, client)?;
    if let Some(policy) = &step.sign {
        sign(stage, bench, &policy.value, step.https, &mut request)?;
    }
    put_token(stage, bench, step, &mut request, client)?;
    Ok(Prepared { request, client, certificate: Rc::new(step.certificate.clone()), location: step.location.clone() })
}

fn put_host(stage: &Stage<'_>, step: &RequestStep, request: &mut Request<Content>, client: Client) {
    if request.headers().contains_key(HOST) {
        return;
    }
    let host = match &step.host {
        Some(host) => host.as_str(),
        None => stage.host_for(request, client),
    };
    if let Ok(value) = HeaderValue::from_str(host) {
        request.headers_mut().insert(HOST, value);
    }
}

/// Puts the step's key where the route's policy reads it.
fn put_key(
    stage: &Stage<'_>,
    step: &RequestStep,
    request: &mut Request<Content>,
    client: Client,
) -> Result<(), String> {
    let Some(key) = step.key.as_ref().and_then(|name| stage.key(&name.value)) else { return Ok(()) };
    let place = stage.key_place(request, client).ok_or("no policy of the project takes an API key")?;
    let text = key.key.expose();
    if *place == BasicSettings::place() {
        return put(place, &NameAndPassword::encode(&key.credential.consumer, text), request);
    }
    put(place, text, request)
}

/// Puts the step's token where the route's policy reads it.
fn put_token(
    stage: &Stage<'_>,
    bench: &Bench,
    step: &RequestStep,
    request: &mut Request<Content>,
    client: Client,
) -> Result<(), String> {
    let Some(token) = &step.token else { return Ok(()) };
    let issuer = stage.file.issuers.iter().find(|issuer| issuer.name.value == token.issuer.value);
    let url = issuer.map_or("", |issuer| issuer.url.as_str());
    if let Some((policy, settings)) = stage.login(request, client, url) {
        let token = bench.issuers.token(token, settings.rules.dpop(), bench.host.clock.now())?;
        return log_in(bench, policy, settings, &token, request);
    }
    let policy = stage.token_policy(request, client, url).ok_or("no policy of the project takes a token")?;
    let rules = policy.rules.dpop();
    let text = bench.issuers.token(token, rules, bench.host.clock.now())?;
    let mut place = policy.place.clone();
    if token.proof.is_some() && place.scheme.is_some() {
        place.scheme = Some("DPoP".to_owned());
    }
    put(&place, &text, request)?;
    bench.issuers.clients.prove((token, &text), rules, (bench, step.https), request)
}

/// Puts the session of a person with this ID token into a cookie, as if they had logged in just now.
fn log_in(
    bench: &Bench,
    policy: &str,
    settings: &OidcLoginSettings,
    token: &str,
    request: &mut Request<Content>,
) -> Result<(), String> {
    let now = bench.host.clock.now();
    let claims = Token::parse(token).and_then(|token| token.claims()).map_err(|error| error.to_string())?;
    let identity = settings.rules.of_token(policy, &claims, now);
    let identity = identity.map_err(|error| format!("nobody can log in with this token: {error}"))?;
    let content = Session::new(settings, (identity, &claims), [1; 8], now).to_bytes();
    let nonce = [1; 12];
    let key = seal_key(&first_of(&settings.secrets, bench)?, policy, "session");
    let sealed = tollgate_signatures::seal(&key, &nonce, &content).ok_or("the session is too long")?;
    let value = HeaderValue::try_from(format!("{}={}", settings.cookie, sealed_text(&nonce, &sealed)))
        .map_err(|error| error.to_string())?;
    request.headers_mut().append(COOKIE, value);
    Ok(())
}

fn put(place: &CredentialPlace, credential: &str, request: &mut Request<Content>) -> Result<(), String> {
    let text = match &place.scheme {
        Some(scheme) => format!("{scheme} {credential}"),
        None => credential.to_owned(),
    };
    let Ok(mut value) = HeaderValue::try_from(text) else {
        return Err(format!("the credential is not a valid value of the field {}", place.field));
    };
    value.set_sensitive(true);
    request.headers_mut().insert(place.field.clone(), value);
    Ok(())
}

/// The client's address if a step sets none; from the block for documentation (RFC 5737).
const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
