//! A snapshot of a project when its files were read: what to publish, and what to show.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use tollgate_config::fixtures::{Fixtures, SampleKey};
use tollgate_config::{Compiled, Diagnostics, Inputs, Whole};
use tollgate_core::authn::Credential;
use tollgate_core::forward::UpstreamSettings;
use tollgate_core::route::HostPattern;
use tollgate_core::secret::Secret;
use tollgate_core::settings::{GatewaySettings, SiteSettings};
use tollgate_kv_schemas::Bundle;

use super::echo;
use crate::commands::key::now;
use crate::commands::secrets;
use crate::project::{Project, report_diagnostics};
use crate::target::KeyValue;

/// A snapshot of a project.
pub(super) struct Snapshot {
    pub(super) gateway: String,
    settings: GatewaySettings,
    sites: BTreeMap<HostPattern, SiteSettings>,
    pub(super) whole: Whole,
    pub(super) bundle: Bundle,
    /// The fixtures' credentials.
    pub(super) credentials: Vec<KeyValue>,
    pub(super) sample: Option<(SampleKey, Credential)>,
    warnings: [Diagnostics; 3],
}

impl Snapshot {
    /// Reads the project; `echo` is the address of the echo upstream, if it differs from the one in the project. The second
    /// member is what was read.
    ///
    /// # Errors
    /// The errors of a project that cannot be run.
    pub(super) fn load(project: &Project, echo: Option<SocketAddr>) -> (Result<Self, Box<Diagnostics>>, Inputs) {
        let (compiled, fixtures) = (project.compile(), project.fixtures());
        let of_compiled = compiled.as_ref().map_or_else(Diagnostics::inputs, |compiled| compiled.warnings().inputs());
        let of_fixtures = fixtures.as_ref().map_or_else(Diagnostics::inputs, |fixtures| fixtures.warnings.inputs());
        let inputs = of_compiled.clone().and(of_fixtures.clone());
        let snapshot = match (compiled, fixtures) {
            (Ok(compiled), Ok(fixtures)) => Ok(Self::of(&compiled, fixtures, echo)),
            (Err(found), _) | (Ok(_), Err(found)) => Err(Box::new(found)),
        };
        (snapshot, inputs)
    }

    fn of(compiled: &Compiled, fixtures: Fixtures, echo: Option<SocketAddr>) -> Self {
        let mut snapshot = Self {
            gateway: compiled.gateway().to_owned(),
            settings: compiled.settings().clone(),
            sites: compiled.sites().clone(),
            whole: compiled.whole().clone(),
            bundle: compiled.bundle().clone(),
            credentials: fixtures.records(compiled.gateway()),
            sample: sample(&fixtures),
            warnings: [compiled.warnings().clone(), fixtures.check(compiled, now()), fixtures.warnings],
        };
        if let Some(address) = echo {
            snapshot.redirect(address);
        }
        snapshot
    }

    /// Whether an upstream has the echo upstream's address.
    pub(super) fn calls_echo(&self) -> bool {
        self.whole.upstreams.iter().any(is_echo)
    }

    pub(super) fn report_warnings(&self) {
        self.warnings.iter().for_each(report_diagnostics);
    }

    /// The secrets that the project names and that cannot be used, each with what is wrong and the places that use it.
    pub(super) fn faulty_secrets(
        &self,
        is_native: bool,
        value_of: impl Fn(&str) -> Option<Secret>,
    ) -> Vec<(String, String, Vec<String>)> {
        secrets::faulty(&self.whole, &self.settings, is_native, value_of)
    }

    /// Redirects the upstreams at the echo's default address to another.
    fn redirect(&mut self, address: SocketAddr) {
        for site in self.sites.values_mut() {
            move_echo(&mut site.upstreams, address);
        }
        self.bundle = Bundle::new(&self.settings, &self.sites);
        move_echo(&mut self.whole.upstreams, address);
    }
}

fn is_echo(upstream: &UpstreamSettings) -> bool {
    !upstream.url.is_https() && upstream.url.authority() == echo::AUTHORITY
}

fn move_echo(upstreams: &mut [UpstreamSettings], address: SocketAddr) {
    for upstream in upstreams.iter_mut().filter(|upstream| is_echo(upstream)) {
        let moved = upstream.url.to_string().replacen(echo::AUTHORITY, &address.to_string(), 1);
        if let Ok(url) = moved.parse() {
            upstream.url = url;
        }
    }
}

fn sample(fixtures: &Fixtures) -> Option<(SampleKey, Credential)> {
    let sample = fixtures.sample.clone()?;
    let digest = sample.key.digest();
    let (_, credential) = fixtures.credentials.iter().find(|(of, _)| *of == digest)?;
    Some((sample, credential.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_echo_upstream_can_be_somewhere_else() {
        let plain = Snapshot::load(&Project::built_in(), None).0.unwrap();
        assert!(plain.calls_echo());
        let moved = Snapshot::load(&Project::built_in(), Some(SocketAddr::from(([127, 0, 0, 1], 9)))).0.unwrap();
        assert_eq!(moved.whole.upstreams[0].url.to_string(), "http://127.0.0.1:9");
        assert_ne!(moved.bundle.id, plain.bundle.id);
        let part = String::from_utf8_lossy(&moved.bundle.records[0].1);
        assert!(part.contains("http://127.0.0.1:9") && !part.contains("8082"), "{part}");
    }
}
