//! The first version of a project that is created from a specification.

use std::collections::{BTreeSet, HashMap};

use tollgate_config::openapi::{Operation, Spec};
use tollgate_config::{FileKind, SCOPES_MAX, fmt, usable_url};
use tollgate_core::authn::ApiKey;
use tollgate_core::route::HostPattern;

use super::access::{Access, Required};
use super::decide::{Decisions, Routes, is_replaced};
use super::first_test;
use super::place::Source;
use super::server::Server;
use crate::failure::Failure;
use crate::terminal::printable;

/// The choices of the person, or their defaults.
#[derive(Debug)]
pub(super) struct Choices {
    pub(super) name: String,
    pub(super) hosts: Vec<String>,
    pub(super) server: Server,
}

impl Choices {
    pub(super) fn new(
        spec: &Spec,
        source: &Source,
        name: Option<&str>,
        upstream: Option<&str>,
        hosts: &[String],
    ) -> Result<Self, Failure> {
        if let Some(name) = name.filter(|name| slug(name).as_deref() != Some(*name)) {
            let name = printable(name);
            return Err(Failure::usage(format!(
                "--name {name}: a name has lower-case letters, digits and hyphens, at most 40, and begins with a letter"
            )));
        }
        if let Some((url, why)) = upstream.and_then(|url| Some((printable(url), usable_url(url).err()?))) {
            return Err(Failure::usage(format!(
                "--upstream {url}: {why}: write `https://` and a host, optionally with a port and a path"
            )));
        }
        if let Some(host) = hosts.iter().find(|host| host.parse::<HostPattern>().is_err()) {
            let host = printable(host);
            return Err(Failure::usage(format!("--host {host}: write `api.example.com`, `*.example.com` or `*`")));
        }
        let stem = source.name.rsplit('/').next().and_then(|file| file.split('.').next()).unwrap_or_default();
        let named = name.map(str::to_owned).or_else(|| slug(spec.title()?)).or_else(|| slug(stem));
        Ok(Self {
            name: named.unwrap_or_else(|| "api".to_owned()),
            hosts: hosts.to_vec(),
            server: Server::choose(spec, upstream),
        })
    }
}

/// A project that is created from a specification.
#[derive(Clone, Copy, Debug)]
pub(super) struct Draft<'d> {
    pub(super) spec: &'d Spec,
    pub(super) choices: &'d Choices,
    pub(super) access: &'d Access,
    pub(super) decisions: &'d Decisions,
}

