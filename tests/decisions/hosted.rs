//! The corpus on a host in a process of its own: the hashes are read from its log.

use std::collections::BTreeMap;
use std::error::Error;
use std::time::Duration;

use tokio::time::{Instant, sleep};
use tollgate_tests::client::{PATIENCE, Request};
use tollgate_tests::hosts::{Artifacts, Host, Kind, Options};
use tollgate_tests::upstream::Upstream;

use crate::corpus::{Asked, Corpus, DOMAIN, GATEWAY};

/// How long a store may take behind a reply before the next request is sent.
const STORE_MS: u64 = 700;

pub(crate) async fn run(
    kind: Kind,
    artifacts: &Artifacts,
    corpus: &Corpus,
) -> Result<BTreeMap<String, String>, Box<dyn Error>> {
    let upstream = Upstream::start().await?;
    let options = Options {
        gateway: GATEWAY.to_owned(),
        dev: true,
        secrets: Vec::new(),
        authorities: None,
        counts: false,
        keep: None,
        counters: None,
    };
    let host = Host::start(kind, artifacts, &options).await?;
    host.put(&corpus.records(&upstream.url())?).await?;
    let mut found = BTreeMap::new();
    for asked in &corpus.requests {
        let domain = asked.fields.get("Host").map_or(DOMAIN, String::as_str);
        let answer = host.client().for_host(domain).send(request(asked)).await?;
        let id = answer.field("x-request-id").ok_or_else(|| format!("{}: no request id", asked.name))?.to_owned();
        found.insert(
            asked.name.clone(),
            logged(&host, &id).await.ok_or_else(|| format!("{}: no log line", asked.name))?,
        );
        if asked.stores {
            sleep(Duration::from_millis(STORE_MS)).await;
        }
    }
    Ok(found)
}

fn request(asked: &Asked) -> Request {
    let request = if asked.content.is_empty() {
        Request::of(&asked.method, &asked.target)
    } else {
        Request::post(&asked.target, asked.content.clone())
    };
    let fields = asked.fields.iter().filter(|(name, _)| *name != "Host");
    fields.fold(request, |request, (name, value)| request.field(name, value))
}

/// The hash in the log line of an exchange.
async fn logged(host: &Host, id: &str) -> Option<String> {
    let end = Instant::now() + PATIENCE;
    while Instant::now() < end {
        for line in host.logs() {
            let Ok(line) = serde_json::from_str::<serde_json::Value>(&line) else { continue };
            if line["request_id"] == id {
                return line["decisions"].as_str().map(str::to_owned);
            }
        }
        sleep(Duration::from_millis(10)).await;
    }
    None
}
