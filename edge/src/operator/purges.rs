//! Purges: added to the gateway's purge log, which is then written to the record that edges read.

use http::StatusCode;
use tollgate_core::cache::{CacheKey, Purge};
use tollgate_core::operator::{PurgeAnswer, PurgeRequest, PurgeTarget};
use tollgate_core::problem::{Problem, ProblemKind};

use super::purge_log::purge;
use super::{Done, Task};
use crate::ports::Host;

/// Purges stored responses. The response is sent when the purge is in the log and in the record.
pub(super) async fn new<H: Host>(task: Task<'_, H>) -> Result<Done, Problem> {
    let request = PurgeRequest::parse(&task.content)?;
    let resources = task.resources(request.target).await?;
    let keys: Vec<String> = resources.iter().flatten().map(|key| key.as_str().to_owned()).collect();
    let all = resources.contains(&None);
    task.targets.extend(if all { vec!["all".to_owned()] } else { keys.clone() });
    let at = task.isolate.changed_at(task.isolate.time(task.host.clock()));
    let purges: Vec<Purge> = resources.into_iter().map(|resource| Purge { resource, at }).collect();
    purge(task.isolate, task.host, &purges).await?;
    Ok(Done::json(StatusCode::OK, &PurgeAnswer { keys, all }))
}

impl<H: Host> Task<'_, H> {
    /// The resources of a target; `None` is everything.
    async fn resources(&self, target: PurgeTarget) -> Result<Vec<Option<CacheKey>>, Problem> {
        match target {
            PurgeTarget::All => Ok(vec![None]),
            PurgeTarget::Key(key) => Ok(vec![Some(key)]),
            PurgeTarget::Url { host, path, query } => {
                self.isolate.refresh(self.host).await;
                let found = self.isolate.resources(self.host, &host, &path, query.as_deref()).await?;
                if found.is_empty() {
                    let detail = "No cached route has this URL, so there is nothing to purge.";
                    return Err(Problem::plain(ProblemKind::ResourceNotFound, detail));
                }
                Ok(found.into_iter().map(Some).collect())
            }
        }
    }
}
