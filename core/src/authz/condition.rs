//! The `condition` policy: authorizes a request by an expression about it and its caller.
//!
//! A condition that cannot be evaluated refuses the request; the log says why.

use minicbor::Encode;
use serde::{Deserialize, Serialize};

use super::{Authorizer, Checked, not_authorized};
use crate::codec::{self, Decode};
use crate::event::Reason;
use crate::expression::{Expression, Facts, Source};
use crate::kinds::{PolicyKind, Uses};
use crate::problem::Problem;

/// Settings of one `condition` policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[serde(deny_unknown_fields)]
#[cbor(map)]
pub struct ConditionSettings {
    /// The expression that has to be true.
    #[n(0)]
    pub allow: Expression,
    /// As it is written.
    #[n(1)]
    pub text: String,
}

impl codec::Section for ConditionSettings {
    const VERSION: u16 = 3;

    fn least_version(&self) -> u16 {
        // Earlier readers have no time zones, and do not know where clients are; those before version 3 read no cookies.
        if self.allow.is_of_first_version() {
            Self::OLDEST
        } else if self.allow.sources().any(Source::is_cookie) {
            Self::VERSION
        } else {
            2
        }
    }
}

impl Authorizer for ConditionSettings {
    fn check(&self, request: &Facts<'_>) -> Result<Checked<'_>, Problem> {
        match self.allow.holds(request) {
            Ok(true) => Ok(Checked::Authorized),
            Ok(false) => Err(not_authorized(Reason::ConditionFalse)),
            Err(error) => Err(not_authorized(Reason::ConditionFailed { error })),
        }
    }

    fn needs_caller(&self) -> bool {
        self.allow.sources().any(Source::is_of_caller)
    }

    fn reads(&self) -> Vec<&Source> {
        self.allow.sources().collect()
    }
}

impl PolicyKind for ConditionSettings {
    fn is_coherent(&self) -> bool {
        self.allow.is_coherent()
    }

    fn uses(&self) -> Uses<'_> {
        Uses::default()
    }
}
