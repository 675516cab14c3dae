//! Secrets of projects: whether they have a value.

use http::StatusCode;
use tollgate_core::operator::SecretView;
use tollgate_core::problem::Problem;

use super::{Done, Task, store_unavailable};
use crate::ports::{Host, Secrets};
use crate::timeout::within;

/// Tells how many values a secret has, as the platform has it now.
pub(super) async fn show<H: Host>(task: &Task<'_, H>) -> Result<Done, Problem> {
    SecretView::check(task.parameter)?;
    let read = within(task.host, "the secret store", task.host.secrets().secret(task.parameter)).await;
    let secret = read.map_err(|error| store_unavailable(&error))?;
    Ok(Done::json(StatusCode::OK, &SecretView::of(task.parameter, secret.as_ref())))
}
