//! The keys of a policy: in the configuration, or fetched from the issuer.

use std::rc::Rc;

use http::Uri;
use tollgate_core::authn::{JwtSettings, KeySource};
use tollgate_core::event::Reason;
use tollgate_core::fetch::{AddressRule, FetchAnswer, FetchBounds, FetchRequest, Lifetimes};
use tollgate_core::jose::{Algorithm, Jwk, JwkSet, Members};
use tollgate_core::problem::{Problem, ProblemKind};

use super::unavailable;
use crate::isolate::Isolate;
use crate::isolate::fetched::{Expects, FetchPlan, Fetched, Sharing, fetched, renewed};
use crate::isolate::secrets::resolve;
use crate::ports::Host;

/// The keys that a policy knows.
pub(super) struct Keys {
    pub(super) set: Rc<JwkSet>,
    /// How the set is fetched, if it is.
    plan: Option<Rc<FetchPlan>>,
}

impl Keys {
    pub(super) async fn of<H: Host>(settings: &JwtSettings, isolate: &Isolate, host: &H) -> Result<Self, Problem> {
        match &settings.keys {
            KeySource::Secret(text) => {
                let secret = resolve(isolate, host, text).await.map_err(|away| unavailable(away.0))?;
                let secret = secret.ok_or_else(|| {
                    let names = text.secret_names().collect::<Vec<_>>().join(", ").into();
                    let detail = "The operator of this gateway has been notified.";
                    Problem::new(ProblemKind::SecretMissing, detail, Reason::SecretMissing { names })
                })?;
                let least = settings.algorithms.iter().map(Algorithm::secret_bytes_min).max().unwrap_or_default();
                if secret.expose().len() < least {
                    return Err(unavailable(format!(
                        "the shared secret has fewer than {least} bytes (RFC 7518, section 3.2)"
                    )));
                }
                let keys = vec![Jwk::of_secret(secret.expose().as_bytes().to_vec())];
                Ok(Self { set: Rc::new(JwkSet { keys, unused: Vec::new() }), plan: None })
            }
            KeySource::Static(text) => {
                let set = JwkSet::parse(text.as_bytes()).map_err(|error| unusable(&error.to_string()))?;
                Ok(Self { set: Rc::new(set), plan: None })
            }
            KeySource::Set(url, is_private) => Self::fetched(isolate, host, url, *is_private).await,
            KeySource::Discovery(is_private) => {
                let issuer = settings.issuers.first().map(String::as_str).unwrap_or_default();
                let url = jwks_url(isolate, host, issuer, *is_private).await?;
                Self::fetched(isolate, host, &url, *is_private).await
            }
        }
    }

    async fn fetched<H: Host>(isolate: &Isolate, host: &H, url: &str, is_private: bool) -> Result<Self, Problem> {
        let plan = plan(url, is_private, Expects::Keys)?;
        let answer = answer(isolate, fetched(isolate, host, &plan).await)?;
        let set = parsed(isolate, &plan, &answer)?;
        Ok(Self { set, plan: Some(plan) })
    }

    /// The keys that were published since, at most one fetch in [`RENEWED_MS`].
    pub(super) async fn renewed<H: Host>(&self, isolate: &Isolate, host: &H) -> Option<Rc<JwkSet>> {
        let plan = self.plan.as_ref()?;
        let answer = answer(isolate, renewed(isolate, host, plan, RENEWED_MS).await?).ok()?;
        parsed(isolate, plan, &answer).ok().filter(|newer| !Rc::ptr_eq(newer, &self.set))
    }
}

/// The URL of the keys, as the issuer's metadata names it (OpenID Connect Discovery 1.0, section 4).
async fn jwks_url<H: Host>(isolate: &Isolate, host: &H, issuer: &str, is_private: bool) -> Result<String, Problem> {
    let url = format!("{}{DISCOVERY}", issuer.trim_end_matches('/'));
    let plan = plan(&url, is_private, Expects::Metadata(issuer.to_owned()))?;
    let answer = answer(isolate, fetched(isolate, host, &plan).await)?;
    let metadata = Members::parse(&answer.content).map_err(|error| unusable(&error.to_string()))?;
    metadata.text("jwks_uri").map(str::to_owned).ok_or_else(|| unusable("the metadata names no `jwks_uri`"))
}

fn plan(url: &str, is_private: bool, expects: Expects) -> Result<Rc<FetchPlan>, Problem> {
    let url: Uri = url.parse().map_err(|_| unusable("the URL of the keys is not valid"))?;
    let addresses = if is_private { AddressRule::Any } else { AddressRule::Public };
    let is_secure = url.scheme_str() == Some("https");
    if !is_secure && !is_private {
        return Err(unusable("the keys are not at an https URL"));
    }
    let bounds = FetchBounds { timeout_ms: TIMEOUT_MS, answer_bytes_max: ANSWER_BYTES_MAX, addresses };
    Ok(Rc::new(FetchPlan::new(FetchRequest::get(url), bounds, LIFETIMES, Sharing::Gateway).expecting(expects)))
}

/// The answer, if it is a successful one; what remains to do is done after a reply.
fn answer(isolate: &Isolate, fetched: Fetched) -> Result<Rc<FetchAnswer>, Problem> {
    isolate.defer(fetched.after_reply);
    let answer = fetched.outcome.map_err(|error| unavailable(format!("the keys of the issuer: {error}")))?;
    if Lifetimes::is_success(&answer) {
        Ok(answer)
    } else {
        Err(unavailable(format!("the keys of the issuer: status {}", answer.status.as_u16())))
    }
}

fn parsed(isolate: &Isolate, plan: &FetchPlan, answer: &Rc<FetchAnswer>) -> Result<Rc<JwkSet>, Problem> {
    isolate.tokens.borrow_mut().set(plan.id(), answer).ok_or_else(|| unusable("it is not a set of keys"))
}

/// The issuer answered something that cannot be used.
fn unusable(why: &str) -> Problem {
    unavailable(format!("the keys of the issuer: {why}"))
}

const DISCOVERY: &str = "/.well-known/openid-configuration";

/// How long keys are used: an issuer publishes a new one some time before it uses it, and withdraws an old one when no token
/// of it is valid. Longer only while the issuer does not answer.
const LIFETIMES: Lifetimes = Lifetimes { fresh_ms: 300_000, stale_ms: 24 * 3_600_000, negative_ms: 5_000 };

/// The least time between two fetches that unknown keys cause.
const RENEWED_MS: u64 = 5_000;

const TIMEOUT_MS: u64 = 3_000;
const ANSWER_BYTES_MAX: u64 = 256 * 1024;
