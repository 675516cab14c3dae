//! The routes of a gateway with the production router for every host pattern.

use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use tollgate_config::{CompiledRoute, Whole, Witness};
use tollgate_core::route::{
    CanonicalPath, Entry, HostName, HostPattern, Matched, Methods, ParameterType, Predicate, RequestHead, Router,
    Segment,
};

use super::budget::Budget;
use super::cover::{Competitor, Cover, cover};
use super::segment::{is_same, path_of};

/// A gateway that is prepared for analysis.
#[derive(Debug)]
pub struct Analysis<'w> {
    pub(super) whole: &'w Whole,
    /// The sites by the text of their host pattern.
    sites: HashMap<String, Site>,
    internal: HashSet<String>,
    pub(super) budget: Budget,
}

/// The routes on one host pattern.
#[derive(Debug, Default)]
struct Site {
    router: Router,
    /// Indices in the gateway, in the order of the router.
    routes: Vec<usize>,
    /// The indices of routes whose first segment is a literal, by that literal.
    by_first: HashMap<String, Vec<usize>>,
    /// The indices of the other routes.
    others: Vec<usize>,
}

/// Whether a route can be selected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reachability {
    /// The route is selected for this request.
    Reachable(Witness),
    /// The route can never be selected; this one of its requests is served by that route (an index into [`Whole::routes`]).
    Shadowed(Witness, usize),
    /// Neither could be proved.
    Unknown,
}

/// The requests of a route with one host pattern and method.
#[derive(Clone, Copy)]
pub(super) struct Part<'p> {
    pub(super) place: usize,
    pub(super) host: &'p HostPattern,
    pub(super) method: &'p str,
}

impl<'w> Analysis<'w> {
    /// Prepares the analysis of a gateway; `internal_hosts` are the internal hosts of its settings.
    #[must_use]
    pub fn new(whole: &'w Whole, internal_hosts: &[HostPattern]) -> Self {
        let mut sites: HashMap<String, Site> = HashMap::new();
        for (place, route) in whole.routes.iter().enumerate() {
            for host in &route.hosts {
                sites.entry(host.to_string()).or_default().add(place, route);
            }
        }
        for site in sites.values_mut() {
            site.router = Router::new(site.routes.iter().map(|place| Entry::from(&whole.routes[*place].settings)));
        }
        let internal = internal_hosts.iter().map(HostPattern::to_string).collect();
        Self { whole, sites, internal, budget: Budget::default() }
    }

    /// The route that is selected for a request, as an index into [`Whole::routes`].
    ///
    /// The caller is assumed to be internal if the most specific pattern of the request's host is internal.
    #[must_use]
    pub fn selected_route(&self, request: &Witness) -> Option<usize> {
        let host = HostName::from_authority(&request.host).ok()?;
        let path = CanonicalPath::parse(request.path.as_bytes()).ok()?;
        let method = Method::from_bytes(request.method.as_bytes()).ok()?;
        let mut fields = HeaderMap::new();
        for (name, value) in &request.fields {
            fields.append(HeaderName::from_bytes(name.as_bytes()).ok()?, HeaderValue::from_str(value).ok()?);
        }
        let head = RequestHead { method: &method, path: &path, query: request.query.as_deref(), fields: &fields };
        let sites = self.sites_of(&host);
        match Router::find_in(sites.iter().map(|site| &site.router), &head) {
            (place, Matched::Route(index)) => sites.get(place)?.routes.get(index).copied(),
            (_, Matched::OtherMethods(_) | Matched::Nothing) => None,
        }
    }

    /// Whether a route can be selected, on any of its hosts and for any of its methods.
    #[must_use]
    pub fn reachability(&self, place: usize) -> Reachability {
        if let Some(witness) = self.request(place, None) {
            return Reachability::Reachable(witness);
        }
        self.never(place).unwrap_or(Reachability::Unknown)
    }

    /// A request for which the route is selected, with this method if it is set.
    #[must_use]
    pub fn request(&self, place: usize, method: Option<&str>) -> Option<Witness> {
        let CompiledRoute { hosts, settings, .. } = self.whole.routes.get(place)?;
        let own: Vec<&str> = match method {
            Some(method) => vec![method],
            None if settings.methods.is_empty() => vec!["GET", "POST", "PURGE", "ANY"],
            None => settings.methods.as_strs().collect(),
        };
        let wins = |witness: &Witness| self.selected_route(witness) == Some(place);
        for host in hosts.iter().take(HOSTS_TRIED).filter_map(|host| self.host_in(host)) {
            for path in examples(settings.path.segments()) {
                let made = own.iter().map(|method| Witness::new(method, &host, path.as_str(), &settings.when));
                if let Some(witness) = made.into_iter().find(wins) {
                    return Some(witness);
                }
            }
        }
        for host in hosts {
            for method in &own {
                let Ok(Cover::Uncovered(texts, when)) = self.cover(place, host, method) else { continue };
                let Some((path, example)) = path_of(&texts).zip(self.host_in(host)) else { continue };
                let witness = Witness::new(method, &example, path, &when);
                if wins(&witness) {
                    return Some(witness);
                }
            }
        }
        None
    }

