//! The first version of a project that is created from a specification.

use tollgate_config::openapi::{Operation, Scheme, SchemeKind, Spec};
use tollgate_config::{FileKind, fmt};
use tollgate_core::authn::ApiKey;
use tollgate_core::forward::UpstreamUrl;
use tollgate_core::route::HostPattern;

use super::place::Source;
use crate::failure::Failure;
use crate::terminal::printable;

/// The choices of the person, or their defaults.
#[derive(Debug)]
pub(super) struct Choices {
    pub(super) name: String,
    pub(super) hosts: Vec<String>,
    pub(super) upstream: String,
    /// Whether the upstream is only a placeholder.
    pub(super) is_placeholder: bool,
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
        if let Some(url) = upstream.filter(|url| url.parse::<UpstreamUrl>().is_err()) {
            let url = printable(url);
            return Err(Failure::usage(format!(
                "--upstream {url}: write `https://` and a host, optionally with a port and a path"
            )));
        }
        if let Some(host) = hosts.iter().find(|host| host.parse::<HostPattern>().is_err()) {
            let host = printable(host);
            return Err(Failure::usage(format!("--host {host}: write `api.example.com`, `*.example.com` or `*`")));
        }
        let stem = source.name.rsplit('/').next().and_then(|file| file.split('.').next()).unwrap_or_default();
        let named = name.map(str::to_owned).or_else(|| slug(spec.title()?)).or_else(|| slug(stem));
        let server = spec.servers().iter().find(|url| url.parse::<UpstreamUrl>().is_ok());
        let chosen = upstream.or(server.map(String::as_str));
        Ok(Self {
            name: named.unwrap_or_else(|| "api".to_owned()),
            hosts: hosts.to_vec(),
            upstream: chosen.unwrap_or(PLACEHOLDER).to_owned(),
            is_placeholder: chosen.is_none(),
        })
    }
}

/// The files of the project, without those of the specification.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) files: Vec<(String, Vec<u8>)>,
}

impl Draft {
    /// Drafts a project; `spec_name` is what the document is called below [`SPEC_FOLDER`].
    pub(super) fn new(spec: &Spec, choices: &Choices, spec_name: &str) -> Result<Self, Failure> {
        let policies = policies(spec);
        let guarded = !policies.is_empty() && spec.operations().iter().any(Operation::requires_credential);
        let policies = if guarded { policies } else { Vec::new() };
        let mut files = vec![
            ("tollgate.yaml".to_owned(), project(spec, choices, &policies, spec_name)),
            ("tests/first.test.yaml".to_owned(), test(spec, choices, guarded)),
        ];
        if guarded {
            files.push(("dev/fixtures.yaml".to_owned(), fixtures(spec)?));
        }
        for (name, text) in &mut files {
            // Errors that prevent formatting are reported when the project is compiled.
            if let Ok(formatted) = fmt::format_text(name, text) {
                *text = formatted;
            }
        }
        for kind in FileKind::ALL {
            files.push((format!("{SCHEMA_FOLDER}/{}", kind.schema_file()), kind.schema_text()));
        }
        let files = files.into_iter().map(|(name, text)| (name, text.into_bytes())).collect();
        Ok(Self { files })
    }
}

/// A policy that reads a credential where a security scheme places it.
struct Policy {
    name: String,
    definition: String,
    remark: Option<&'static str>,
}

fn policies(spec: &Spec) -> Vec<Policy> {
    let mut policies: Vec<Policy> = Vec::new();
    for (definition, remark, scheme) in spec.schemes().iter().filter_map(policy) {
        let name = slug(&scheme.name).unwrap_or_else(|| "keys".to_owned());
        let is_new = policies.iter().all(|known| known.definition != definition && known.name != name);
        if is_new && policies.len() < POLICIES_MAX {
            policies.push(Policy { name, definition, remark });
        }
    }
    policies
}

