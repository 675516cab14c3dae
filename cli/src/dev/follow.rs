//! Follows the edits of a project: a valid edit is published; an invalid one is reported, and the last valid one stays
//! active.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use tollgate_kv_schemas::Id;

use super::snapshot::Snapshot;
use super::store::Store;
use super::watch::{INTERVAL, Watch};
use crate::project::{Project, report_diagnostics};
use crate::terminal::{mark_error, message};

/// Publishes a project repeatedly.
pub(super) struct Follower {
    project: Project,
    echo: Option<SocketAddr>,
    watch: Watch,
    store: Store,
    published: Snapshot,
    /// Keys of the previous generation, which is served if the published one cannot be read.
    older: BTreeSet<String>,
    is_broken: bool,
}

impl Follower {
    /// Publishes the first snapshot.
    pub(super) async fn publish_first(
        project: Project,
        echo: Option<SocketAddr>,
        watch: Watch,
        store: Store,
        snapshot: Snapshot,
    ) -> Result<Self, String> {
        store.publish(&snapshot.bundle, &snapshot.credentials, &[]).await?;
        Ok(Self { project, echo, watch, store, published: snapshot, older: BTreeSet::new(), is_broken: false })
    }

    /// Follows the edits until the command is stopped.
    pub(super) async fn follow(mut self) -> std::convert::Infallible {
        let mut looks = tokio::time::interval(INTERVAL);
        looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            looks.tick().await;
            if self.watch.has_changed() {
                self.edited().await;
            }
        }
    }

    async fn edited(&mut self) {
        let (loaded, inputs) = Snapshot::load(&self.project, self.echo);
        self.watch.follow(inputs);
        match loaded {
            Ok(snapshot) if snapshot.gateway != self.published.gateway => {
                let (old, new) = (self.published.gateway.clone(), snapshot.gateway);
                self.refuse(&format!(
                    "the gateway's name changed from {old} to {new}: restart `tollgate dev` to apply it"
                ));
            }
            Ok(snapshot) => self.publish(snapshot).await,
            Err(found) => {
                report_diagnostics(&found);
                self.refuse("the edit has errors");
            }
        }
    }

    fn refuse(&mut self, why: &str) {
        self.is_broken = true;
        let mark = mark_error("not published:");
        let serving = short(&self.published.bundle.id);
        message(&format!("{mark} {why}; the last valid configuration ({serving}) stays active"));
    }

    async fn publish(&mut self, snapshot: Snapshot) {
        let keys = |records: &[(String, Vec<u8>)]| records.iter().map(|(key, _)| key.clone()).collect::<BTreeSet<_>>();
        let (current, withdrawn) = {
            let published = &self.published;
            let withdrawn = &keys(&published.credentials) - &keys(&snapshot.credentials);
            (keys(published.bundle.content()), withdrawn)
        };
        let kept = &current | &keys(snapshot.bundle.content());
        let gone: Vec<String> = self.older.difference(&kept).chain(&withdrawn).cloned().collect();
        if let Err(error) = self.store.publish(&snapshot.bundle, &snapshot.credentials, &gone).await {
            return self.refuse(&format!("the host did not accept the records: {error}"));
        }
        self.older = current;
        snapshot.report_warnings();
        let fixed = if std::mem::take(&mut self.is_broken) { "fixed: the project is valid again; " } else { "" };
        message(&format!("{fixed}the edit is active (bundle {})", short(&snapshot.bundle.id)));
        self.published = snapshot;
    }
}

/// The first characters of a bundle's name, enough to distinguish recent bundles.
fn short(id: &Id) -> String {
    let mut name = id.to_string();
    name.truncate(12);
    name
}
