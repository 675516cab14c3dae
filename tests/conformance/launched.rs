//! A host in a separate process, with the artifact that checks its ports from inside.

use std::rc::Rc;

use tollgate_contracts::stage::Store;
use tollgate_contracts::{Breach, NAMES, Outcome};
use tollgate_tests::client::Request;
use tollgate_tests::hosts::{Artifacts, Fault, Host, Kind, Options};

use crate::stage::{Stage, Stores, listen};

/// A running host.
pub(crate) struct Launched {
    stage: Rc<Stage<Rc<Host>>>,
    host: Rc<Host>,
    /// The URL of the stage.
    address: String,
}

impl Launched {
    /// Starts a host; fails if its artifact was built with different checks.
    pub(crate) async fn start(kind: Kind, counters: Option<String>) -> Result<Self, String> {
        let artifacts = Artifacts::find()?.with_contracts();
        let secrets = vec![("TOKEN".to_owned(), "s3cret".to_owned())];
        let options = Options {
            gateway: "contracts".to_owned(),
            dev: false,
            secrets,
            authorities: None,
            counts: false,
            keep: None,
            counters,
        };
        let host = Rc::new(Host::start(kind, &artifacts, &options).await?);
        let stage = Rc::new(Stage::new(Rc::clone(&host)));
        let address = listen(Rc::clone(&stage)).await.map_err(|error| error.to_string())?;
        let launched = Self { stage, host, address };
        let listed = launched.host.client().send(Request::get("/")).await.map_err(|failed| failed.to_string())?;
        if listed.text() != NAMES.join("\n") {
            return Err(format!("the artifact has different checks; build it again\n{}", launched.host.stderr()));
        }
        Ok(launched)
    }

    /// Makes the host run a check.
    pub(crate) async fn check(&self, name: &str) -> Outcome {
        let request = Request::get(&format!("/{name}?stage={}", self.address));
        let answer = self.host.client().send(request).await?;
        match answer.status {
            200 => Ok(()),
            _ if answer.content.is_empty() => Err(Breach(format!("no reason given\n{}", self.host.stderr()))),
            _ => Err(Breach(answer.text())),
        }
    }

    /// Cleans up after a check that was aborted.
    pub(crate) async fn reset(&self) -> Result<(), String> {
        self.stage.reset().await
    }
}

impl Stores for Rc<Host> {
    async fn write(&self, key: &str, value: Option<&str>) -> Result<(), String> {
        match value {
            Some(value) => self.put(&[(key.to_owned(), value.into())]).await,
            None => self.delete(key).await,
        }
    }

    async fn set_unavailable(&self, store: Store, unavailable: bool) -> Result<(), String> {
        let fault = match store {
            Store::Records => Fault { records: Some(unavailable), ..Fault::default() },
            Store::Counters => Fault { counters: Some(unavailable), ..Fault::default() },
            Store::ResponseCache => Fault { cache: Some(unavailable), ..Fault::default() },
        };
        self.fault(fault).await
    }
}
