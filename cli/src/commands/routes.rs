//! `tollgate routes`: lists the routes of a project.

use std::collections::BTreeSet;
use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};
use tollgate_config::{CompiledRoute, Whole};
use tollgate_core::route::{HostName, Predicate, Subject, Test};

use super::Output;
use crate::failure::Failure;
use crate::project::{EnvArgs, Project};
use crate::route_table::{guards, names, route_table, upstream};
use crate::terminal;

/// List the routes of a project and the policies that protect them.
///
/// Different filters must all match; of a filter that is given several times, one value must match.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tollgate routes
  tollgate routes shop --api pets --method POST
  tollgate routes shop --path '/pets/**' --public         the public routes below /pets
  tollgate routes shop --host api.example.com --policy burst --wide
  tollgate routes shop --output json | jq '.[].id'")]
pub(crate) struct RoutesArgs {
    /// The project's folder.
    #[arg(default_value = ".")]
    project: PathBuf,
    #[command(flatten)]
    env: EnvArgs,
    #[command(flatten)]
    filter: Filter,
    /// Show more columns.
    #[arg(long)]
    wide: bool,
    /// The output format.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

/// The filters of the list.
#[derive(Debug, Default, Args)]
struct Filter {
    /// Routes of this API.
    #[arg(long, value_name = "NAME")]
    api: Vec<String>,
    /// Routes that answer on this host, or have this pattern.
    #[arg(long, value_name = "HOST")]
    host: Vec<String>,
    /// Routes that accept this method.
    #[arg(long, value_name = "METHOD")]
    method: Vec<String>,
    /// Routes whose path begins with this text, or matches it as a pattern: `*` within a segment, `**` any segments.
    #[arg(long, value_name = "PREFIX|GLOB")]
    path: Vec<String>,
    /// Routes that use this policy.
    #[arg(long, value_name = "NAME")]
    policy: Vec<String>,
    /// Routes with this tag in their specification.
    #[arg(long, value_name = "TAG")]
    tag: Vec<String>,
    /// Routes to this upstream.
    #[arg(long, value_name = "NAME")]
    upstream: Vec<String>,
    /// Public routes.
    #[arg(long)]
    public: bool,
    /// Internal routes.
    #[arg(long)]
    internal: bool,
}

pub(crate) fn run(args: &RoutesArgs) -> Result<(), Failure> {
    let compiled = Project::at(&args.project).in_environment(&args.env).compiled()?;
    let whole = compiled.whole();
    args.filter.check(whole)?;
    let routes: Vec<&CompiledRoute> = whole.routes.iter().filter(|route| args.filter.takes(whole, route)).collect();
    match args.output {
        Output::Text => terminal::print(&route_table(whole, &routes, args.wide)),
        Output::Json => {
            let routes: Value = routes.into_iter().map(|route| route_json(whole, route)).collect();
            terminal::print(&format!("{routes:#}\n"));
        }
    }
    Ok(())
}

impl Filter {
    /// Refuses names that the project does not have: the list would be empty without a reason.
    fn check(&self, whole: &Whole) -> Result<(), Failure> {
        let routes = || whole.routes.iter();
        known("API", &self.api, routes().map(|route| route.settings.api.as_str()))?;
        known("policy", &self.policy, whole.policies.iter().map(|policy| policy.name))?;
        known("tag", &self.tag, routes().flat_map(|route| route.tags.iter()).map(String::as_str))?;
        known("upstream", &self.upstream, whole.upstreams.iter().map(|upstream| upstream.name.as_str()))
    }

    fn takes(&self, whole: &Whole, route: &CompiledRoute) -> bool {
        let CompiledRoute { hosts, settings, tags, .. } = route;
        let any = |wanted: &[String], holds: &dyn Fn(&str) -> bool| {
            wanted.is_empty() || wanted.iter().any(|wanted| holds(wanted))
        };
        let host = |wanted: &str| {
            let name = HostName::from_authority(wanted);
            hosts.iter().any(|host| host.to_string() == wanted || name.as_ref().is_ok_and(|name| host.matches(name)))
        };
        let method = |wanted: &str| settings.methods.takes(&wanted.to_ascii_uppercase());
        let policy = |wanted: &str| settings.policies(&whole.policies).any(|policy| policy.name == wanted);
        let upstream = |wanted: &str| whole.upstreams.get(settings.upstream).is_some_and(|u| u.name == wanted);
        any(&self.api, &|wanted| settings.api == wanted)
            && any(&self.host, &host)
            && any(&self.method, &method)
            && any(&self.path, &|wanted| path_matches(wanted, settings.path.as_str()))
            && any(&self.policy, &policy)
            && any(&self.tag, &|wanted| tags.iter().any(|tag| tag == wanted))
            && any(&self.upstream, &upstream)
            && (!self.public || settings.admits_anyone(&whole.policies) && !settings.internal)
            && (!self.internal || settings.internal)
    }
}

fn known<'n>(what: &str, wanted: &[String], names: impl Iterator<Item = &'n str>) -> Result<(), Failure> {
    let names: BTreeSet<&str> = if wanted.is_empty() { BTreeSet::new() } else { names.collect() };
    let Some(unknown) = wanted.iter().find(|wanted| !names.contains(wanted.as_str())) else { return Ok(()) };
    let shown: Vec<&str> = names.iter().copied().take(NAMES_SHOWN).collect();
    let there = match names.len() {
        0 => "the project has none".to_owned(),
        more if more > NAMES_SHOWN => format!("there are {} and {} more", shown.join(", "), more - NAMES_SHOWN),
        _ => format!("there are {}", shown.join(", ")),
    };
    Err(Failure::problem(format!("there is no {what} `{}`; {there}", terminal::printable(unknown))))
}

