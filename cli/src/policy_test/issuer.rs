//! Identity providers that answer by what a test says of them, and their tokens.

use std::cell::{Cell, RefCell};

use base64ct::{Base64UrlUnpadded, Encoding};
use http::{Request, Response, StatusCode};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use tollgate_config::Spanned;
use tollgate_config::policy_tests::{Issuer, IssuerAnswer, IssuerChange, TestToken};
use tollgate_core::authn::DpopRules;
use tollgate_core::forward::UpstreamError;
use tollgate_core::jose::KeyMaterial;
use tollgate_core::time::Timestamp;
use tollgate_edge::memory::Content;
use tollgate_edge::ports::Content as _;
use tollgate_signatures::SeededKey;

use super::people::{People, logout_claims};
use super::proof::{ClientKeys, thumbprint};

/// The issuers of a case.
pub(super) struct Issuers {
    providers: Vec<Provider>,
    /// The keys of those to whom tokens are issued.
    pub(super) clients: ClientKeys,
}

struct Provider {
    issuer: Issuer,
    /// The keys that it publishes.
    keys: RefCell<Vec<String>>,
    answers: Cell<IssuerAnswer>,
    people: People,
}

type Scripted = (u64, Result<Response<Content>, UpstreamError>);

impl Issuers {
    pub(super) fn new(issuers: &[Issuer]) -> Self {
        let provider = |issuer: &Issuer| Provider {
            issuer: issuer.clone(),
            keys: RefCell::new(issuer.keys.clone()),
            answers: Cell::new(IssuerAnswer::Up),
            people: People::default(),
        };
        Self { providers: issuers.iter().map(provider).collect(), clients: ClientKeys::default() }
    }

    pub(super) fn change(&self, name: &str, change: &IssuerChange) {
        let Some(provider) = self.of(name) else { return };
        match change {
            IssuerChange::Publishes(keys) => drop(provider.keys.replace(keys.clone())),
            IssuerChange::Answers(answers) => provider.answers.set(*answers),
            IssuerChange::Accounts(accounts) => {
                accounts.iter().for_each(|(subject, change)| provider.people.change(subject, change.clone()));
            }
            IssuerChange::LogsOut(person) => provider.people.log_out(person),
        }
    }

    /// The answer to a request of the gateway for metadata or keys, or with what the issuer has given it for a login; `None` to others.
    pub(super) fn answer(&self, request: &Request<Content>, now: Timestamp) -> Option<Scripted> {
        let url = request.uri().to_string();
        let (provider, status, document) = self.providers.iter().find_map(|provider| {
            let granted = || self.granted(provider, &url, request, now);
            let (status, document) = provider.document(&url).map(|document| (200, document)).or_else(granted)?;
            Some((provider, status, document))
        })?;
        let text = |status: u16, text: Vec<u8>| {
            let mut response = Response::new(Content::from_bytes(text.into()));
            *response.status_mut() = StatusCode::from_u16(status).unwrap_or_default();
            Ok(response)
        };
        Some(match provider.answers.get() {
            IssuerAnswer::Up => (0, text(status, document.to_string().into_bytes())),
            IssuerAnswer::Down => (0, Err(UpstreamError::ConnectionRefused)),
            IssuerAnswer::Html => (0, text(200, b"<html>".to_vec())),
            IssuerAnswer::Large => (0, text(200, vec![b' '; LARGE_BYTES])),
            IssuerAnswer::Slow => (SLOW_MS, text(status, document.to_string().into_bytes())),
        })
    }

    /// What the token endpoint answers, if it is asked for the tokens of a login.
    fn granted(
        &self,
        provider: &Provider,
        url: &str,
        request: &Request<Content>,
        now: Timestamp,
    ) -> Option<(u16, Value)> {
        let form = String::from_utf8_lossy(request.body().bytes());
        // While it is away, what it was asked with is not used.
        let is_asked = url == provider.service("token") && provider.answers.get() == IssuerAnswer::Up;
        let issue = |token: &TestToken| self.token(token, None, now);
        is_asked.then(|| provider.people.answer(request.headers(), &form, issue))?
    }

    /// The URL to which a browser goes back when a person with this ID token has logged in at a URL; `None` if that is none of the
    /// issuer's. `Err` says what the provider was not told.
    pub(super) fn log_in(&self, token: &TestToken, url: &str) -> Result<Option<String>, String> {
        let Some(provider) = self.of(&token.issuer.value) else { return Ok(None) };
        let query = url.strip_prefix(&provider.service("auth")).and_then(|rest| rest.strip_prefix('?'));
        query.map(|query| provider.people.log_in(token, query)).transpose()
    }

    /// The logout token that an issuer sends when a person has logged out there.
    pub(super) fn logout_token(
        &self,
        issuer: &Spanned<String>,
        person: &str,
        now: Timestamp,
    ) -> Result<String, String> {
        let token = TestToken {
            claims: logout_claims(person, now.as_micros()),
            kind: Some("logout+jwt".to_owned()),
            ..TestToken::plain(issuer.clone())
        };
        self.token(&token, None, now)
    }

