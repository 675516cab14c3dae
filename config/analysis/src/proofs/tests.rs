//! Compares the results for small gateways with the production router, for a large set of requests.

use std::num::NonZeroU32;

use proptest::prelude::*;
use tollgate_config::{CompiledRoute, FileId, Span, Whole, Witness, WrittenRoute};
use tollgate_core::route::{HostPattern, PathTemplate, Predicate, Subject, Test};
use tollgate_core::settings::RouteSettings;

use super::conflicts::{Candidate, Conflict, conflicts};
use super::routes::{Analysis, Reachability};

/// A generated route.
#[derive(Clone, Debug)]
struct Drawn {
    hosts: Vec<&'static str>,
    path: String,
    methods: Vec<&'static str>,
    when: Vec<Predicate>,
}

fn whole(drawn: &[Drawn]) -> Whole {
    let route = |(place, drawn): (usize, &Drawn)| {
        let settings = RouteSettings {
            id: format!("r{place}"),
            api: "api".into(),
            path: drawn.path.parse::<PathTemplate>().unwrap(),
            methods: drawn.methods.iter().map(|method| method.parse().unwrap()).collect(),
            when: drawn.when.clone(),
            internal: false,
            guard: vec![],
            guard_limit: vec![],
            authn: vec![],
            scopes: vec![],
            scope_sets: vec![],
            authz: vec![],
            limit: vec![],
            cost: NonZeroU32::MIN,
            cache: None,
            upstream: 0,
            strip_segments: 0,
            matrix_parameters: false,
            content_bytes_max: 0,
            timeout_ms: None,
            limit_fields: None,
            help: None,
        };
        let mut hosts: Vec<HostPattern> = drawn.hosts.iter().map(|host| host.parse().unwrap()).collect();
        hosts.sort();
        let span = Span::beginning_of(FileId::default());
        CompiledRoute { hosts, settings, tags: [].into(), span, written: WrittenRoute::default() }
    };
    Whole {
        routes: drawn.iter().enumerate().map(route).collect(),
        policies: tollgate_core::kinds::Policies::EMPTY,
        upstreams: vec![],
    }
}

fn conflicts_of(whole: &Whole) -> Vec<(usize, usize, Witness)> {
    let candidates: Vec<(usize, Candidate<'_>)> = whole
        .routes
        .iter()
        .enumerate()
        .flat_map(|(place, route)| {
            let CompiledRoute { hosts, settings, .. } = route;
            hosts.iter().map(move |host| {
                (place, Candidate { host, path: &settings.path, methods: &settings.methods, when: &settings.when })
            })
        })
        .collect();
    let alone: Vec<Candidate<'_>> = candidates.iter().map(|(_, candidate)| *candidate).collect();
    let found = conflicts(&alone).unwrap();
    found
        .into_iter()
        .map(|Conflict { first, second, witness }| (candidates[first].0, candidates[second].0, witness))
        .collect()
}

fn drawn() -> impl Strategy<Value = Drawn> {
    let hosts = prop::sample::select(vec![vec!["a.x"], vec!["*.x"], vec!["*"], vec!["a.x", "*"]]);
    let segment = prop::sample::select(vec![
        "a",
        "b",
        "true",
        "{x}",
        "{x:int}",
        "{x:bool}",
        "{x:(a|b)}",
        "{x:(b|c)}",
        "{x:(a|b|c)}",
        "a{x}",
        "{x}b",
        "1{x:int}",
    ]);
    let last = prop::sample::select(vec!["", "", "/", "/{*rest}"]);
    let methods = prop::sample::select(vec![vec![], vec!["GET"], vec!["PUT"], vec!["GET", "PUT"]]);
    let test = |name: &'static str| {
        let one_of = |values: &[&str]| Some(Test::OneOf(values.iter().map(|v| (*v).to_owned()).collect()));
        let tests =
            vec![None, None, None, Some(Test::Present), Some(Test::Absent), one_of(&["1"]), one_of(&["1", "2"])];
        prop::sample::select(tests).prop_map(move |test| {
            let of = if name == "x-v" { Subject::Header(name.into()) } else { Subject::Query(name.into()) };
            test.map(|test| Predicate { of, test })
        })
    };
    let path = (prop::collection::vec(segment, 0..3), last).prop_map(|(segments, last)| {
        let named = segments.iter().enumerate().map(|(n, s)| format!("/{}", s.replace("{x", &format!("{{x{n}"))));
        let path = named.collect::<String>() + last;
        if path.is_empty() { "/".to_owned() } else { path }
    });
    (hosts, path, methods, test("x-v"), test("w")).prop_map(|(hosts, path, methods, v, w)| {
        let mut when: Vec<Predicate> = v.into_iter().chain(w).collect();
        when.sort();
        Drawn { hosts, path, methods, when }
    })
}

