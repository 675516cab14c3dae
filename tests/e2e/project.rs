//! The configuration of scenarios: `tollgate.yaml` texts, keys, and the records a host reads.

use std::error::Error;
use std::fmt::Write;

use tollgate_config::fixtures;
use tollgate_core::authn::ApiKey;
use tollgate_kv_schemas::Id;

use crate::lane::GATEWAY;
use crate::world::World;

/// Records as keys and values.
pub(crate) type Records = Vec<(String, String)>;

/// A project of one API, in parts that a scenario may replace or add to; lines are YAML in flow style.
pub(crate) struct Project {
    pub(crate) hosts: String,
    /// Further members of `gateway`.
    pub(crate) gateway: Vec<String>,
    pub(crate) telemetry: Option<String>,
    /// `name: definition`
    pub(crate) upstreams: Vec<String>,
    pub(crate) policies: Vec<String>,
    /// Further members of the API.
    pub(crate) api: Vec<String>,
    pub(crate) routes: Vec<String>,
    name: String,
}

impl Project {
    /// The scenario's domain and its subdomains, its upstream, and a policy `keys` that takes keys in `X-API-Key`.
    pub(crate) fn new(world: &World) -> Self {
        Self {
            hosts: format!("[{0}, \"*.{0}\"]", world.domain),
            gateway: Vec::new(),
            telemetry: None,
            upstreams: vec![format!("up: \"{}\"", world.upstream.url())],
            policies: vec!["keys: {kind: api-key, header: X-API-Key}".to_owned()],
            api: Vec::new(),
            routes: Vec::new(),
            name: world.name.clone(),
        }
    }

    pub(crate) fn gateway(mut self, member: &str) -> Self {
        self.gateway.push(member.to_owned());
        self
    }

    pub(crate) fn telemetry(mut self, members: &str) -> Self {
        self.telemetry = Some(members.to_owned());
        self
    }

    /// Puts another upstream in the place of the usual one.
    pub(crate) fn upstream(mut self, definition: &str) -> Self {
        self.upstreams = vec![format!("up: {definition}")];
        self
    }

    pub(crate) fn policy(mut self, policy: &str) -> Self {
        self.policies.push(policy.to_owned());
        self
    }

    pub(crate) fn api(mut self, member: &str) -> Self {
        self.api.push(member.to_owned());
        self
    }

    pub(crate) fn route(mut self, route: &str) -> Self {
        self.routes.push(route.to_owned());
        self
    }

    pub(crate) fn yaml(&self) -> String {
        let mut text = format!("format: 1\ngateway:\n  name: {GATEWAY}\n  hosts: {}\n", self.hosts);
        lines(&mut text, "  ", &self.gateway);
        if let Some(telemetry) = &self.telemetry {
            lines(&mut text, "", &[format!("telemetry: {telemetry}")]);
        }
        text.push_str("upstreams:\n");
        lines(&mut text, "  ", &self.upstreams);
        text.push_str("policies:\n");
        lines(&mut text, "  ", &self.policies);
        lines(&mut text, "", &["apis:".to_owned(), format!("  {}:", self.name)]);
        lines(&mut text, "    ", &["upstream: up".to_owned()]);
        lines(&mut text, "    ", &self.api);
        text.push_str("    routes:\n");
        lines(&mut text, "      - ", &self.routes);
        text
    }
}

fn lines(text: &mut String, indent: &str, lines: &[String]) {
    for line in lines {
        // Writing to a string does not fail.
        let _ = writeln!(text, "{indent}{line}");
    }
}

/// Compiles a project as `tollgate publish` does.
pub(crate) fn compile(yaml: &str) -> Result<Records, Box<dyn Error>> {
    let compiled = tollgate_config::compile_str("tollgate.yaml", yaml).map_err(|found| format!("{yaml}\n{found}"))?;
    texts(compiled.records())
}

fn texts(records: &[(String, Vec<u8>)]) -> Result<Records, Box<dyn Error>> {
    let text = |(key, value): &(String, Vec<u8>)| Ok((key.clone(), String::from_utf8(value.clone())?));
    records.iter().map(text).collect()
}

