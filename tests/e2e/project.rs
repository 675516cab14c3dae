//! The configuration of scenarios: `tollgate.yaml` texts, keys, and the records a host reads.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Write;

use tollgate_config::fixtures;
use tollgate_core::authn::ApiKey;
use tollgate_kv_schemas::{Bundle, Id, Manifest, Pointer, Publication, PublishError, decode, encode, keys};
use tollgate_tests::hosts::Host;

use crate::lane::GATEWAY;
use crate::world::World;

/// Records as keys and values.
pub(crate) type Records = Vec<(String, Vec<u8>)>;

/// A project with one API, in parts that a scenario can replace or extend; lines are YAML in flow style.
pub(crate) struct Project {
    pub(crate) hosts: String,
    /// Further members of `gateway`.
    pub(crate) gateway: Vec<String>,
    pub(crate) telemetry: Option<String>,
    /// `name: definition`
    pub(crate) upstreams: Vec<String>,
    pub(crate) policies: Vec<String>,
    pub(crate) plans: Vec<String>,
    /// Further members of the API.
    pub(crate) api: Vec<String>,
    pub(crate) routes: Vec<String>,
    name: String,
}

impl Project {
    /// The scenario's domain and its subdomains, its upstream, and a policy `keys` that reads keys from `X-API-Key`.
    pub(crate) fn new(world: &World) -> Self {
        Self {
            hosts: format!("[{0}, \"*.{0}\"]", world.domain),
            gateway: Vec::new(),
            telemetry: None,
            upstreams: vec![format!("up: \"{}\"", world.upstream.url())],
            policies: vec!["keys: {kind: api-key, header: X-API-Key}".to_owned()],
            plans: Vec::new(),
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

    /// Replaces the default upstream.
    pub(crate) fn upstream(mut self, definition: &str) -> Self {
        self.upstreams = vec![format!("up: {definition}")];
        self
    }

    pub(crate) fn policy(mut self, policy: &str) -> Self {
        self.policies.push(policy.to_owned());
        self
    }

    pub(crate) fn plan(mut self, plan: &str) -> Self {
        self.plans.push(plan.to_owned());
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
        if !self.plans.is_empty() {
            text.push_str("plans:\n");
            lines(&mut text, "  ", &self.plans);
        }
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
pub(crate) fn compile(yaml: &str) -> Result<Bundle, Box<dyn Error>> {
    let compiled = tollgate_analysis::compile_str("tollgate.yaml", yaml).map_err(|found| format!("{yaml}\n{found}"))?;
    Ok(compiled.bundle().clone())
}

/// Publishes a bundle as `tollgate publish` does.
pub(crate) async fn publish(host: &Host, bundle: &Bundle) -> Result<(), Box<dyn Error>> {
    let key = bundle.pointer_key();
    let publication = after(bundle, host.get(&key).await?.as_deref())?;
    host.put(publication.content()).await?;
    let pointer = publication.pointer(host.get(&key).await?.as_deref())?;
    host.put(&[(key.clone(), pointer)]).await?;
    Ok(publication.finish(host.get(&key).await?.as_deref())?)
}

/// The records that publish a bundle after what the host has, in the order to write them; for damage in between.
pub(crate) async fn records_of(host: &Host, bundle: &Bundle) -> Result<Records, Box<dyn Error>> {
    let key = bundle.pointer_key();
    let stored = host.get(&key).await?;
    let publication = after(bundle, stored.as_deref())?;
    let pointer = publication.pointer(stored.as_deref())?;
    Ok(publication.content().iter().cloned().chain([(key, pointer)]).collect())
}

/// If a scenario damaged the pointer, the new generation is larger than any that a scenario reaches.
fn after<'b>(bundle: &'b Bundle, stored: Option<&[u8]>) -> Result<Publication<'b>, PublishError> {
    Publication::begin(bundle, stored).or_else(|_| Publication::replacing(bundle, 10_000))
}

/// The records of a bundle with changed content, renamed to the digests of the new content, with updated references.
///
/// Otherwise the change would not be examined, because the digest would not match.
pub(crate) fn rewritten(records: &Records, change: impl Fn(&str, &[u8]) -> Vec<u8>) -> Result<Records, Box<dyn Error>> {
    let (mut renamed, mut bundle, mut all) = (BTreeMap::new(), None, Records::new());
    for (key, value) in records {
        let id = key.rsplit(':').next().and_then(|name| Id::try_from(name).ok());
        let (key, value) = match id {
            Some(old) if key.contains(":part:") => {
                let value = change(key, value);
                let new = Id::of(&value);
                renamed.insert(old, new);
                (keys::part(GATEWAY, &new), value)
            }
            Some(_) => {
                let manifest = Manifest::decode_unnamed(value.clone())?;
                let parts = manifest.parts()?.into_iter().map(|(host, id)| Ok((host.parse()?, renamed[&id])));
                let parts = parts.collect::<Result<_, Box<dyn Error>>>()?;
                let (id, value) = Manifest::encode(&manifest.gateway, &parts);
                bundle = Some(id);
                (keys::manifest(GATEWAY, &id), change(key, &value))
            }
            None => {
                let mut pointer: Pointer = decode(value)?;
                pointer.newest.bundle = bundle.ok_or("the pointer is before the manifest")?;
                (key.clone(), change(key, &encode(&pointer)))
            }
        };
        all.push((key, value));
    }
    Ok(all)
}

/// A record of a bundle with another version number.
pub(crate) fn of_version(record: &[u8], version: u8) -> Vec<u8> {
    match record {
        [b'T', b'G', kind, _, data @ ..] => [b"TG", &[*kind, version], data].concat(),
        json => String::from_utf8_lossy(json).replacen("\"v\":1", &format!("\"v\":{version}"), 1).into_bytes(),
    }
}

/// A consumer's key, and the contents of its record.
pub(crate) struct Key {
    /// The key itself.
    pub(crate) text: String,
    pub(crate) consumer: String,
    pub(crate) plan: Option<&'static str>,
    pub(crate) scopes: Vec<&'static str>,
    pub(crate) not_before: Option<&'static str>,
    pub(crate) expires: Option<&'static str>,
    pub(crate) revoked: bool,
    /// Further properties, as YAML in flow style: `name: value`.
    pub(crate) more: Vec<&'static str>,
}

impl Key {
    /// A valid key; equal names and numbers give equal keys.
    pub(crate) fn new(scenario: &str, number: u8, consumer: &str) -> Self {
        let mut seed = [number; 32];
        for (byte, letter) in seed.iter_mut().skip(1).zip(scenario.bytes()) {
            *byte = letter;
        }
        let key = ApiKey::generate("dev", &seed);
        Self {
            text: key.map_or_else(String::new, |key| key.expose().to_owned()),
            consumer: consumer.to_owned(),
            plan: None,
            scopes: Vec::new(),
            not_before: None,
            expires: None,
            revoked: false,
            more: Vec::new(),
        }
    }

    /// Its record, created from a fixtures file.
    pub(crate) fn records(&self) -> Result<Records, Box<dyn Error>> {
        let mut yaml = format!(
            "format: 1\nconsumers:\n  - id: {}\n{}    keys:\n      - key: {}\n        scopes: [{}]\n        revoked: {}\n",
            self.consumer,
            self.plan.map_or_else(String::new, |plan| format!("    plan: {plan}\n")),
            self.text,
            self.scopes.join(", "),
            self.revoked
        );
        for line in &self.more {
            yaml.push_str(&format!("        {line}\n"));
        }
        for (name, time) in [("not-before", self.not_before), ("expires", self.expires)] {
            if let Some(time) = time {
                yaml.push_str(&format!("        {name}: \"{time}\"\n"));
            }
        }
        let read = fixtures::load_str("fixtures.yaml", &yaml);
        let read = read.map_err(|found| format!("{yaml}\n{found}"))?;
        Ok(read.records(GATEWAY))
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
        assert!(!String::from_utf8_lossy(&records[0].1).contains(&key.text));
        assert_ne!(key.text, Key::new("s1", 2, "acme").text);
        assert_ne!(key.text, Key::new("s2", 1, "acme").text);
    }

    #[test]
    fn rewritten_records_are_named_by_their_new_content() {
        let records = compile(PROJECT).expect("a project").records;
        let same = rewritten(&records, |_, value| value.to_vec()).expect("a bundle");
        assert_eq!(same, records);
        let newer = rewritten(
            &records,
            |key, value| {
                if key.contains(":part:") { of_version(value, 99) } else { value.to_vec() }
            },
        );
        let newer = newer.expect("a bundle");
        let [(part_key, part), (manifest_key, manifest), (_, active)] = &newer[..] else { panic!("three records") };
        assert_eq!(part[3], 99);
        assert!(part_key.ends_with(&Id::of(part).to_string()), "{part_key}");
        let id = Id::try_from(&manifest_key[manifest_key.len() - 64..]).expect("an id");
        let manifest = Manifest::decode(manifest.clone(), &id).expect("a manifest");
        assert_eq!(manifest.part("a.test"), Ok(Some(Id::of(part))));
        assert!(String::from_utf8_lossy(active).contains(&id.to_string()));
        assert!(String::from_utf8_lossy(&of_version(active, 99)).contains("\"v\":99"));
    }
}
