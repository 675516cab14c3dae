//! Outages of identity providers: what operators say about them, and the tokens that were admitted meanwhile.

use std::rc::Rc;

use http::StatusCode;
use tollgate_core::authn::{OutageRules, read_admitted};
use tollgate_core::cell::{Listed, OperationId, Reply};
use tollgate_core::operator::{OutageRequest, OutageView, Resource, TokensRequest};
use tollgate_core::problem::{Problem, ProblemKind};
use tollgate_kv_schemas::{encode, keys};

use super::{Done, Task, store_unavailable};
use crate::isolate::outages::read_outage;
use crate::ports::{Clock, Entropy, Host};
use crate::timeout::counted;

/// Tells what is known of a policy's outages, once what the resource changes is stored.
pub(super) async fn outage<H: Host>(resource: Resource, task: Task<'_, H>) -> Result<Done, Problem> {
    let (isolate, host, policy) = (task.isolate, task.host, task.parameter);
    let rules = task.outage_rules().await?;
    let mut outage = read_outage(isolate, host, policy).await.map_err(|error| store_unavailable(&error))?;
    let admitted = if rules.admits() { task.admitted().await? } else { Vec::new() };
    let now = host.clock().now();
    task.targets.push(policy.to_owned());
    match resource {
        Resource::AllowOutage => {
            let request = OutageRequest::parse(&task.content)?;
            task.targets.extend_from_slice(request.consumers());
            request.allow(&mut outage, &rules, now, task.caller)?;
        }
        Resource::EndOutage => outage.end(now),
        Resource::RevokeTokens => {
            let named = TokensRequest::parse(&task.content, now)?.apply(&mut outage, &admitted, &rules, now)?;
            task.targets.extend(named);
        }
        _ => return Ok(Done::json(StatusCode::OK, &OutageView::of(policy, outage, &admitted, &rules, now))),
    }
    task.write(keys::idp_outage(&isolate.settings.gateway, policy), encode(&outage)).await?;
    isolate.outages.borrow_mut().put_said(policy.into(), Rc::new(outage.clone().into()), host.clock().instant());
    Ok(Done::json(StatusCode::OK, &OutageView::of(policy, outage, &admitted, &rules, now)))
}

impl<H: Host> Task<'_, H> {
    /// What the policy allows, by the newest configuration.
    async fn outage_rules(&self) -> Result<OutageRules, Problem> {
        self.isolate.refresh(self.host).await;
        let gateway = self.isolate.gateway(self.host).await;
        let found =
            gateway.as_ref().and_then(|gateway| gateway.outages.iter().find(|one| one.policy == self.parameter));
        found.map(|found| found.rules.clone()).ok_or_else(|| {
            let detail =
                "The configuration has no policy of this name with `revocable: true` or `on-unavailable: known`.";
            Problem::plain(ProblemKind::ResourceNotFound, detail)
        })
    }

    /// The tokens that were admitted while the provider was away.
    async fn admitted(&self) -> Result<Vec<Listed>, Problem> {
        let mut random = [0; 16];
        self.host.entropy().fill(&mut random);
        let read = counted(self.host, &read_admitted(self.parameter, OperationId::new(random))).await;
        match read.map_err(|error| store_unavailable(&error))?.replies.pop() {
            Some(Reply::List(listed)) => Ok(listed),
            Some(_) | None => Err(store_unavailable(&"the cell of admitted tokens did not return its list")),
        }
    }
}