/// The records with their content changed, each again under the digest of what it holds, and named so by the others.
///
/// Without that, what a change is about would never be looked at: the digest would not fit.
pub(crate) fn rewritten(records: &Records, change: impl Fn(&str, &str) -> String) -> Records {
    let mut renamed: Vec<(String, String)> = Vec::new();
    let mut all = Vec::new();
    for (key, value) in records {
        let mut value = value.clone();
        for (old, new) in &renamed {
            value = value.replace(old, new);
        }
        let value = change(key, &value);
        let mut key = key.clone();
        let named = key.rsplit(':').next().filter(|name| name.len() == 64);
        if let Some(old) = named.map(str::to_owned) {
            let new = Id::of(value.as_bytes()).to_string();
            key = key.replace(&old, &new);
            renamed.push((old, new));
        }
        all.push((key, value));
    }
    all
}

/// A record's text with another version number.
pub(crate) fn of_version(text: &str, version: u32) -> String {
    text.replacen("\"v\":1", &format!("\"v\":{version}"), 1)
}

/// A consumer's key, and what its record says.
pub(crate) struct Key {
    /// The key itself.
    pub(crate) text: String,
    pub(crate) consumer: String,
    pub(crate) scopes: Vec<&'static str>,
    pub(crate) not_before: Option<&'static str>,
    pub(crate) expires: Option<&'static str>,
    pub(crate) revoked: bool,
}

impl Key {
    /// A key that holds; equal names and numbers give equal keys.
    pub(crate) fn new(scenario: &str, number: u8, consumer: &str) -> Self {
        let mut seed = [number; 32];
        for (byte, letter) in seed.iter_mut().skip(1).zip(scenario.bytes()) {
            *byte = letter;
        }
        let key = ApiKey::generate("dev", &seed);
        Self {
            text: key.map_or_else(String::new, |key| key.expose().to_owned()),
            consumer: consumer.to_owned(),
            scopes: Vec::new(),
            not_before: None,
            expires: None,
            revoked: false,
        }
    }

    /// Its record, by way of a fixtures file.
    pub(crate) fn records(&self) -> Result<Records, Box<dyn Error>> {
        let mut yaml = format!(
            "format: 1\nconsumers:\n  - id: {}\n    keys:\n      - key: {}\n        scopes: [{}]\n        revoked: {}\n",
            self.consumer,
            self.text,
            self.scopes.join(", "),
            self.revoked
        );
        for (name, time) in [("not-before", self.not_before), ("expires", self.expires)] {
            if let Some(time) = time {
                yaml.push_str(&format!("        {name}: \"{time}\"\n"));
            }
        }
        let read = fixtures::load_str("fixtures.yaml", &yaml);
        let read = read.map_err(|found| format!("{yaml}\n{found}"))?;
        texts(&read.records(GATEWAY))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROJECT: &str = "format: 1\ngateway: {name: e2e, hosts: [a.test]}\nupstreams: {up: \"http://127.0.0.1:1\"}\n\
                           apis: {a: {upstream: up, routes: [{path: /a}]}}\n";

    #[test]
    fn a_key_of_a_scenario_is_one_the_gateway_knows() {
        let mut key = Key::new("s1", 1, "acme");
        key.expires = Some("2099-01-01T00:00:00Z");
        key.scopes = vec!["read", "write"];
        let records = key.records().expect("a fixtures file");
        assert!(records[0].0.starts_with("e2e:credential:"));
        assert!(!records[0].1.contains(&key.text));
        assert_ne!(key.text, Key::new("s1", 2, "acme").text);
        assert_ne!(key.text, Key::new("s2", 1, "acme").text);
    }

    #[test]
    fn rewritten_records_are_named_by_their_new_content() {
        let records = compile(PROJECT).expect("a project");
        assert_eq!(rewritten(&records, |_, value| value.to_owned()), records);
        let newer = rewritten(
            &records,
            |key, value| {
                if key.contains(":part:") { of_version(value, 99) } else { value.to_owned() }
            },
        );
        assert_eq!(newer.len(), records.len());
        let part = newer.iter().find(|(key, _)| key.contains(":part:")).expect("a part");
        assert!(part.1.contains("\"v\":99"));
        for (key, value) in &newer {
            if key.len() > 64 {
                assert!(key.ends_with(Id::of(value.as_bytes()).as_str()), "{key}");
            }
        }
        let (active, manifest) = (&newer[newer.len() - 1], &newer[newer.len() - 2]);
        assert!(active.1.contains(manifest.0.rsplit(':').next().expect("an id")));
    }
}
