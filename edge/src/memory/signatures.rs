use std::fmt;
use std::rc::Rc;

use tollgate_core::jose::SignatureCheck;

use super::Fault;
use crate::ports::{Signatures, Unavailable};

/// A function that verifies a signature.
pub type Verify = dyn Fn(&SignatureCheck<'_>) -> bool;

/// Signatures that a function verifies; without one, none verifies.
#[derive(Clone)]
pub struct MemorySignatures {
    verify: Rc<Verify>,
    /// Makes each verification fail.
    pub fault: Fault,
}

impl MemorySignatures {
    /// Signatures that the function verifies.
    pub fn new(verify: impl Fn(&SignatureCheck<'_>) -> bool + 'static) -> Self {
        Self { verify: Rc::new(verify), fault: Fault::default() }
    }
}

impl Default for MemorySignatures {
    fn default() -> Self {
        Self::new(|_| false)
    }
}

impl fmt::Debug for MemorySignatures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemorySignatures").finish_non_exhaustive()
    }
}

impl Signatures for MemorySignatures {
    async fn verifies(&self, check: &SignatureCheck<'_>) -> Result<bool, Unavailable> {
        self.fault.check("the verification of signatures")?;
        Ok((self.verify)(check))
    }
}