fn policy(scheme: &Scheme) -> Option<(String, Option<&'static str>, &Scheme)> {
    let bearer = || "{kind: api-key, header: Authorization, scheme: Bearer}".to_owned();
    let (definition, remark) = match &scheme.kind {
        SchemeKind::HeaderKey(name) if is_token(name) => (format!("{{kind: api-key, header: {name}}}"), None),
        SchemeKind::QueryKey(name) if is_token(name) => (format!("{{kind: api-key, query: {name}}}"), None),
        SchemeKind::Bearer => (bearer(), None),
        SchemeKind::OAuth2 | SchemeKind::OpenIdConnect => (bearer(), Some(TOKENS)),
        SchemeKind::HeaderKey(_)
        | SchemeKind::QueryKey(_)
        | SchemeKind::CookieKey(_)
        | SchemeKind::Basic
        | SchemeKind::OtherHttp(_)
        | SchemeKind::MutualTls
        | SchemeKind::Unknown => return None,
    };
    Some((definition, remark, scheme))
}

/// Whether a name needs no quotes, and is valid for a field or a query parameter.
fn is_token(name: &str) -> bool {
    !name.is_empty()
        && name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

fn project(spec: &Spec, choices: &Choices, policies: &[Policy], spec_name: &str) -> String {
    let Choices { name, hosts, upstream, is_placeholder } = choices;
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
    if *is_placeholder {
        out.push_str(
            "  # PLACEHOLDER: the specification names no server to call. This is the echo server of `tollgate dev`.\n",
        );
    }
    out.push_str(&format!("  {name}: \"{upstream}\"\n\npolicies:\n"));
    for policy in policies {
        if let Some(remark) = policy.remark {
            out.push_str(&format!("  # {remark}\n"));
        }
        out.push_str(&format!("  {}: {}\n", policy.name, policy.definition));
    }
    out.push_str("  # A suggestion: adjust it to the capacity of the server.\n");
    out.push_str(&format!("  burst: {{kind: rate-limit, rate: 100/s, burst: 200}}\n\napis:\n  {name}:\n"));
    out.push_str(&format!("    spec: {}\n    upstream: {name}\n", quoted(&format!("./{SPEC_FOLDER}/{spec_name}"))));
    if policies.is_empty() {
        out.push_str("    # The specification requires no credential that the gateway supports, so these routes are public.\n    authn: none\n");
    } else {
        let names: Vec<&str> = policies.iter().map(|policy| policy.name.as_str()).collect();
        out.push_str(&format!("    authn: {{any: [{}]}}\n", names.join(", ")));
    }
    out.push_str("    limit: burst\n");
    out.push_str(&operations(spec, !policies.is_empty()));
    out
}

/// The operations that differ from the API's policy: public ones, and those that need scopes.
fn operations(spec: &Spec, guarded: bool) -> String {
    let mut out = String::new();
    let (mut written, mut left) = (0, 0);
    for operation in spec.operations().iter().filter(|_| guarded) {
        let scopes = operation.required_scopes();
        let said = if !operation.requires_credential() {
            "authn: none".to_owned()
        } else if !scopes.is_empty() {
            let scopes: Vec<String> = scopes.iter().map(|scope| quoted(scope)).collect();
            format!("scopes: [{}]", scopes.join(", "))
        } else {
            continue;
        };
        if written == ENTRIES_MAX {
            left += 1;
            continue;
        }
        written += 1;
        out.push_str(&format!("      - {{select: {}, {said}}}\n", select(operation)));
    }
    if left > 0 {
        out.push_str(&format!(
            "      # {left} more operations have their own `security`; `tollgate check` reports weaker protection.\n"
        ));
    }
    if written > 0 { format!("    operations:\n{out}") } else { out }
}

fn select(operation: &Operation) -> String {
    match operation.operation_id() {
        Some(id) if operation.id().is_some() => format!("{{operation: {}}}", quoted(id)),
        _ => format!("{{method: [{}], path: {}}}", operation.method(), quoted(operation.path())),
    }
}

/// A text as JSON, which is valid YAML; a word that needs no quotes is written without them.
fn quoted(text: &str) -> String {
    let plain =
        is_token(text) && text.len() > 3 && !["true", "false", "null"].contains(&text.to_ascii_lowercase().as_str());
    if plain { text.to_owned() } else { serde_json::Value::from(text).to_string() }
}

fn test(spec: &Spec, choices: &Choices, guarded: bool) -> String {
    let schema = FileKind::Test.schema_file();
    let mut out = format!("{TEST_HEAD}\n$schema: ../{SCHEMA_FOLDER}/{schema}\nformat: 1\n");
    let tried = |operation: &&Operation| operation.method() == "GET" && operation.requires_credential() == guarded;
    let operation =
        spec.operations().iter().filter(tried).min_by_key(|operation| operation.path().matches('{').count());
    if guarded {
        let scopes = operation.map(Operation::required_scopes).unwrap_or_default();
        let scopes: Vec<String> = scopes.iter().map(|scope| quoted(scope)).collect();
        out.push_str(&format!("consumers:\n  - {{id: acme, keys: [{{name: k1, scopes: [{}]}}]}}\n", scopes.join(", ")));
    }
    out.push_str("cases:\n");
    if let Some(operation) = operation {
        let route = match operation.id() {
            Some(id) => format!("{}.{id}", choices.name),
            None => format!("{}.GET {}", choices.name, operation.template().label()),
        };
        let (request, route) = (quoted(&format!("GET {}", operation.template().witness())), quoted(&route));
        out.push_str("  - name: an operation of the specification is routed\n    steps:\n");
        if guarded {
            out.push_str(&format!("      - {{request: {request}, expect: {{status: 401}}}}\n"));
            out.push_str(&format!(
                "      - {{request: {request}, key: k1, expect: {{status: 200, operation: {route}}}}}\n"
            ));
        } else {
            out.push_str(&format!("      - {{request: {request}, expect: {{status: 200, operation: {route}}}}}\n"));
        }
    }
    out.push_str("  - name: a path outside the specification is not routed\n    steps:\n");
    out.push_str("      - {request: GET /not/in/the/specification, expect: {status: 404}}\n");
    out
}

fn fixtures(spec: &Spec) -> Result<String, Failure> {
    let mut random = [0u8; 32];
    getrandom::fill(&mut random)
        .map_err(|error| Failure::problem(format!("the random source of the system is not available: {error}")))?;
    let key = ApiKey::generate("dev", &random).ok_or_else(|| Failure::problem("no key could be created"))?;
    let mut scopes: Vec<String> = spec.operations().iter().flat_map(Operation::required_scopes).collect();
    scopes.sort_unstable();
    scopes.dedup();
    let scopes: Vec<String> = scopes.iter().take(SCOPES_MAX).map(|scope| quoted(scope)).collect();
    let schema = FileKind::Fixtures.schema_file();
    Ok(format!(
        "# A consumer and its key for `tollgate dev`; never part of a bundle.\n$schema: ../{SCHEMA_FOLDER}/{schema}\nformat: 1\nconsumers:\n  - id: acme\n    keys:\n      - {{key: {}, scopes: [{}]}}\n",
        key.expose(),
        scopes.join(", ")
    ))
}

/// The text as a name of lower-case letters, digits and hyphens; `None` if too little of it remains.
fn slug(text: &str) -> Option<String> {
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
const SCHEMA_FOLDER: &str = ".tollgate/schemas";

/// The echo server of `tollgate dev`.
const PLACEHOLDER: &str = "http://127.0.0.1:8082";

const TOKENS: &str =
    "The specification uses tokens of an identity provider; this policy reads Tollgate keys in the same place.";

const TEST_HEAD: &str =
    "# Run by `tollgate test`: on the production engine, with a virtual clock and without a network.";

/// The maximum length of a policy's name.
const NAME_BYTES_MAX: usize = 40;

/// The maximum number of suggested policies.
const POLICIES_MAX: usize = 8;

/// The maximum number of entries written to `operations:`.
const ENTRIES_MAX: usize = 100;

/// The maximum number of scopes of the key for local use.
const SCOPES_MAX: usize = 64;

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
