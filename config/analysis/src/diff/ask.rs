//! The requests that are routed by both gateways, and the routes that match them.

use std::collections::{BTreeMap, BTreeSet};

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use tollgate_config::Compiled;
use tollgate_core::route::{
    CanonicalPath, Entry, HostName, HostPattern, Matched, Predicate, RequestHead, Router, Subject, Test,
};

/// A request for a route of one of the gateways, and the indices of the routes that match it.
#[derive(Clone, Debug)]
pub(super) struct Answered {
    /// The request, as shown to people.
    pub(super) request: String,
    /// The requests that it represents: method, path and hosts.
    pub(super) matches: String,
    pub(super) from: Option<usize>,
    pub(super) to: Option<usize>,
}

/// The requests of a route, without the names of its parameters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Point {
    path: String,
    method: String,
    host: HostPattern,
    when: Vec<Predicate>,
}

/// Routes a request for every point of both gateways by both of them.
pub(super) fn ask(from: &Compiled, to: &Compiled) -> Vec<Answered> {
    let mut methods: BTreeSet<&str> = METHODS.into_iter().collect();
    for compiled in [from, to] {
        methods.extend(compiled.routes().iter().flat_map(|route| route.settings.methods.as_strs()));
    }
    let mut points: BTreeMap<Point, String> = BTreeMap::new();
    for compiled in [from, to] {
        for route in compiled.routes() {
            let named = &route.settings.methods;
            let own: Vec<&str> =
                if named.is_empty() { methods.iter().copied().collect() } else { named.as_strs().collect() };
            for host in &route.hosts {
                for method in &own {
                    let point = Point {
                        path: route.settings.path.shape(),
                        method: (*method).to_owned(),
                        host: host.clone(),
                        when: route.settings.when.clone(),
                    };
                    points.entry(point).or_insert_with(|| route.settings.path.witness());
                }
            }
        }
    }
    let (from, to) = (Routers::of(from), Routers::of(to));
    points.into_iter().filter_map(|(point, path)| answered(&point, &path, &from, &to)).collect()
}

fn answered(point: &Point, path: &str, from: &Routers, to: &Routers) -> Option<Answered> {
    let host = match &point.host {
        HostPattern::Exact(name) => name.to_string(),
        HostPattern::Wildcard(suffix) => format!("any.{suffix}"),
        HostPattern::Any => "any.example".to_owned(),
    };
    let (mut query, mut fields) = (Vec::new(), HeaderMap::new());
    let mut shown_fields = String::new();
    for predicate in &point.when {
        let value = match &predicate.test {
            Test::OneOf(values) => values.first().cloned().unwrap_or_default(),
            Test::Present => "any".to_owned(),
            Test::Absent => continue,
        };
        match &predicate.of {
            Subject::Query(name) => query.push(format!("{name}={value}")),
            Subject::Header(name) => {
                fields.append(HeaderName::try_from(name).ok()?, HeaderValue::from_str(&value).ok()?);
                shown_fields.push_str(&format!(" with {name}: {value}"));
            }
        }
    }
    let query = (!query.is_empty()).then(|| query.join("&"));
    let path = CanonicalPath::parse(path.as_bytes()).ok()?;
    let (host_name, method) =
        (HostName::from_authority(&host).ok()?, Method::from_bytes(point.method.as_bytes()).ok()?);
    let request = RequestHead { method: &method, path: &path, query: query.as_deref(), fields: &fields };
    let shown_query = query.as_ref().map(|query| format!("?{query}")).unwrap_or_default();
    Some(Answered {
        request: format!("{method} https://{host}{}{shown_query}{shown_fields}", path.as_str()),
        matches: format!("{method} {} on {}", point.path, point.host),
        from: from.find(&host_name, &request),
        to: to.find(&host_name, &request),
    })
}

/// The routers of a gateway by host pattern, with the indices of their routes.
struct Routers(BTreeMap<String, (Router, Vec<usize>)>);

impl Routers {
    fn of(compiled: &Compiled) -> Self {
        let routes = compiled.routes();
        let mut by_host: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (place, route) in routes.iter().enumerate() {
            for host in &route.hosts {
                by_host.entry(host.to_string()).or_default().push(place);
            }
        }
        let router =
            |places: &Vec<usize>| Router::new(places.iter().map(|place| Entry::from(&routes[*place].settings)));
        Self(by_host.into_iter().map(|(host, places)| (host, (router(&places), places))).collect())
    }

    /// The route that matches the request of an internal caller.
    fn find(&self, host: &HostName, request: &RequestHead<'_>) -> Option<usize> {
        let known: Vec<_> = HostPattern::candidates(host).filter_map(|pattern| self.0.get(&pattern)).collect();
        match Router::find_in(known.iter().map(|(router, _)| router), request) {
            (place, Matched::Route(index)) => known.get(place).and_then(|(_, places)| places.get(index)).copied(),
            (_, Matched::OtherMethods(_) | Matched::Nothing) => None,
        }
    }
}

/// The methods with which a route for all methods is tested: the usual ones, and one that no route names.
const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "ANY-OTHER"];