impl Draft<'_> {
    /// The files of the project, without those of the specification; with a test and a key if its routes are known.
    ///
    /// The project file is the last, so that there is no project before all of it is there. `spec_name` is the name of the
    /// document below [`SPEC_FOLDER`].
    pub(super) fn files(
        &self,
        spec_name: &str,
        routes: Option<&Routes<'_>>,
    ) -> Result<Vec<(String, Vec<u8>)>, Failure> {
        let mut texts = Vec::new();
        if let Some(routes) = routes {
            let test = first_test::of(self.spec, routes, self.access);
            texts.extend(test.map(|text| ("tests/first.test.yaml", text)));
            if self.is_guarded() {
                texts.push(("dev/fixtures.yaml", fixtures(routes)?));
            }
        }
        texts.push(("tollgate.yaml", self.project(spec_name)));
        let schema =
            |kind: &FileKind| (format!("{SCHEMA_FOLDER}/{}", kind.schema_file()), kind.schema_text().into_bytes());
        let mut files: Vec<(String, Vec<u8>)> = FileKind::ALL.iter().map(schema).collect();
        for (name, text) in texts {
            // Errors that prevent formatting are reported when the project is compiled.
            let text = fmt::format_text(name, &text).unwrap_or(text);
            files.push((name.to_owned(), text.into_bytes()));
        }
        Ok(files)
    }

    /// Whether an operation requires a credential.
    fn is_guarded(&self) -> bool {
        !self.access.default.is_empty()
    }

    fn project(&self, spec_name: &str) -> String {
        let Choices { name, hosts, server } = self.choices;
        let name = quoted(name);
        let mut out = format!(
            "# Created by `tollgate import openapi`. Every key is explained in docs/configuration.md.\n$schema: {SCHEMA_FOLDER}/{}\nformat: 1\n\n",
            FileKind::Project.schema_file()
        );
        out.push_str(&format!("gateway:\n  name: {name}\n"));
        if !hosts.is_empty() {
            let hosts: Vec<String> = hosts.iter().map(|host| format!("\"{host}\"")).collect();
            out.push_str(&format!("  hosts: [{}]\n", hosts.join(", ")));
        }
        out.push_str("\nupstreams:\n");
        if let Some(why) = &server.placeholder {
            out.push_str(&format!("  # PLACEHOLDER: {why}. This is the echo server of `tollgate dev`.\n"));
        }
        server.notes.iter().for_each(|note| out.push_str(&format!("  # {note}.\n")));
        out.push_str(&format!("  {name}: {}\n\npolicies:\n", serde_json::Value::from(server.url.as_str())));
        for policy in &self.access.policies {
            if let Some(remark) = policy.remark {
                out.push_str(&format!("  # {remark}\n"));
            }
            out.push_str(&format!("  {}: {}\n", quoted(&policy.name), policy.definition));
        }
        out.push_str("  # A suggestion: adjust it to the capacity of the server.\n");
        out.push_str(&format!("  {LIMIT}: {{kind: rate-limit, rate: 100/s, burst: 200}}\n\napis:\n  {name}:\n"));
        let spec = quoted(&format!("./{SPEC_FOLDER}/{spec_name}"));
        out.push_str(&format!("    spec: {spec}\n    upstream: {name}\n"));
        self.access.notes.iter().for_each(|note| out.push_str(&format!("    # {note}.\n")));
        if self.is_guarded() {
            out.push_str(&format!("    authn: {{{}}}\n", self.access.any(&self.access.default)));
        } else {
            out.push_str(
                "    # The specification requires no credential, so these routes are public.\n    authn: none\n",
            );
        }
        out.push_str(&format!("    limit: {LIMIT}\n"));
        out.push_str(&self.operations());
        out
    }

    /// The operations that differ from the API's policy: public ones, those with other credentials or with scopes, and
    /// those that are not routed.
    fn operations(&self) -> String {
        let mut out = String::new();
        let mut ids: HashMap<&str, usize> = HashMap::new();
        for id in self.spec.operations().iter().filter_map(Operation::operation_id) {
            *ids.entry(id).or_default() += 1;
        }
        for (place, (operation, required)) in self.spec.operations().iter().zip(&self.access.routes).enumerate() {
            let (remarks, said) = match self.decisions.hidden.get(&place) {
                Some(why) => (vec![(*why).to_owned()], "hidden: true".to_owned()),
                None => (remarks(operation), self.settings(operation, required)),
            };
            // A comment without an entry would belong to the next one, or to none.
            if !said.is_empty() {
                remarks.iter().for_each(|remark| out.push_str(&format!("      # {remark}\n")));
                out.push_str(&format!("      - {{select: {}, {said}}}\n", select(operation, &ids)));
            }
        }
        if out.is_empty() { out } else { format!("    operations:\n{out}") }
    }

    /// The settings of an operation that differ from those of the API.
    fn settings(&self, operation: &Operation, required: &Required) -> String {
        let mut said = Vec::new();
        if required.authn.is_empty() {
            // An `authn` of the document stays, because it is stricter.
            if self.is_guarded() && !operation.sets("authn") {
                said.push("authn: none".to_owned());
            }
        } else if required.is_optional || required.authn != self.access.default || is_replaced(operation) {
            said.push(format!("authn: {{replace: true, {}}}", self.access.members(required)));
        }
        said.extend(required.scopes.written().map(|scopes| format!("scopes: {scopes}")));
        said.join(", ")
    }
}

/// What a person should know about the entry of an operation.
fn remarks(operation: &Operation) -> Vec<String> {
    let answers = operation.answers().map(|other| format!("It answers the requests of {}, too.", printable(other)));
    let replaced = is_replaced(operation)
        .then(|| "In place of `x-tollgate`; remove this if the upstream checks the credential.".to_owned());
    answers.into_iter().chain(replaced).collect()
}

