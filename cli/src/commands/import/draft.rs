//! The first version of a project that is created from a specification.

use tollgate_config::openapi::{Operation, Scheme, SchemeKind, Spec};
use tollgate_config::{FileKind, SCOPES_MAX, can_be_field, can_be_parameter, can_be_scope, fmt};
use tollgate_core::authn::ApiKey;
use tollgate_core::forward::UpstreamUrl;
use tollgate_core::route::{HostPattern, PathTemplate};

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
        if let Some(url) = upstream.filter(|url| !is_url(url)) {
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
        Ok(Self {
            name: named.unwrap_or_else(|| "api".to_owned()),
            hosts: hosts.to_vec(),
            server: Server::choose(spec, upstream),
        })
    }
}

fn is_url(text: &str) -> bool {
    text.parse::<UpstreamUrl>().is_ok_and(|url| url.port() != Some(0))
}

/// The files of the project, without those of the specification.
#[derive(Debug)]
pub(super) struct Draft {
    /// The project file is the last, so that there is no project before all of it is there.
    pub(super) files: Vec<(String, Vec<u8>)>,
}

impl Draft {
    /// Drafts a project; `spec_name` is what the document is called below [`SPEC_FOLDER`], and `hidden` the places of
    /// operations that are not routed.
    pub(super) fn new(spec: &Spec, choices: &Choices, spec_name: &str, hidden: &[usize]) -> Result<Self, Failure> {
        let policies = policies(spec);
        let guarded = !policies.is_empty() && spec.operations().iter().any(Operation::requires_credential);
        let policies = if guarded { policies } else { Vec::new() };
        let mut texts = Vec::new();
        texts.extend(test(spec, choices, guarded, hidden).map(|text| ("tests/first.test.yaml", text)));
        if guarded {
            texts.push(("dev/fixtures.yaml", fixtures(spec)?));
        }
        texts.push(("tollgate.yaml", project(spec, choices, &policies, spec_name, hidden)));
        let schema =
            |kind: &FileKind| (format!("{SCHEMA_FOLDER}/{}", kind.schema_file()), kind.schema_text().into_bytes());
        let mut files: Vec<(String, Vec<u8>)> = FileKind::ALL.iter().map(schema).collect();
        for (name, text) in texts {
            // Errors that prevent formatting are reported when the project is compiled.
            let text = fmt::format_text(name, &text).unwrap_or(text);
            files.push((name.to_owned(), text.into_bytes()));
        }
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
        let is_new = policies.iter().all(|known| known.definition != definition);
        if is_new && policies.len() < POLICIES_MAX {
            let name = unused(&slug(&scheme.name).unwrap_or_else(|| "keys".to_owned()), &policies);
            policies.push(Policy { name, definition, remark });
        }
    }
    policies
}

/// The name, with a number if another policy has it.
fn unused(name: &str, policies: &[Policy]) -> String {
    let is_free = |name: &String| name != LIMIT && policies.iter().all(|known| known.name != *name);
    let short = &name[..name.len().min(NAME_BYTES_MAX - 3)];
    let numbered = (2..).map(|number| format!("{short}-{number}"));
    std::iter::once(name.to_owned()).chain(numbered).find(is_free).unwrap_or_default()
}

