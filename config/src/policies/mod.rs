//! The policy kinds in the configuration format: one file for each, with the table of its keys and the conversions to and
//! from core's settings.
//!
//! Everything else is derived from the table: decoder and defaults, JSON Schema and reference page, the order of keys in
//! `fmt`, the output of `explain`, and how `diff` classifies a change. The list of kinds is in `tollgate_core::kinds`. To
//! add a kind, add a line there, and here a file that exports `TABLE` and `DOES` and implements `Kind` for core's
//! settings; `rate_limit.rs` is the model.

mod bearer;
mod binding;
mod budget;
mod cost;
mod counting;
mod definition;
mod issuer;
mod mapping;
mod pem;
#[cfg(test)]
mod tests;
mod value;
mod written;

use tollgate_core::authn::IdentityRules;
use tollgate_core::forward::Attribute;
use tollgate_core::guard::AddressSet;
use tollgate_core::kinds::{AuthnPolicy, Policies, Policy};
use tollgate_core::settings::RouteSettings;

pub(crate) use budget::Budget;
pub use budget::Money;
pub(crate) use definition::{POLICY, WrittenPolicy};
pub use value::Value;
pub(crate) use written::{Written, default};

use crate::diagnostic::Report;
use crate::expression::constant::Requests;
use crate::place::Spanned;
pub use crate::schema::change::{Absence, Change};
use crate::schema::units::Rate;
use crate::schema::{Absent, Key, Object, Shape};

/// Converts between the written form of a kind and core's settings type, which implements this trait.
pub(crate) trait Kind: Sized {
    /// Whether plans may set other numbers for such a policy.
    const TAKES_PLANS: bool = false;

    /// Converts the written values to settings; `None` if a value is refused, which is reported.
    fn lower(written: &Written, report: &mut Report) -> Option<Self>;

