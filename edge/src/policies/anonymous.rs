//! The `anonymous` policy: the pipeline asks it only for callers that present no credential.

use std::sync::Arc;

use tollgate_core::authn::{AnonymousSettings, Principal};
use tollgate_core::kinds::PolicyName;
use tollgate_core::problem::Problem;

use super::Authenticates;
use crate::isolate::Isolate;
use crate::pipeline::{Received, RequestContent};
use crate::ports::Host;

impl Authenticates for AnonymousSettings {
    async fn authenticate<H: Host>(
        &self,
        name: &PolicyName,
        isolate: &Isolate,
        _: &H,
        _: &Received,
        _: &mut RequestContent<'_, H::Content>,
    ) -> Result<Arc<Principal>, Problem> {
        Ok(isolate.callers.borrow_mut().of(name, self))
    }
}