/// Requests that distinguish almost all generated routes.
fn requests() -> Vec<Witness> {
    let texts = ["a", "b", "c", "true", "1", "12", "ab", "a1", "axb", "zz"];
    let mut paths = vec!["/".to_owned()];
    for one in texts {
        paths.extend([format!("/{one}"), format!("/{one}/")]);
        paths.extend(["a", "b", "true", "1b", "zz"].iter().map(|two| format!("/{one}/{two}")));
        paths.extend(["/a", "/zz", "/"].iter().map(|three| format!("/{one}/b{three}")));
    }
    let mut all = Vec::new();
    for path in &paths {
        for host in ["a.x", "b.x", "y"] {
            for method in ["GET", "PUT", "DELETE"] {
                for (v, w) in [
                    (None, None),
                    (Some("1"), None),
                    (None, Some("w=2")),
                    (Some("2"), Some("w=1")),
                    (Some("3"), Some("w=3")),
                ] {
                    all.push(Witness {
                        method: method.into(),
                        host: host.into(),
                        path: path.clone(),
                        query: w.map(str::to_owned),
                        fields: v.map(|v| ("x-v".to_owned(), v.to_owned())).into_iter().collect(),
                    });
                }
            }
        }
    }
    all
}

/// 40 routes for each of two tied paths have different conditions, so that every pair would have to be compared.
#[test]
fn too_many_ties_are_refused_and_not_ignored() {
    let when = |header: &str, n: usize| {
        vec![Predicate { of: Subject::Header(header.to_owned()), test: Test::OneOf(vec![n.to_string()]) }]
    };
    let drawn = |path: &str, header: &str, n: usize| Drawn {
        hosts: vec!["*"],
        path: path.to_owned(),
        methods: vec!["GET"],
        when: when(header, n),
    };
    let all: Vec<Drawn> =
        (0..40).flat_map(|n| [drawn("/ab{x}", "x-one", n), drawn("/{x}cd", "x-one", n + 100)]).collect();
    let whole = whole(&all);
    let host = HostPattern::Any;
    let candidates: Vec<Candidate<'_>> = whole
        .routes
        .iter()
        .map(|CompiledRoute { settings, .. }| Candidate {
            host: &host,
            path: &settings.path,
            methods: &settings.methods,
            when: &settings.when,
        })
        .collect();
    assert!(conflicts(&candidates).is_err());
    assert_eq!(conflicts(&candidates[..40]).map(|found| found.len()).ok(), Some(0), "400 pairs are compared");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Without a conflict, the selected route does not depend on the order of the routes.
    #[test]
    fn without_a_conflict_the_order_has_no_effect(drawn in prop::collection::vec(drawn(), 2..6)) {
        let forward = whole(&drawn);
        prop_assume!(conflicts_of(&forward).is_empty());
        let backward = whole(&drawn.iter().rev().cloned().collect::<Vec<_>>());
        let (one, other) = (Analysis::new(&forward, &[]), Analysis::new(&backward, &[]));
        for request in requests() {
            let mirrored = other.selected_route(&request).map(|place| drawn.len() - 1 - place);
            prop_assert_eq!(one.selected_route(&request), mirrored, "{}", request);
        }
    }

    /// Each of the two routes of a conflict is selected for its request if the other does not exist.
    #[test]
    fn both_routes_of_a_conflict_match_its_request(drawn in prop::collection::vec(drawn(), 2..5)) {
        for (first, second, witness) in conflicts_of(&whole(&drawn)) {
            for place in [first, second] {
                let alone = whole(&drawn[place..=place]);
                prop_assert_eq!(Analysis::new(&alone, &[]).selected_route(&witness), Some(0), "{}", witness);
            }
        }
    }

    /// A shadowed route is never selected, and a reachable route is selected for its witness.
    #[test]
    fn reachability_agrees_with_the_router(drawn in prop::collection::vec(drawn(), 2..7)) {
        let whole = whole(&drawn);
        prop_assume!(conflicts_of(&whole).is_empty());
        let analysis = Analysis::new(&whole, &[]);
        let selected: std::collections::HashSet<usize> = requests().iter().filter_map(|r| analysis.selected_route(r)).collect();
        for place in 0..drawn.len() {
            match analysis.reachability(place) {
                Reachability::Reachable(witness) => prop_assert_eq!(analysis.selected_route(&witness), Some(place)),
                Reachability::Shadowed(witness, other) => {
                    prop_assert!(!selected.contains(&place), "{}", place);
                    prop_assert_eq!(analysis.selected_route(&witness), Some(other));
                }
                Reachability::Unknown => prop_assert!(!selected.contains(&place), "{} is reachable, but that was not found", place),
            }
        }
    }
}