    /// A host that matches this pattern but no more specific one, as a pattern of that host.
    pub(super) fn host_in(&self, pattern: &HostPattern) -> Option<HostPattern> {
        let numbered = |n: usize| if n == 0 { "any".to_owned() } else { format!("any{n}") };
        let name = |n: usize| match pattern {
            HostPattern::Exact(name) => name.to_string(),
            HostPattern::Wildcard(suffix) => format!("{}.{suffix}", numbered(n)),
            // A name of one label cannot match a wildcard, so these are tried next.
            HostPattern::Any if n == 0 => "any.example".to_owned(),
            HostPattern::Any => numbered(n),
        };
        if let HostPattern::Exact(_) = pattern {
            return Some(pattern.clone());
        }
        let hosts = (0..HOSTS_TRIED).filter_map(|n| HostName::from_authority(&name(n)).ok());
        let text = pattern.to_string();
        let mut free =
            hosts.filter(|host| HostPattern::candidates(host).find(|p| self.is_known(p)) == Some(text.clone()));
        free.next().map(HostPattern::Exact)
    }

    fn is_known(&self, pattern: &String) -> bool {
        self.sites.contains_key(pattern) || self.internal.contains(pattern)
    }

    fn sites_of(&self, host: &HostName) -> Vec<&Site> {
        let known: Vec<String> = HostPattern::candidates(host).filter(|pattern| self.is_known(pattern)).collect();
        let inside = known.first().is_some_and(|first| self.internal.contains(first));
        let seen = known.iter().filter(|pattern| inside || !self.internal.contains(*pattern));
        seen.filter_map(|pattern| self.sites.get(pattern)).collect()
    }

    /// Proves that a route can never be selected.
    fn never(&self, place: usize) -> Option<Reachability> {
        let CompiledRoute { hosts, settings, .. } = self.whole.routes.get(place)?;
        for host in hosts {
            for method in methods_or_any(&settings.methods) {
                if self.cover(place, host, method) != Ok(Cover::Covered) {
                    return None;
                }
            }
        }
        let method = methods_or_any(&settings.methods).next()?;
        let method = if method == UNNAMED_METHOD { "GET" } else { method };
        let host = self.host_in(hosts.first()?)?;
        let made = examples(settings.path.segments()).map(|path| Witness::new(method, &host, path, &settings.when));
        let taken = made.into_iter().find_map(|witness| Some((self.selected_route(&witness)?, witness)));
        taken.filter(|(other, _)| *other != place).map(|(other, witness)| Reachability::Shadowed(witness, other))
    }

    /// Searches a request of a route, on this host and among these paths, which other routes of the host do not take, and
    /// whose path no other template matches.
    pub(super) fn request_among(
        &self,
        Part { place, host, method }: Part<'_>,
        paths: &[Segment],
        others: &[&[Segment]],
        is_meant: impl Fn(&Witness) -> bool,
    ) -> Option<Witness> {
        let example = self.host_in(host)?;
        let when = &self.whole.routes.get(place)?.settings.when;
        let wins = |witness: &Witness| is_meant(witness) && self.selected_route(witness) == Some(place);
        let made = examples(paths).map(|path| Witness::new(method, &example, path.as_str(), when));
        made.into_iter().find(wins).or_else(|| {
            let Ok(Cover::Uncovered(texts, when)) = self.cover_among(Part { place, host, method }, paths, others)
            else {
                return None;
            };
            Some(Witness::new(method, &example, path_of(&texts)?, &when)).filter(wins)
        })
    }

    fn cover(&self, place: usize, host: &HostPattern, method: &str) -> Result<Cover, super::budget::Spent> {
        self.cover_among(Part { place, host, method }, self.whole.routes[place].settings.path.segments(), &[])
    }

