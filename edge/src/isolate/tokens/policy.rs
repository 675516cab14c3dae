//! A `jwt` policy with what is prepared once: its keys, or how they are fetched.

use std::cell::RefCell;
use std::rc::Rc;

use http::Uri;
use tollgate_core::authn::{JwtSettings, KeySource};
use tollgate_core::fetch::{AddressRule, FetchBounds, FetchRequest, Lifetimes};
use tollgate_core::jose::JwkSet;
use tollgate_core::kinds::PolicyName;

use crate::isolate::fetched::{Expects, FetchPlan, Meaning, Sharing, Usable};

/// A policy as it is named and configured.
#[derive(Debug)]
pub(crate) struct Policy {
    name: PolicyName,
    settings: JwtSettings,
    /// Where its keys come from, or why they cannot be used.
    pub(crate) source: Result<Source, String>,
}

/// Where the keys of a policy come from.
#[derive(Debug)]
pub(crate) enum Source {
    /// A shared secret.
    Secret,
    /// The configuration.
    Fixed(Rc<JwkSet>),
    /// A set at a URL.
    Set(Rc<FetchPlan>),
    /// The set that the metadata of the issuer names.
    Discovery(Discovery),
}

/// The metadata of an issuer, and the set that it names.
#[derive(Debug)]
pub(crate) struct Discovery {
    pub(crate) metadata: Rc<FetchPlan>,
    addresses: AddressRule,
    /// How the set is fetched that the last metadata name.
    keys: RefCell<Option<(Rc<Usable>, Rc<FetchPlan>)>>,
}

impl Policy {
    pub(super) fn prepare(name: PolicyName, settings: JwtSettings) -> Self {
        let source = Source::of(&settings);
        Self { name, settings, source }
    }

    pub(crate) const fn settings(&self) -> &JwtSettings {
        &self.settings
    }

    pub(super) fn is(&self, name: &PolicyName, settings: &JwtSettings) -> bool {
        self.name == *name && self.settings == *settings
    }
}

impl Source {
    fn of(settings: &JwtSettings) -> Result<Self, String> {
        match &settings.keys {
            KeySource::Secret(_) => Ok(Self::Secret),
            KeySource::Static(text) => {
                let set = JwkSet::parse(text.as_bytes()).map_err(|error| error.to_string())?;
                Ok(Self::Fixed(Rc::new(set)))
            }
            KeySource::Set(url, is_private) => keys_at(url, *is_private).map(Self::Set),
            KeySource::Discovery(is_private) => {
                let issuer = settings.rules.issuers.first().map(String::as_str).unwrap_or_default();
                let url = uri(&format!("{}{DISCOVERY}", issuer.trim_end_matches('/')))?;
                let addresses = AddressRule::with_private(*is_private);
                let metadata = plan(url, addresses, Expects::Metadata(issuer.to_owned()))?;
                Ok(Self::Discovery(Discovery { metadata, addresses, keys: RefCell::default() }))
            }
        }
    }
}

impl Discovery {
    /// How the set is fetched that these metadata name (OpenID Connect Discovery 1.0, section 4).
    pub(crate) fn keys(&self, metadata: &Rc<Usable>) -> Result<Rc<FetchPlan>, String> {
        if let Some((known, plan)) = &*self.keys.borrow()
            && Rc::ptr_eq(known, metadata)
        {
            return Ok(Rc::clone(plan));
        }
        let Meaning::At(url) = &metadata.meaning else { return Err("the metadata name no `jwks_uri`".to_owned()) };
        let plan = plan(url.clone(), self.addresses, Expects::Keys)?;
        self.keys.replace(Some((Rc::clone(metadata), Rc::clone(&plan))));
        Ok(plan)
    }
}

/// How the set of keys at a URL is fetched.
pub(crate) fn keys_at(url: &str, is_private: bool) -> Result<Rc<FetchPlan>, String> {
    plan(uri(url)?, AddressRule::with_private(is_private), Expects::Keys)
}

fn uri(url: &str) -> Result<Uri, String> {
    url.parse().map_err(|_| "the URL of the keys is not valid".to_owned())
}

fn plan(url: Uri, addresses: AddressRule, expects: Expects) -> Result<Rc<FetchPlan>, String> {
    if url.scheme_str() != Some("https") && addresses == AddressRule::Public {
        return Err("the keys are not at an https URL".to_owned());
    }
    let bounds = FetchBounds { timeout_ms: TIMEOUT_MS, answer_bytes_max: ANSWER_BYTES_MAX, addresses };
    Ok(Rc::new(FetchPlan::new(FetchRequest::get(url), bounds, LIFETIMES, Sharing::Gateway).expecting(expects)))
}

const DISCOVERY: &str = "/.well-known/openid-configuration";

/// How long keys are used: an issuer publishes a new one some time before it uses it, and withdraws an old one when no token
/// of it is valid. Longer only while the issuer does not answer.
const LIFETIMES: Lifetimes = Lifetimes { fresh_ms: 300_000, stale_ms: 24 * 3_600_000, negative_ms: 5_000 };

const TIMEOUT_MS: u64 = 3_000;
const ANSWER_BYTES_MAX: u64 = 256 * 1024;
