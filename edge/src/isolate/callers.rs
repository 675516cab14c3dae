//! The callers that `anonymous` policies name: each is made once.

use std::sync::Arc;

use tollgate_core::authn::{AnonymousSettings, Principal};
use tollgate_core::kinds::PolicyName;

/// What was made of policies as they are named and configured.
#[derive(Debug, Default)]
pub(crate) struct Callers(Vec<(PolicyName, AnonymousSettings, Arc<Principal>)>);

impl Callers {
    /// The caller of a policy.
    pub(crate) fn of(&mut self, name: &PolicyName, settings: &AnonymousSettings) -> Arc<Principal> {
        if let Some((.., caller)) = self.0.iter().find(|(own, known, _)| own == name && known == settings) {
            return Arc::clone(caller);
        }
        if self.0.len() >= POLICIES_MAX {
            self.0.clear();
        }
        let caller = Arc::new(settings.caller(name));
        self.0.push((name.clone(), settings.clone(), Arc::clone(&caller)));
        caller
    }
}

/// More than gateways have; an isolate that serves several generations of a bundle has some of each.
const POLICIES_MAX: usize = 32;