    fn cover_among(
        &self,
        Part { place, host, method }: Part<'_>,
        paths: &[Segment],
        others: &[&[Segment]],
    ) -> Result<Cover, super::budget::Spent> {
        let own = &self.whole.routes[place];
        let Some(site) = self.sites.get(&host.to_string()) else { return Ok(Cover::Covered) };
        let near = match paths.first() {
            Some(Segment::Literal(text)) => site.by_first.get(text).map(Vec::as_slice).unwrap_or_default(),
            _ => &site.routes,
        };
        let all: Box<dyn Iterator<Item = &usize>> = match paths.first() {
            Some(Segment::Literal(_)) => Box::new(near.iter().chain(&site.others)),
            _ => Box::new(near.iter()),
        };
        self.budget.spend(near.len() + site.others.len())?;
        let goes_first = |other: &&usize| **other != place && goes_before(&self.whole.routes[**other], own, method);
        let competitors: Vec<Competitor<'_>> = all
            .filter(goes_first)
            .map(|other| {
                let settings = &self.whole.routes[*other].settings;
                Competitor { segments: settings.path.segments(), when: &settings.when }
            })
            .chain(others.iter().map(|segments| Competitor { segments, when: &[] }))
            .collect();
        cover(paths, &own.settings.when, &competitors, &self.budget)
    }
}

impl Site {
    fn add(&mut self, place: usize, route: &CompiledRoute) {
        self.routes.push(place);
        match route.settings.path.segments().first() {
            Some(Segment::Literal(text)) => self.by_first.entry(text.clone()).or_default().push(place),
            _ => self.others.push(place),
        }
    }
}

/// Whether a route accepts requests with this method and has precedence over another route on the same host.
fn goes_before(route: &CompiledRoute, other: &CompiledRoute, method: &str) -> bool {
    let (a, b) = (&route.settings, &other.settings);
    if !a.methods.takes(method) {
        return false;
    }
    match path_order(a.path.segments(), b.path.segments()) {
        Some(Ordering::Less) => true,
        Some(Ordering::Greater) | None => false,
        Some(Ordering::Equal) => match (a.methods.names(method), b.methods.names(method)) {
            (true, false) => true,
            (false, true) => false,
            (_, _) => Predicate::precedence(&a.when) < Predicate::precedence(&b.when),
        },
    }
}

/// The order of two templates for the paths that both match; `None` if precedence does not decide.
pub(super) fn path_order(a: &[Segment], b: &[Segment]) -> Option<Ordering> {
    let same = a.iter().zip(b).take_while(|(x, y)| is_same(x, y)).count();
    match (a.get(same), b.get(same)) {
        (None, None) => Some(Ordering::Equal),
        (Some(x), Some(y)) => Some(x.precedence().cmp(&y.precedence())).filter(|order| order.is_ne()),
        (None, Some(_)) | (Some(_), None) => None,
    }
}

fn methods_or_any(methods: &Methods) -> impl Iterator<Item = &str> {
    let any = methods.is_empty().then_some(UNNAMED_METHOD);
    methods.as_strs().chain(any)
}

/// Paths that a template matches, the simplest first.
fn examples(segments: &[Segment]) -> impl Iterator<Item = String> + '_ {
    (0..PATHS_TRIED).filter_map(move |nth| {
        let texts: Vec<String> = segments.iter().map(|segment| example(segment, nth)).collect();
        path_of(&texts)
    })
}

fn example(segment: &Segment, nth: usize) -> String {
    match segment {
        Segment::Parameter { prefix, of: ParameterType::OneOf(values), suffix, .. } => {
            let value = values.get(nth % values.len().max(1)).map_or("", String::as_str);
            format!("{prefix}{value}{suffix}")
        }
        Segment::Parameter { prefix, of: ParameterType::Any, suffix, .. } if nth > 0 => {
            format!("{prefix}{UNUSUAL}{suffix}")
        }
        Segment::Parameter { prefix, of: ParameterType::Int, suffix, .. } if nth > 0 => {
            format!("{prefix}70077{suffix}")
        }
        Segment::Rest { .. } if nth > 0 => UNUSUAL.to_owned(),
        Segment::Literal(_) | Segment::Parameter { .. } | Segment::Rest { .. } => segment.example(),
    }
}

/// A method that no route can name. It represents all methods that no route names, which only routes for all methods accept.
const UNNAMED_METHOD: &str = "CONNECT";

/// A text that few templates match as a whole.
const UNUSUAL: &str = "q7-zx";

/// The number of example paths that are tried before a request is searched by proof: enough for most routes.
const PATHS_TRIED: usize = 4;

/// The number of example hosts that are tried.
const HOSTS_TRIED: usize = 8;
