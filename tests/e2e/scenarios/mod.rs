//! All scenarios, in the order of the phases a request goes through.

mod bad_input;
mod binding;
mod browser;
mod bundle;
mod cache;
mod costs;
mod faults;
mod forwarding;
mod identity_mapping;
mod identity_provider;
mod messages;
mod operator;
mod outage;
mod plans;
mod problems;
mod proxies;
mod redis;
mod routing;
mod spin_calls;
mod telemetry;
mod usage;

use crate::scenario::Scenario;

/// Declares the scenarios of the policy kinds, a module for each kind, in the order in which their slots run.
macro_rules! declare_kinds {
    ($($(#[$doc:meta])* $slot:ident $Slot:ident $Policy:ident $Trait:ident {
        $($(#[$kind_doc:meta])* $module:ident $Kind:ident $Settings:ident $word:literal,)*
    })*) => {
        $( $( mod $module; )* )*

        const POLICY_KINDS: &[&[Scenario]] = &[ $( $( $module::ALL, )* )* ];
    };
}
tollgate_core::policy_kinds!(declare_kinds);

/// The scenarios whose title contains all of these words; without words, all scenarios.
pub(crate) fn matching(filter: &[String]) -> Vec<Scenario> {
    let before = [routing::ALL, bad_input::ALL, proxies::ALL];
    let after = [
        binding::ALL,
        identity_mapping::ALL,
        identity_provider::ALL,
        browser::ALL,
        costs::ALL,
        cache::ALL,
        forwarding::ALL,
        messages::ALL,
        problems::ALL,
        telemetry::ALL,
        usage::ALL,
        operator::ALL,
        outage::ALL,
        plans::ALL,
        bundle::ALL,
        faults::ALL,
        redis::ALL,
        spin_calls::ALL,
    ];
    let files = before.iter().chain(POLICY_KINDS).chain(&after);
    files
        .copied()
        .flatten()
        .copied()
        .filter(|scenario| {
            let title = scenario.title();
            filter.iter().all(|word| title.contains(word.as_str()))
        })
        .collect()
}