    /// A token; `Err` says why there is none.
    pub(super) fn token(&self, token: &TestToken, rules: Option<&DpopRules>, now: Timestamp) -> Result<String, String> {
        let provider = self.of(&token.issuer.value).ok_or_else(|| "the file has no such issuer".to_owned())?;
        let first = provider.keys.borrow().first().cloned();
        let id = token.key.clone().or(first).ok_or_else(|| "the issuer publishes no key".to_owned())?;
        let Issuer { name, algorithm, .. } = &provider.issuer;
        let signer = if token.is_forged { format!("{id}, forged") } else { id.clone() };
        let key = key(&provider.issuer, &signer).ok_or_else(|| format!("`{}` has no key `{id}`", name.value))?;
        let mut header = json!({"alg": algorithm.as_str(), "kid": id});
        if let Some(kind) = &token.kind {
            header["typ"] = kind.as_str().into();
        }
        let mut claims = claims(&provider.issuer, token, now);
        if let Some(bound) = confirmation(token, rules) {
            claims.insert("cnf".to_owned(), bound);
        }
        let claims = Value::Object(claims).to_string();
        let part = |text: &str| Base64UrlUnpadded::encode_string(text.as_bytes());
        let signed = format!("{}.{}", part(&header.to_string()), part(&claims));
        let signature = Base64UrlUnpadded::encode_string(&key.sign(signed.as_bytes()));
        Ok(format!("{signed}.{signature}"))
    }

    fn of(&self, name: &str) -> Option<&Provider> {
        self.providers.iter().find(|provider| provider.issuer.name.value == name)
    }
}

impl Provider {
    /// The document at a URL.
    fn document(&self, url: &str) -> Option<Value> {
        let issuer = &self.issuer;
        let base = issuer.url.trim_end_matches('/');
        let keys_at = issuer.jwks.clone().unwrap_or_else(|| format!("{base}/jwks"));
        if url == keys_at {
            let keys: Vec<Value> = self.keys.borrow().iter().filter_map(|id| jwk(issuer, id)).collect();
            return Some(json!({"keys": keys}));
        }
        (url == format!("{base}/.well-known/openid-configuration"))
            .then(|| {
            let [authorization, token, end] = ["auth", "token", "logout"].map(|path| self.service(path));
            json!({
                "issuer": issuer.url, "jwks_uri": keys_at, "authorization_endpoint": authorization, "token_endpoint": token,
                "end_session_endpoint": end,
            })
        })
    }

    /// The URL of one of its services.
    fn service(&self, path: &str) -> String {
        format!("{}/{path}", self.issuer.url.trim_end_matches('/'))
    }
}

/// What a token is bound to.
fn confirmation(token: &TestToken, rules: Option<&DpopRules>) -> Option<Value> {
    let mut members = Map::new();
    if let Some(key) = token.bound_key.as_ref().and_then(|name| thumbprint(name, rules)) {
        members.insert("jkt".to_owned(), key.to_string().into());
    }
    if let Some(certificate) = &token.bound_certificate {
        members.insert("x5t#S256".to_owned(), certificate.to_base64url().into());
    }
    (!members.is_empty()).then_some(Value::Object(members))
}

/// The usual claims with those of the token.
fn claims(issuer: &Issuer, token: &TestToken, now: Timestamp) -> Map<String, Value> {
    let issued = token.issued.unwrap_or(now).as_secs();
    let mut claims = Map::new();
    claims.insert("iss".to_owned(), issuer.url.as_str().into());
    if let Some(audience) = &issuer.audience {
        claims.insert("aud".to_owned(), audience.as_str().into());
    }
    claims.insert("sub".to_owned(), SUBJECT.into());
    claims.insert("iat".to_owned(), issued.into());
    claims.insert("exp".to_owned(), issued.saturating_add(token.lifetime_s).into());
    for (name, value) in &token.claims {
        if value.is_null() {
            claims.remove(name);
        } else {
            claims.insert(name.clone(), value.clone());
        }
    }
    claims
}

/// The key with this id: the same for the same names, on every machine.
fn key(issuer: &Issuer, id: &str) -> Option<SeededKey> {
    let seed = Sha256::digest(format!("{}\n{id}", issuer.name.value));
    SeededKey::new(issuer.algorithm, &seed.into())
}

fn jwk(issuer: &Issuer, id: &str) -> Option<Value> {
    let text = |bytes: &[u8]| Base64UrlUnpadded::encode_string(bytes);
    let (kind, curve, x, y) = match key(issuer, id)?.verifying()? {
        KeyMaterial::Ed25519(point) => ("OKP", "Ed25519", text(&point), None),
        KeyMaterial::P256 { x, y } => ("EC", "P-256", text(&x), Some(text(&y))),
        KeyMaterial::Octets(_) | KeyMaterial::Rsa { .. } | KeyMaterial::P384 { .. } => return None,
    };
    let mut key = json!({"kty": kind, "crv": curve, "x": x, "kid": id, "use": "sig", "alg": issuer.algorithm.as_str()});
    if let Some(y) = y {
        key["y"] = y.into();
    }
    Some(key)
}

/// The claim `sub`, if a token sets none.
pub(super) const SUBJECT: &str = "test";

/// More than the gateway reads of an issuer's answer, and longer than it waits for one.
const LARGE_BYTES: usize = 10 << 20;
const SLOW_MS: u64 = 60_000;