/// A consumer with a key that all routes accept.
fn fixtures(routes: &Routes<'_>) -> Result<String, Failure> {
    let mut random = [0u8; 32];
    getrandom::fill(&mut random)
        .map_err(|error| Failure::problem(format!("the random source of the system is not available: {error}")))?;
    let key = ApiKey::generate("dev", &random).ok_or_else(|| Failure::problem("no key could be created"))?;
    let all: BTreeSet<&String> = routes.values().flat_map(|route| &route.settings.scopes).collect();
    let more = match all.len().saturating_sub(SCOPES_MAX) {
        0 => String::new(),
        more => format!("      # Without {more} scopes of the specification: a key has at most {SCOPES_MAX}.\n"),
    };
    let scopes = items(all.into_iter().take(SCOPES_MAX));
    let (schema, key) = (FileKind::Fixtures.schema_file(), key.expose());
    Ok(format!(
        "# A consumer and its key for `tollgate dev`; never part of a bundle.\n$schema: ../{SCHEMA_FOLDER}/{schema}\nformat: 1\nconsumers:\n  - id: acme\n    keys:\n{more}      - {{key: {key}, scopes: [{scopes}]}}\n"
    ))
}

/// Selects one operation: by its id, unless another one has the same.
fn select(operation: &Operation, ids: &HashMap<&str, usize>) -> String {
    match operation.operation_id() {
        Some(id) if operation.id().is_some() && ids.get(id) == Some(&1) => format!("{{operation: {}}}", quoted(id)),
        _ => format!("{{method: [{}], path: {}}}", operation.method(), quoted(operation.path())),
    }
}

/// The items of a list.
pub(super) fn items<'t>(all: impl IntoIterator<Item = &'t String>) -> String {
    all.into_iter().map(|text| quoted(text)).collect::<Vec<_>>().join(", ")
}

/// A text as JSON, which is valid YAML; a word that needs no quotes is written without them.
pub(super) fn quoted(text: &str) -> String {
    let plain =
        is_token(text) && text.len() > 3 && !["true", "false", "null"].contains(&text.to_ascii_lowercase().as_str());
    if plain { text.to_owned() } else { serde_json::Value::from(text).to_string() }
}

/// Whether a text needs no quotes in YAML, if it is not a word with another meaning.
fn is_token(name: &str) -> bool {
    !name.is_empty()
        && name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

/// The text as a name of lower-case letters, digits and hyphens; `None` if too little of it remains.
pub(super) fn slug(text: &str) -> Option<String> {
    let mut out = String::new();
    for c in text.chars() {
        if c.is_ascii_alphanumeric() {
            out.push(c.to_ascii_lowercase());
        } else if !out.ends_with('-') {
            out.push('-');
        }
    }
    let from = out.find(|c: char| c.is_ascii_lowercase())?;
    let name = out[from..].trim_end_matches('-');
    if name.len() <= NAME_BYTES_MAX {
        return Some(name.to_owned());
    }
    // Cut at a word boundary if there is more than one word.
    let cut = &name[..NAME_BYTES_MAX];
    let words = if name.as_bytes()[NAME_BYTES_MAX] == b'-' {
        cut
    } else {
        cut.rsplit_once('-').map_or(cut, |(words, _)| words)
    };
    Some(words.to_owned())
}

/// The folder to which the specification is copied.
pub(super) const SPEC_FOLDER: &str = "spec";

/// The folder of the JSON Schemas for editors.
pub(super) const SCHEMA_FOLDER: &str = ".tollgate/schemas";

/// The name of the suggested limit.
pub(super) const LIMIT: &str = "burst";

/// The maximum length of a policy's name.
pub(super) const NAME_BYTES_MAX: usize = 40;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_made_of_titles() {
        for (title, name) in [
            ("Swagger Petstore - OpenAPI 3.0", Some("swagger-petstore-openapi-3-0")),
            ("GitHub v3 REST API", Some("github-v3-rest-api")),
            ("3D prints", Some("d-prints")),
            ("宠物", None),
            ("", None),
            ("a very long title that goes on and on for ever", Some("a-very-long-title-that-goes-on-and-on")),
        ] {
            assert_eq!(slug(title).as_deref(), name, "{title}");
        }
    }

    #[test]
    fn texts_are_quoted_unless_they_are_plain_words() {
        for (text, written) in [
            ("listPets", "listPets"),
            ("repos/get", "\"repos/get\""),
            ("true", "\"true\""),
            ("yes", "\"yes\""),
            ("7up", "\"7up\""),
            ("a\"b", "\"a\\\"b\""),
        ] {
            assert_eq!(quoted(text), written);
        }
    }
}