    /// The settings as they would be written, by key; keys without a value are omitted.
    fn values(&self) -> Vec<(&'static str, Value)>;

    /// The accepted client addresses, if a request is accepted or refused only by its address.
    fn admitted(&self) -> Option<AddressSet> {
        None
    }

    /// Whether it accepts all of these requests, or none; `None` if that depends on more.
    fn decided(&self, _requests: &Requests<'_>) -> Option<bool> {
        None
    }

    /// Whether the credentials of its callers are tokens of an authorization server.
    const HAS_TOKENS: bool = false;

    /// Keeps a fact for expressions and upstreams; returns whether policies of the kind know such facts of callers.
    fn keep(&mut self, _fact: &Attribute) -> bool {
        false
    }

    /// Adds the numbers that replace the policy's own for the consumers of a plan; returns whether it has such numbers.
    fn take_plan(&mut self, _plan: &str, _limit: &PlanLimit, _report: &mut Report) -> bool {
        false
    }

    /// For each plan with its own numbers, the values that replace those of the policy.
    fn plans(&self) -> Vec<(&str, Vec<(&'static str, Value)>)> {
        Vec::new()
    }
}

/// The numbers of a plan for a policy.
#[derive(Clone, Debug)]
pub(crate) enum PlanLimit {
    /// Of a rate limit.
    Rate { rate: Spanned<Rate>, burst: Option<Spanned<u32>> },
    /// Of a quota.
    Quota(Spanned<u32>),
    /// Of a limit of concurrency.
    Max(Spanned<u32>),
}

/// One policy kind.
#[derive(Debug)]
pub(crate) struct KindEntry {
    /// The value of `kind:`.
    pub(crate) word: &'static str,
    pub(crate) table: &'static Object,
    pub(crate) takes_plans: bool,
    pub(crate) lower: fn(&Written, &mut Report) -> Option<Policy>,
}

/// The settings of one policy as they would be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The value of `kind:`.
    pub kind: &'static str,
    /// The settings, in the order of the kind's table.
    pub list: Vec<Setting>,
    /// For each plan with its own numbers, the values that replace those of the policy.
    pub plans: Vec<(String, Vec<(&'static str, Value)>)>,
}

/// One setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// The key of the setting.
    pub key: &'static str,
    /// The value; `None` if it has none.
    pub value: Option<Value>,
    /// The effect of another value on requests.
    pub change: Change,
}

impl Settings {
    fn of<K: Kind>(settings: &K, kind: &'static str, table: &'static Object) -> Self {
        let mut values = settings.values();
        let setting = |key: &'static Key| {
            let found = values.iter().position(|(name, _)| *name == key.name);
            let value = found.map(|place| values.swap_remove(place).1);
            Setting { key: key.name, value, change: key.change }
        };
        let list = written::settings(table).map(setting).collect();
        let plans = settings.plans().into_iter().map(|(plan, values)| (plan.to_owned(), values)).collect();
        Self { kind, list, plans }
    }

    /// The value of a key.
    #[must_use]
    pub fn value(&self, key: &str) -> Option<&Value> {
        self.list.iter().find(|setting| setting.key == key)?.value.as_ref()
    }

    /// Whether a plan replaces the value of a key.
    #[must_use]
    pub fn replaces(&self, plan: &str, key: &str) -> bool {
        let values = self.plans.iter().filter(|(name, _)| name == plan).flat_map(|(_, values)| values);
        values.into_iter().any(|(name, _)| *name == key)
    }

    /// The settings for the consumers of a plan.
    #[must_use]
    pub fn with_plan(&self, plan: &str) -> Self {
        let mut settings = Self { plans: Vec::new(), ..self.clone() };
        let values = self.plans.iter().filter(|(name, _)| name == plan).flat_map(|(_, values)| values);
        for (key, value) in values {
            let place = settings.list.iter_mut().find(|setting| setting.key == *key);
            place.into_iter().for_each(|setting| setting.value = Some(value.clone()));
        }
        settings
    }
}

/// Whether a policy in `authz` may refuse a request of this route.
#[must_use]
pub fn is_authorized(route: &RouteSettings, policies: &Policies) -> bool {
    let requests = Requests::of(&route.methods, !route.admits_anonymous());
    let mut all = policies.at(&route.authz);
    all.any(|named| decided(&Policy::Authz(named.policy.clone()), &requests) != Some(true))
}

/// What a policy must know of tokens, if it reads tokens of an authorization server.
pub(crate) fn token_rules(policy: &Policy) -> Option<&IdentityRules> {
    match policy {
        Policy::Authn(AuthnPolicy::Jwt(settings)) => Some(&settings.rules),
        Policy::Authn(AuthnPolicy::Introspection(settings)) => Some(&settings.rules),
        _ => None,
    }
}

/// Reports consumers of `outage-consumers` that no token of the policy of this name has.
pub(crate) fn report_strangers(name: &str, written: &Written, policy: &Policy, report: &mut Report) {
    if let Some(rules) = token_rules(policy) {
        bearer::report_strangers(name, written, rules, report);
    }
}

/// What it means that a key for a name is absent, in tables.
const OWN_NAME: &str = "the name of the policy";

/// What it means that a key for the beginning of names is absent, in tables.
const OWN_PREFIX: &str = "the name of the policy and `:`";

/// What it means that a key is absent whose value is computed of another key, in tables.
const OF_RATE: &str = "the number in `rate`";
const OF_BUDGET: &str = "computed from `budget`";

/// Whether a key that is absent has a value that is computed of another key.
pub(crate) fn is_computed(key: &Key) -> bool {
    matches!(key.absent, Absent::Means(OF_RATE | OF_BUDGET))
}

/// What a policy of this name has in place of a key that is absent, if that is made of its name.
pub(crate) fn of_own_name(key: &Key, name: &str) -> Option<String> {
    match key.absent {
        Absent::Means(OWN_NAME) => Some(name.to_owned()),
        Absent::Means(OWN_PREFIX) => Some(format!("{name}:")),
        Absent::Means(_) | Absent::Default(_) | Absent::Refused => None,
    }
}

/// The key that names a policy's kind.
const KIND: &str = "kind";

/// The key `kind` in the table of one kind.
const fn kind_key(words: &'static [(&'static str, &'static str)]) -> Key {
    Key::required(KIND, "The kind of the policy.", Shape::Word(words))
}

macro_rules! declare {
    ($(
        $(#[$slot_doc:meta])*
        $slot:ident $Slot:ident $SlotPolicy:ident $Interface:ident {
            $( $(#[$doc:meta])* $module:ident $Kind:ident $Settings:ident $word:literal, )*
        }
    )*) => {
        $( $( pub(crate) mod $module; )* )*

        /// All kinds, slot by slot.
        pub(crate) static KINDS: &[KindEntry] = &[$( $(
            KindEntry {
                word: $word,
                table: &$module::TABLE,
                takes_plans: <tollgate_core::$slot::$module::$Settings as Kind>::TAKES_PLANS,
                lower: |written, report| {
                    <tollgate_core::$slot::$module::$Settings as Kind>::lower(written, report).map(Policy::from)
                },
            },
        )* )*];

        /// The words of all kinds, each with a short description.
        const WORDS: &[(&str, &str)] = &[$( $( ($word, $module::DOES), )* )*];

        /// The words of all kinds, each with the complete table.
        const TABLES: &[(&str, &Object)] = &[$( $( ($word, &$module::TABLE), )* )*];

        /// The settings of the policy with this name.
        #[must_use]
        pub fn settings(policies: &Policies, name: &str) -> Option<Settings> {
            $(
                if let Some(named) = policies.$slot.iter().find(|named| named.name == name) {
                    return Some(match &named.policy {
                        $( tollgate_core::kinds::$SlotPolicy::$Kind(settings) => {
                            Settings::of(settings, $word, &$module::TABLE)
                        } )*
                    });
                }
            )*
            None
        }

        /// The client addresses that the policy of this name accepts, if it decides only by address.
        ///
        /// Two policies that accept the same addresses have the same effect, even if their settings are written differently.
        #[must_use]
        pub fn admitted(policies: &Policies, name: &str) -> Option<AddressSet> {
            $(
                if let Some(named) = policies.$slot.iter().find(|named| named.name == name) {
                    return match &named.policy {
                        $( tollgate_core::kinds::$SlotPolicy::$Kind(settings) => Kind::admitted(settings), )*
                    };
                }
            )*
            None
        }

        /// Whether a policy accepts all of these requests, or none; `None` if that depends on more.
        pub(crate) fn decided(policy: &Policy, requests: &Requests<'_>) -> Option<bool> {
            match policy {
                $( Policy::$Slot(policy) => match policy {
                    $( tollgate_core::kinds::$SlotPolicy::$Kind(settings) => Kind::decided(settings, requests), )*
                }, )*
            }
        }

        /// Whether the credentials of a policy's callers are tokens of an authorization server.
        pub(crate) fn has_tokens(policy: &Policy) -> bool {
            const fn of<K: Kind>(_: &K) -> bool {
                K::HAS_TOKENS
            }
            match policy {
                $( Policy::$Slot(policy) => match policy {
                    $( tollgate_core::kinds::$SlotPolicy::$Kind(settings) => of(settings), )*
                }, )*
            }
        }

        /// Lets a policy keep a fact for expressions and upstreams; returns whether it knows such facts of callers.
        pub(crate) fn keep(policy: &mut Policy, fact: &Attribute) -> bool {
            match policy {
                $( Policy::$Slot(policy) => match policy {
                    $( tollgate_core::kinds::$SlotPolicy::$Kind(settings) => Kind::keep(settings, fact), )*
                }, )*
            }
        }

        /// Adds the numbers of a plan to a policy; returns whether policies of its kind have such numbers.
        pub(crate) fn take_plan(policy: &mut Policy, plan: &str, limit: &PlanLimit, report: &mut Report) -> bool {
            match policy {
                $( Policy::$Slot(policy) => match policy {
                    $( tollgate_core::kinds::$SlotPolicy::$Kind(settings) => Kind::take_plan(settings, plan, limit, report), )*
                }, )*
            }
        }
    };
}

tollgate_core::policy_kinds!(declare);
