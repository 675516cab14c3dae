//! Sections of policies, one for each, derived from the list of kinds in core.

use tollgate_core::codec::Section as _;
use tollgate_core::kinds::{Named, Policies};

use crate::RecordError;
use crate::cost::Budget;
use crate::envelope::PART;
use crate::sections::{Section, Sections};

macro_rules! derive_sections {
    ($(
        $(#[$slot_doc:meta])*
        $slot:ident $Slot:ident $SlotPolicy:ident $Interface:ident {
            $( $(#[$doc:meta])* $module:ident $Kind:ident $Settings:ident $word:literal, )*
        }
    )*) => {
        /// Adds a section for each policy, slot by slot and in the order of their positions.
        pub(crate) fn push(policies: &Policies, sections: &mut Sections) {
            $(
                for Named { name, policy } in &policies.$slot {
                    match policy {
                        $( tollgate_core::kinds::$SlotPolicy::$Kind(settings) => {
                            sections.push($word, settings.least_version(), &(name, settings));
                        } )*
                    }
                }
            )*
        }

        /// Adds the policy of a section; returns whether its kind is known.
        pub(crate) fn read(
            section: &Section<'_>,
            policies: &mut Policies,
            budget: &mut Budget,
        ) -> Result<bool, RecordError> {
            match section.kind {
                $( $( $word => {
                    let (name, settings): (_, tollgate_core::$slot::$module::$Settings) =
                        section.read_named(PART.name, budget)?;
                    policies.push(Named { name: name.into(), policy: settings.into() });
                } )* )*
                _ => return Ok(false),
            }
            Ok(true)
        }

        /// The versions of a kind that this program reads, the oldest and the newest.
        pub(crate) fn known(kind: &str) -> Option<(u16, u16)> {
            match kind {
                $( $( $word => Some((
                    tollgate_core::$slot::$module::$Settings::OLDEST,
                    tollgate_core::$slot::$module::$Settings::VERSION,
                )), )* )*
                _ => None,
            }
        }
    };
}

tollgate_core::policy_kinds!(derive_sections);