fn route(path: &str, methods: &[&'static str], when: &[(&str, Test)]) -> Drawn {
    let when = when.iter().map(|(name, test)| Predicate { of: Subject::Query((*name).into()), test: test.clone() });
    Drawn { hosts: vec!["a.x"], path: path.into(), methods: methods.to_vec(), when: when.collect() }
}

/// Checks whether the last of these routes is shadowed.
#[track_caller]
fn check(routes: &[Drawn], never: bool) {
    let whole = whole(routes);
    let found = Analysis::new(&whole, &[]).reachability(routes.len() - 1);
    assert_eq!(matches!(found, Reachability::Shadowed(..)), never, "{found:?}");
    assert_ne!(found, Reachability::Unknown);
}

#[test]
fn a_route_is_shadowed_if_other_routes_match_all_its_requests() {
    let get = |path: &str| route(path, &["GET"], &[]);
    check(&[get("/true"), get("/false"), get("/{x:bool}")], true);
    check(&[get("/true"), get("/{x:bool}")], false);
    check(&[get("/a"), get("/b"), get("/{x:(a|b)}")], true);
    check(&[get("/{x:(a|b)}/c"), get("/{x:(a|b)}/d"), get("/{x:(a|b)}/{y:(c|d)}")], true);
    check(&[get("/a/{y}"), get("/b/{y:int}"), get("/{x:(a|b)}/{y:int}")], true);
    check(&[get("/a/{y}"), get("/b/{y:int}"), get("/{x:(a|b)}/{y}")], false);
    check(&[get("/"), get("/{x}"), get("/{x}/{*y}"), get("/{*z}")], true);
    check(&[get("/{x}"), get("/{x}/{*y}"), get("/{*z}")], false);
    check(&[get("/"), get("/{x}"), get("/{*z}")], false);
    check(&[get("/a"), route("/{x:(a)}", &[], &[])], false);
    check(&[route("/a", &[], &[]), route("/{x:(a)}", &[], &[])], true);
    check(&[get("/a"), route("/a", &["PUT"], &[]), route("/{x:(a)}", &["GET", "PUT"], &[])], true);
}

#[test]
fn a_route_is_shadowed_if_predicates_cover_all_its_requests() {
    let one_of = |values: &[&str]| Test::OneOf(values.iter().map(|v| (*v).to_owned()).collect());
    let get = |when: &[(&str, Test)]| route("/a", &["GET"], when);
    check(&[get(&[("v", Test::Present)]), get(&[("v", Test::Absent)]), get(&[])], true);
    check(&[get(&[("v", one_of(&["1"]))]), get(&[("v", Test::Absent)]), get(&[])], false);
    check(&[get(&[("v", one_of(&["1"]))]), get(&[("v", one_of(&["2"]))]), get(&[("v", one_of(&["1", "2"]))])], true);
    let with_w = |test: Test| get(&[("v", Test::Present), ("w", test)]);
    check(&[with_w(Test::Absent), with_w(one_of(&["1"])), get(&[("v", Test::Present)])], false);
    check(&[with_w(Test::Absent), with_w(Test::Present), get(&[("v", Test::Present)])], true);
    check(&[get(&[("v", Test::Present)]), route("/{x:(a)}", &["GET"], &[])], false);
}

#[test]
fn a_wildcard_host_is_not_shadowed_by_exact_hosts() {
    let on = |host, path: &str| Drawn { hosts: vec![host], ..route(path, &["GET"], &[]) };
    check(&[on("any.x", "/"), on("any0.x", "/"), on("*.any1.x", "/"), on("*.x", "/")], false);
    check(&[on("*.example", "/"), on("*", "/")], false);
}

#[test]
fn hostile_routes_exhaust_the_budget_without_a_result() {
    // Each list has other subjects, so that all combinations would have to be tried.
    let present = |n: usize| vec![(format!("p{n}"), Test::Present), (format!("q{n}"), Test::Absent)];
    let mut routes: Vec<Drawn> = (0..400)
        .map(|n| {
            let when = present(n);
            let when: Vec<(&str, Test)> = when.iter().map(|(name, test)| (name.as_str(), test.clone())).collect();
            route("/{x:(a)}", &["GET"], &when)
        })
        .collect();
    routes.push(route("/{*rest}", &["GET"], &[]));
    let whole = whole(&routes);
    let analysis = Analysis::new(&whole, &[]);
    assert!((0..routes.len()).all(|place| !matches!(analysis.reachability(place), Reachability::Shadowed(..))));
}
