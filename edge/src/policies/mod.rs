//! The asynchronous part of policies: a module for each kind of a slot whose kinds await ports themselves.
//!
//! The modules, and the dispatch from a slot's policy to its kind, are derived from the list in `tollgate_core::kinds`.
//! The kinds of the other slots need none: a guard awaits nothing, and the limit phase charges all limits together.

mod binding;
mod linked;
pub(crate) mod login;
mod outage;
mod person;
mod signed;
mod stored;
mod token;

use std::sync::Arc;

use tollgate_core::authn::Principal;
use tollgate_core::kinds::{AuthnPolicy, PolicyName};
use tollgate_core::problem::Problem;

use crate::isolate::Isolate;
use crate::pipeline::{Received, RequestContent};
use crate::ports::Host;

/// A policy that authenticates callers.
pub(crate) trait Authenticates {
    /// The caller, or why the policy of this name did not authenticate it; the problem does not name the policy yet.
    async fn authenticate<H: Host>(
        &self,
        name: &PolicyName,
        isolate: &Isolate,
        host: &H,
        received: &Received,
        content: &mut RequestContent<'_, H::Content>,
    ) -> Result<Arc<Principal>, Problem>;
}

/// Declares the kinds of the authentication slot, and dispatches to them.
macro_rules! declare {
    ($(#[$d:meta])* authn $S:ident $P:ident $I:ident { $($(#[$k:meta])* $module:ident $Kind:ident $T:ident $w:literal,)* } $($rest:tt)*) => {
        $(mod $module;)*

        impl Authenticates for AuthnPolicy {
            async fn authenticate<H: Host>(
                &self,
                name: &PolicyName,
                isolate: &Isolate,
                host: &H,
                received: &Received,
                content: &mut RequestContent<'_, H::Content>,
            ) -> Result<Arc<Principal>, Problem> {
                match self {
                    $(Self::$Kind(settings) => settings.authenticate(name, isolate, host, received, content).await,)*
                }
            }
        }
    };
    ($(#[$d:meta])* $slot:ident $S:ident $P:ident $I:ident { $($kinds:tt)* } $($rest:tt)*) => {
        declare! { $($rest)* }
    };
}

tollgate_core::policy_kinds!(declare);
