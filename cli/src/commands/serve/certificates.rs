//! What is wrong at the start with the certificates that the gateway presents to upstreams.

use std::collections::BTreeSet;

use tollgate_core::forward::OwnCertificate;
use tollgate_kv_schemas::{Manifest, Part, Pointer, decode, keys};
use tollgate_native::{RecordStore, SecretSource, check_certificate};

use crate::commands::key::now;
use crate::terminal;

/// Warns about certificates that cannot be presented. Requests to their upstreams fail; all others are answered.
pub(super) fn warn(store: &RecordStore, gateway: &str, secrets: &SecretSource) {
    let mut told = BTreeSet::new();
    for (upstream, own) in published(store, gateway).unwrap_or_default() {
        let fault = match check_certificate(&own, secrets) {
            Err(fault) => fault.to_string(),
            Ok(Some(end)) if end < now() => format!("the certificate in the secret `{}` has expired", own.name),
            Ok(_) => continue,
        };
        if told.insert(fault.clone()) {
            terminal::message(&format!("warning: requests to the upstream {upstream} will fail: {fault}"));
        }
    }
}

/// The certificates of the published upstreams, each with the name of its upstream; `None` if the bundle cannot be read, which
/// requests report.
fn published(store: &RecordStore, gateway: &str) -> Option<Vec<(String, OwnCertificate)>> {
    let read = |key: String| store.read(&key).ok().flatten();
    let bundle = decode::<Pointer>(&read(keys::active(gateway))?).ok()?.newest.bundle;
    let manifest = Manifest::decode(read(keys::manifest(gateway, &bundle))?, &bundle).ok()?;
    let parts: BTreeSet<_> = manifest.parts().ok()?.into_iter().map(|(_, id)| id).collect();
    let mut all = Vec::new();
    for id in parts {
        let part = Part::decode(read(keys::part(gateway, &id))?, &id).ok()?;
        all.extend(part.upstreams.into_iter().filter_map(|upstream| Some((upstream.name, upstream.certificate?))));
    }
    Some(all)
}
