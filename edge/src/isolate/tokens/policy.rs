//! A `jwt` policy with what is prepared once: its keys, or how they are fetched.

use std::cell::RefCell;
use std::rc::Rc;

use tollgate_core::authn::{JwtSettings, KeySource};
use tollgate_core::fetch::AddressRule;
use tollgate_core::jose::JwkSet;
use tollgate_core::kinds::PolicyName;

use crate::isolate::fetched::{Expects, FetchPlan, Meaning, Usable};
use crate::isolate::issuer::{metadata, plan, uri};

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
    pub(in crate::isolate) fn prepare(name: PolicyName, settings: JwtSettings) -> Self {
        let source = Source::of(&settings);
        Self { name, settings, source }
    }

    pub(crate) const fn settings(&self) -> &JwtSettings {
        &self.settings
    }

    /// How its keys are fetched: the metadata of the issuer, and the set, as far as they are known.
    pub(crate) fn plans(&self) -> [Option<Rc<FetchPlan>>; 2] {
        match &self.source {
            Ok(Source::Set(plan)) => [Some(Rc::clone(plan)), None],
            Ok(Source::Discovery(discovery)) => {
                let keys = discovery.keys.borrow().as_ref().map(|(_, plan)| Rc::clone(plan));
                [Some(Rc::clone(&discovery.metadata)), keys]
            }
            Ok(Source::Secret | Source::Fixed(_)) | Err(_) => [None, None],
        }
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
                let addresses = AddressRule::with_private(*is_private);
                let metadata = metadata(issuer, addresses)?;
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
        let url = match &metadata.meaning {
            Meaning::Services(services) => services.keys.as_ref(),
            Meaning::Content | Meaning::Keys(_) => None,
        };
        let plan = plan(url.ok_or("the metadata name no `jwks_uri`")?.clone(), self.addresses, Expects::Keys)?;
        self.keys.replace(Some((Rc::clone(metadata), Rc::clone(&plan))));
        Ok(plan)
    }
}

/// How the set of keys at a URL is fetched.
pub(crate) fn keys_at(url: &str, is_private: bool) -> Result<Rc<FetchPlan>, String> {
    plan(uri(url)?, AddressRule::with_private(is_private), Expects::Keys)
}