/// The number of names that are shown if one is unknown.
const NAMES_SHOWN: usize = 16;

/// Whether a template begins with the text, or matches it if it contains `*`.
fn path_matches(wanted: &str, path: &str) -> bool {
    if !wanted.contains('*') {
        return path.starts_with(wanted);
    }
    let (wanted, path): (Vec<&str>, Vec<&str>) = (wanted.split('/').collect(), path.split('/').collect());
    segments_match(&wanted, &path)
}

fn segments_match(wanted: &[&str], path: &[&str]) -> bool {
    match (wanted.split_first(), path.split_first()) {
        (Some((&"**", [])), _) => true,
        (Some((&"**", rest)), _) => (0..=path.len()).any(|skipped| segments_match(rest, &path[skipped..])),
        (Some((first, rest)), Some((segment, others))) => {
            segment_matches(first, segment) && segments_match(rest, others)
        }
        (None, None) => true,
        (Some(_), None) | (None, Some(_)) => false,
    }
}

/// Each `*` matches any characters of the segment.
fn segment_matches(wanted: &str, segment: &str) -> bool {
    let mut pieces = wanted.split('*');
    let Some(mut rest) = pieces.next().and_then(|first| segment.strip_prefix(first)) else { return false };
    let Some(last) = pieces.next_back() else { return rest.is_empty() };
    for piece in pieces {
        let Some(at) = rest.find(piece) else { return false };
        rest = &rest[at + piece.len()..];
    }
    rest.ends_with(last)
}

/// A route as JSON, its policies and upstream by name.
pub(crate) fn route_json(whole: &Whole, route: &CompiledRoute) -> Value {
    let CompiledRoute { hosts, settings: route, tags, .. } = route;
    let alternatives: Vec<Vec<&str>> = route.authn.iter().map(|all| names(whole, all)).collect();
    json!({
        "id": route.id,
        "api": route.api,
        "hosts": hosts,
        "tags": tags.as_ref(),
        "path": route.path.to_string(),
        "methods": route.methods,
        "when": when_json(&route.when),
        "internal": route.internal,
        "matrix_parameters": route.matrix_parameters,
        "authn": alternatives,
        "scopes": route.scopes,
        "scope_sets": route.scope_sets,
        "guard": guards(whole, route),
        "authz": names(whole, &route.authz),
        "limit": names(whole, &route.limit),
        "cost": route.cost,
        "cache": route.cache,
        "upstream": upstream(whole, route),
        "content_bytes_max": route.content_bytes_max,
        "timeout_ms": route.timeout_ms,
    })
}

/// The conditions of a route, as they are written in a project: by field and by parameter.
fn when_json(when: &[Predicate]) -> Value {
    let (mut header, mut query) = (serde_json::Map::new(), serde_json::Map::new());
    for Predicate { of, test } in when {
        let (all, name) = match of {
            Subject::Header(name) => (&mut header, name),
            Subject::Query(name) => (&mut query, name),
        };
        let test = match test {
            Test::OneOf(values) => json!(values),
            Test::Present => json!("present"),
            Test::Absent => json!("absent"),
        };
        all.insert(name.clone(), test);
    }
    json!({"header": header, "query": query})
}

#[cfg(test)]
mod tests {
    use super::path_matches;

    #[test]
    fn a_path_is_selected_by_prefix_or_pattern() {
        for (wanted, path, expected) in [
            ("/pets", "/pets/{id}", true),
            ("/pets", "/pet", false),
            ("/pets/*", "/pets/{id}", true),
            ("/pets/*", "/pets", false),
            ("/pets/*", "/pets/{id}/toys", false),
            ("/pets/**", "/pets/{id}/toys", true),
            ("/**/toys", "/pets/{id}/toys", true),
            ("/**/toys", "/pets", false),
            ("/*.json", "/pets.json", true),
            ("/*a*b", "/xaxb", true),
            ("/*a*b", "/xbxa", false),
        ] {
            assert_eq!(path_matches(wanted, path), expected, "{wanted} {path}");
        }
    }
}
