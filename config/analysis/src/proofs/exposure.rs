//! Finds public routes that forward to the URLs of internal routes.

use std::collections::{BTreeMap, HashMap};

use http::Method;
use tollgate_config::{Code, CompiledRoute, Diagnostic, Report, Witness};
use tollgate_core::route::{CanonicalPath, Predicate, Segment};
use tollgate_core::settings::RouteSettings;

use super::routes::Analysis;
use super::segment::{path_of, shared_path};

/// A route with the path that its upstream receives.
struct Reach<'r> {
    place: usize,
    route: &'r CompiledRoute,
    /// The number of segments of the upstream's path, before those of the route.
    prefix: usize,
    segments: Vec<Segment>,
}

/// The public and internal routes to one server.
#[derive(Default)]
struct Server<'r> {
    public: Vec<Reach<'r>>,
    internal: Vec<Reach<'r>>,
}

/// Reports public routes that serve a request which is forwarded to the same URL as one of an internal route.
pub(super) fn report(analysis: &Analysis<'_>, report: &mut Report) {
    for server in servers(analysis).into_values() {
        for (public, found) in server.exposed(analysis) {
            report_exposure(public, &found, report);
        }
    }
}

fn servers<'w>(analysis: &Analysis<'w>) -> BTreeMap<String, Server<'w>> {
    let mut all: BTreeMap<String, Server<'_>> = BTreeMap::new();
    let whole = analysis.whole;
    for (place, route) in whole.routes.iter().enumerate().filter(|(_, route)| !route.hosts.is_empty()) {
        let Some(upstream) = whole.upstreams.get(route.settings.upstream) else { continue };
        let (server, prefix) = upstream.url.parts();
        let mut segments = literals(prefix);
        let prefix = segments.len();
        segments.extend(route.settings.path.segments().iter().skip(route.settings.strip_segments).cloned());
        // Of the path `/` nothing remains: the upstream's path is sent as it is written.
        if segments.len() == prefix + 1 && is_root(&route.settings) {
            segments.pop();
        }
        if segments.len() == prefix && !upstream.url.slash().is_empty() {
            segments.push(Segment::Literal(String::new()));
        }
        let reach = Reach { place, route, prefix, segments };
        let server = all.entry(server).or_default();
        if route.settings.internal { server.internal.push(reach) } else { server.public.push(reach) }
    }
    all
}

/// Whether the route matches only the path `/`, and forwards it unchanged.
fn is_root(settings: &RouteSettings) -> bool {
    settings.strip_segments == 0 && matches!(settings.path.segments(), [Segment::Literal(text)] if text.is_empty())
}

fn literals(path: &str) -> Vec<Segment> {
    let path = CanonicalPath::parse(path.as_bytes());
    path.map(|path| path.segments().map(|text| Segment::Literal(text.to_owned())).collect()).unwrap_or_default()
}

impl<'r> Server<'r> {
    /// Public routes, each with the internal routes whose URLs it reaches, and a request for each.
    fn exposed(&self, analysis: &Analysis<'_>) -> Vec<(&'r CompiledRoute, Vec<(&'r CompiledRoute, Witness)>)> {
        let mut by_first: HashMap<&str, Vec<&Reach<'_>>> = HashMap::new();
        let mut others = Vec::new();
        for internal in &self.internal {
            match internal.segments.first() {
                Some(Segment::Literal(text)) => by_first.entry(text).or_default().push(internal),
                _ => others.push(internal),
            }
        }
        let mut all = Vec::new();
        for public in &self.public {
            let near: Vec<&Reach<'_>> = match public.segments.first() {
                Some(Segment::Literal(text)) => by_first.get(text.as_str()).into_iter().flatten().copied().collect(),
                _ => by_first.values().flatten().copied().collect(),
            };
            if analysis.budget.spend(near.len() + others.len()).is_err() {
                return all;
            }
            let mut found: Vec<(&CompiledRoute, Witness)> = near
                .iter()
                .chain(&others)
                .filter_map(|internal| Some((internal.route, public.reaches(internal, analysis)?)))
                .collect();
            found.sort_by_key(|(internal, _)| internal.span);
            if !found.is_empty() {
                all.push((public.route, found));
            }
        }
        all
    }
}

impl Reach<'_> {
    /// A request that this public route serves, and that is forwarded to a URL of the internal route.
    fn reaches(&self, internal: &Reach<'_>, analysis: &Analysis<'_>) -> Option<Witness> {
        let (own, other) = (&self.route.settings, &internal.route.settings);
        let shared = shared_path(&self.segments, &internal.segments)?;
        let when = Predicate::both(&own.when, &other.when)?;
        let method = shared_method(&own.methods, &other.methods)?;
        let path = self.request_path(&shared)?;
        let hosts = self.route.hosts.iter().filter_map(|host| analysis.host_in(host));
        let mut made = hosts.map(|host| Witness::new(method.as_str(), &host, path.as_str(), &when));
        made.find(|witness| analysis.selected_route(witness) == Some(self.place))
    }

    /// The path of a client's request for which the upstream receives this path.
    fn request_path(&self, seen: &str) -> Option<String> {
        let settings = &self.route.settings;
        let stripped = settings.path.segments().iter().take(settings.strip_segments).map(Segment::example);
        let seen = CanonicalPath::parse(seen.as_bytes()).ok()?;
        let mut texts: Vec<String> = stripped.collect();
        if settings.path.segments().len() > settings.strip_segments {
            texts.extend(seen.segments().skip(self.prefix).map(str::to_owned));
        }
        path_of(&texts)
    }
}

fn shared_method(a: &[Method], b: &[Method]) -> Option<Method> {
    match (a, b) {
        ([], []) => Some(Method::GET),
        ([], named) | (named, []) => named.first().cloned(),
        (a, b) => a.iter().find(|method| b.contains(method)).cloned(),
    }
}

fn report_exposure(public: &CompiledRoute, found: &[(&CompiledRoute, Witness)], report: &mut Report) {
    let Some((first, witness)) = found.first() else { return };
    let what = match found {
        [_] => format!("`{}` gives access to the resource of the internal `{}`", public.settings.id, first.settings.id),
        many => format!("`{}` gives access to the resources of {} internal routes", public.settings.id, many.len()),
    };
    let mut diagnostic = Diagnostic::warning(Code::InternalReachable, public.span, what)
        .why(format!("both forward to the same URL, and external callers can send this request: {}", witness.curl()))
        .fix("narrow its path, or use an upstream that does not serve internal resources");
    for (internal, _) in found.iter().take(RELATED_MAX) {
        diagnostic = diagnostic.related(internal.span, "internal");
    }
    report.push(diagnostic);
}

/// The maximum number of other places shown with one finding.
const RELATED_MAX: usize = 3;