fn policy(scheme: &Scheme) -> Option<(String, Option<&'static str>, &Scheme)> {
    let bearer = || "{kind: api-key, header: Authorization, scheme: Bearer}".to_owned();
    let (definition, remark) = match &scheme.kind {
        SchemeKind::HeaderKey(name) if can_be_field(name) => {
            (format!("{{kind: api-key, header: {}}}", quoted(name)), None)
        }
        SchemeKind::QueryKey(name) if can_be_parameter(name) => {
            (format!("{{kind: api-key, query: {}}}", quoted(name)), None)
        }
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

/// Whether a text needs no quotes in YAML, if it is not a word with another meaning.
fn is_token(name: &str) -> bool {
    !name.is_empty()
        && name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

fn project(spec: &Spec, choices: &Choices, policies: &[Policy], spec_name: &str, hidden: &[usize]) -> String {
    let Choices { name, hosts, server } = choices;
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
    for note in &server.notes {
        out.push_str(&format!("  # {note}.\n"));
    }
    out.push_str(&format!("  {name}: {}\n\npolicies:\n", serde_json::Value::from(server.url.as_str())));
    for policy in policies {
        if let Some(remark) = policy.remark {
            out.push_str(&format!("  # {remark}\n"));
        }
        out.push_str(&format!("  {}: {}\n", quoted(&policy.name), policy.definition));
    }
    out.push_str("  # A suggestion: adjust it to the capacity of the server.\n");
    out.push_str(&format!("  {LIMIT}: {{kind: rate-limit, rate: 100/s, burst: 200}}\n\napis:\n  {name}:\n"));
    out.push_str(&format!("    spec: {}\n    upstream: {name}\n", quoted(&format!("./{SPEC_FOLDER}/{spec_name}"))));
    if policies.is_empty() {
        out.push_str("    # The specification requires no credential that the gateway supports, so these routes are public.\n    authn: none\n");
    } else {
        let names: Vec<String> = policies.iter().map(|policy| quoted(&policy.name)).collect();
        out.push_str(&format!("    authn: {{any: [{}]}}\n", names.join(", ")));
    }
    out.push_str(&format!("    limit: {LIMIT}\n"));
    out.push_str(&operations(spec, !policies.is_empty(), hidden));
    out
}

/// The operations that differ from the API's policy: public ones, those that need scopes, and those that are not routed.
fn operations(spec: &Spec, guarded: bool, hidden: &[usize]) -> String {
    let mut out = String::new();
    let (mut written, mut left) = (0, 0);
    for (place, operation) in spec.operations().iter().enumerate() {
        let is_hidden = hidden.contains(&place);
        let scopes = scopes(&operation.required_scopes());
        let said = if is_hidden {
            "hidden: true".to_owned()
        } else if guarded && !operation.requires_credential() {
            "authn: none".to_owned()
        } else if guarded && !scopes.is_empty() {
            format!("scopes: [{scopes}]")
        } else {
            continue;
        };
        if written == ENTRIES_MAX && !is_hidden {
            left += 1;
            continue;
        }
        written += usize::from(!is_hidden);
        if is_hidden {
            out.push_str("      # Another operation matches some of its requests with equal precedence.\n");
        }
        out.push_str(&format!("      - {{select: {}, {said}}}\n", select(spec, operation)));
    }
    if left > 0 {
        out.push_str(&format!(
            "      # {left} more operations have their own `security`; `tollgate check` reports weaker protection.\n"
        ));
    }
    if out.is_empty() { out } else { format!("    operations:\n{out}") }
}

/// Selects one operation: by its id, unless another one has the same.
fn select(spec: &Spec, operation: &Operation) -> String {
    let others = |id: &str| spec.operations().iter().filter(|other| other.operation_id() == Some(id)).count() - 1;
    match operation.operation_id() {
        Some(id) if operation.id().is_some() && others(id) == 0 => format!("{{operation: {}}}", quoted(id)),
        _ => format!("{{method: [{}], path: {}}}", operation.method(), quoted(operation.path())),
    }
}

/// The items of a list of scopes; those that no credential can have, and those beyond the maximum, are left out.
fn scopes(all: &[String]) -> String {
    let valid = all.iter().filter(|scope| can_be_scope(scope)).take(SCOPES_MAX);
    valid.map(|scope| quoted(scope)).collect::<Vec<_>>().join(", ")
}

/// A text as JSON, which is valid YAML; a word that needs no quotes is written without them.
fn quoted(text: &str) -> String {
    let plain =
        is_token(text) && text.len() > 3 && !["true", "false", "null"].contains(&text.to_ascii_lowercase().as_str());
    if plain { text.to_owned() } else { serde_json::Value::from(text).to_string() }
}

/// A first test; none if every path is routed, and no operation can be tried.
fn test(spec: &Spec, choices: &Choices, guarded: bool, hidden: &[usize]) -> Option<String> {
    let schema = FileKind::Test.schema_file();
    let mut out = format!("{TEST_HEAD}\n$schema: ../{SCHEMA_FOLDER}/{schema}\nformat: 1\n");
    let routed = || spec.operations().iter().enumerate().filter(|(place, _)| !hidden.contains(place)).map(|(_, o)| o);
    let tried = |operation: &&Operation| operation.method() == "GET" && operation.requires_credential() == guarded;
    let operation = routed().filter(tried).min_by_key(|operation| operation.path().matches('{').count());
    if guarded {
        let scopes = scopes(&operation.map(Operation::required_scopes).unwrap_or_default());
        out.push_str(&format!("consumers:\n  - {{id: acme, keys: [{{name: k1, scopes: [{scopes}]}}]}}\n"));
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
    let is_outside = !routed().any(|operation| matches(operation.template(), &OUTSIDE));
    if is_outside {
        out.push_str("  - name: a path outside the specification is not routed\n    steps:\n");
        out.push_str(&format!("      - {{request: GET /{}, expect: {{status: 404}}}}\n", OUTSIDE.join("/")));
    }
    (is_outside || operation.is_some()).then_some(out)
}

/// Whether a template without a rest matches a path.
fn matches(template: &PathTemplate, path: &[&str]) -> bool {
    let segments = template.segments();
    segments.len() == path.len() && segments.iter().zip(path).all(|(segment, text)| segment.value_of(text).is_some())
}

fn fixtures(spec: &Spec) -> Result<String, Failure> {
    let mut random = [0u8; 32];
    getrandom::fill(&mut random)
        .map_err(|error| Failure::problem(format!("the random source of the system is not available: {error}")))?;
    let key = ApiKey::generate("dev", &random).ok_or_else(|| Failure::problem("no key could be created"))?;
    let mut all: Vec<String> = spec.operations().iter().flat_map(Operation::required_scopes).collect();
    all.sort_unstable();
    all.dedup();
    let schema = FileKind::Fixtures.schema_file();
    Ok(format!(
        "# A consumer and its key for `tollgate dev`; never part of a bundle.\n$schema: ../{SCHEMA_FOLDER}/{schema}\nformat: 1\nconsumers:\n  - id: acme\n    keys:\n      - {{key: {}, scopes: [{}]}}\n",
        key.expose(),
        scopes(&all)
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

/// The segments of a path that no real specification has.
const OUTSIDE: [&str; 4] = ["not", "in", "the", "specification"];

/// The name of the suggested limit.
const LIMIT: &str = "burst";

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
