//! Batches of usage: listed as they are stored. Whoever asks sums them up.

use bytes::Bytes;
use http::StatusCode;
use tollgate_core::json;
use tollgate_core::operator::UsageQuery;
use tollgate_core::problem::Problem;
use tollgate_kv_schemas::keys;

use super::{Done, Task, store_unavailable};
use crate::ports::Host;
use crate::timeout::record;

/// Lists a page of batches.
pub(super) async fn list<H: Host>(task: &Task<'_, H>) -> Result<Done, Problem> {
    let UsageQuery { hours, cursor } = UsageQuery::parse(task.query)?;
    let prefix = keys::usage_of(&task.isolate.settings.gateway, &hours);
    let page = task.page(&prefix, cursor.as_deref(), LISTED_MAX).await?;
    let mut out = String::from("{\"records\":[");
    for key in &page.keys {
        // One that has expired may still be listed.
        let Some(bytes) = record(task.host, key).await.map_err(|error| store_unavailable(&error))? else { continue };
        // It is JSON, and stays as it is.
        let text = std::str::from_utf8(&bytes).map_err(|error| store_unavailable(&error))?;
        if !out.ends_with('[') {
            out.push(',');
        }
        out.push_str(text);
    }
    out.push(']');
    if let Some(cursor) = &page.cursor {
        out.push_str(",\"cursor\":");
        json::string(&mut out, cursor);
    }
    out.push('}');
    Ok(Done { status: StatusCode::OK, media_type: "application/json", content: Bytes::from(out) })
}

/// Batches of a page, each of at most about 100 KiB: a Worker has 128 MB for all requests.
const LISTED_MAX: usize = 50;
