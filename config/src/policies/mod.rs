//! The policy kinds as they are written: a file for each, with the table of its keys, and how they become core's settings
//! and back.
//!
//! All else is derived from the table: decoder and defaults, JSON Schema and reference page, the order in which `fmt` puts
//! the keys, what `explain` shows and how `diff` judges a change. Which kinds there are is said once, by the list in
//! `tollgate_core::kinds`. A new kind is a line there, and here a file that exports `TABLE` and `DOES` and implements
//! `Kind` for core's settings; `rate_limit.rs` is the model.

mod definition;
#[cfg(test)]
mod tests;
mod value;
mod written;

use tollgate_core::guard::AddressSet;
use tollgate_core::kinds::{Policies, Policy};

pub(crate) use definition::{POLICY, WrittenPolicy};
pub use value::Value;
pub(crate) use written::{Written, default};

use crate::diagnostic::Report;
use crate::place::Spanned;
pub use crate::schema::change::Change;
use crate::schema::units::Rate;
use crate::schema::{Key, Object, Shape};

/// How the settings of a kind are written; core's settings types implement it.
pub(crate) trait Kind: Sized {
    /// Whether plans may have numbers of their own for such a policy.
    const TAKES_PLANS: bool = false;

    /// Reads the settings from what is written; `None` for what is refused, which is reported.
    fn lower(written: &Written, report: &mut Report) -> Option<Self>;

    /// The settings as they would be written, by the keys of the table; what has no value is left out.
    fn values(&self) -> Vec<(&'static str, Value)>;

    /// The addresses of the clients that pass, where nothing but the address decides.
    fn admitted(&self) -> Option<AddressSet> {
        None
    }

    /// Takes the numbers that a plan has in place of the policy's own.
    fn take_plan(&mut self, _plan: &str, _limit: &PlanLimit, _report: &mut Report) {}

    /// For each plan with numbers of its own, the values that they take the place of.
    fn plans(&self) -> Vec<(&str, Vec<(&'static str, Value)>)> {
        Vec::new()
    }
}

/// The numbers that a plan has for a policy.
#[derive(Clone, Debug)]
pub(crate) struct PlanLimit {
    pub(crate) rate: Spanned<Rate>,
    pub(crate) burst: Option<Spanned<u32>>,
}

/// One kind of the list.
#[derive(Debug)]
pub(crate) struct KindEntry {
    /// Its word.
    pub(crate) word: &'static str,
    pub(crate) table: &'static Object,
    pub(crate) takes_plans: bool,
    pub(crate) lower: fn(&Written, &mut Report) -> Option<Policy>,
}

/// The settings of one policy as they would be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The kind's word.
    pub kind: &'static str,
    /// The settings, in the order of the kind's table.
    pub list: Vec<Setting>,
    /// For each plan with numbers of its own, the settings that they take the place of.
    pub plans: Vec<(String, Vec<(&'static str, Value)>)>,
}

/// One setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// Its key.
    pub key: &'static str,
    /// Its value; `None` where it has none.
    pub value: Option<Value>,
    /// What another value does to those who call.
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

    /// Whether a plan has a value of its own for a key.
    #[must_use]
    pub fn replaces(&self, plan: &str, key: &str) -> bool {
        let values = self.plans.iter().filter(|(name, _)| name == plan).flat_map(|(_, values)| values);
        values.into_iter().any(|(name, _)| *name == key)
    }

    /// The settings with the values that a plan has in place of their own.
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

/// The key that names a policy's kind.
const KIND: &str = "kind";

/// The key `kind` in the table of one kind.
const fn kind_key(words: &'static [(&'static str, &'static str)]) -> Key {
    Key::required(KIND, "What the policy does.", Shape::Word(words))
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

        /// The words of all kinds, each with what it does.
        const WORDS: &[(&str, &str)] = &[$( $( ($word, $module::DOES), )* )*];

        /// The words of all kinds, each with the whole table.
        const TABLES: &[(&str, &Object)] = &[$( $( ($word, &$module::TABLE), )* )*];

        /// The settings of the policy of that name.
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

        /// The addresses of the clients that pass the policy of that name, where nothing but the address decides.
        ///
        /// Two policies that admit the same addresses are the same for requests, however their settings are written.
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

        /// Gives a policy the numbers that a plan has in place of its own; whether its kind takes any.
        pub(crate) fn take_plan(policy: &mut Policy, plan: &str, limit: &PlanLimit, report: &mut Report) -> bool {
            fn take<K: Kind>(settings: &mut K, plan: &str, limit: &PlanLimit, report: &mut Report) -> bool {
                settings.take_plan(plan, limit, report);
                K::TAKES_PLANS
            }
            match policy {
                $( Policy::$Slot(policy) => match policy {
                    $( tollgate_core::kinds::$SlotPolicy::$Kind(settings) => take(settings, plan, limit, report), )*
                }, )*
            }
        }
    };
}

tollgate_core::policy_kinds!(declare);
