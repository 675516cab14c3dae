//! Whatever routes stand beside a specification: a request that it describes as guarded is not answered by a route that
//! requires less, unless a finding says so about that route.
//!
//! Which operation describes a request is decided here without the compiler, and which route answers it by the router.

mod secured;

use std::collections::{BTreeMap, HashSet};

use proptest::prelude::*;
use secured::document;
use tollgate_analysis::{compile_files, proofs::Analysis};
use tollgate_config::{Compiled, CompiledRoute, Witness};

/// Segments of paths; those with `:` have types in the specification by a schema, and in routes by their template.
const SEGMENTS: &[&str] = &[
    "orders",
    "new",
    "5",
    "{a}",
    "{b}",
    "{i:int}",
    "{w:(new|old)}",
    "{u:uuid}",
    "v{c}",
    "~{t}",
    "{d}.pdf",
    "{e}.{f}",
    "{p+}",
];

/// How many of them a route cannot have.
const WITHOUT_TEMPLATE: usize = 2;

/// What can be required: the policies and scopes of a route, and `security` of the same meaning.
const REQUIRED: &[(&str, &str)] = &[
    ("authn: none", "[]"),
    ("authn: k", "[{k: []}]"),
    ("authn: o", "[{o: []}]"),
    ("authn: {any: [{all: [k, o]}]}", "[{k: [], o: []}]"),
    ("authn: {any: [k, o]}", "[{k: []}, {o: []}]"),
    ("authn: k, scopes: [r]", "[{k: [r]}]"),
];

/// Values for the segments of requests.
const VALUES: &[&str] = &[
    "orders",
    "new",
    "old",
    "5",
    "5.0",
    "abc",
    "v1",
    "v1.0",
    "a.b",
    "~x",
    "~x.y",
    "x.pdf",
    "018f3c2a-7d1e-7000-8000-000000000000",
];

#[derive(Clone, Debug)]
struct Written {
    path: Vec<&'static str>,
    method: &'static str,
    required: usize,
    is_hidden: bool,
    /// Whether a route has a condition, and whether it is one of another API.
    is_conditional: bool,
    is_of_other: bool,
}

fn written(segments: &'static [&'static str]) -> impl Strategy<Value = Written> {
    (
        proptest::collection::vec(proptest::sample::select(segments), 1..3),
        proptest::sample::select(&["GET", "GET", "HEAD", "POST"][..]),
        0..REQUIRED.len(),
        proptest::bool::weighted(0.15),
        proptest::bool::weighted(0.15),
        proptest::bool::weighted(0.3),
    )
        .prop_map(|(path, method, required, is_hidden, is_conditional, is_of_other)| Written {
            path,
            method,
            required,
            is_hidden,
            is_conditional,
            is_of_other,
        })
}

impl Written {
    /// Its path in a specification, which has no types, or in a route.
    fn path(&self, is_typed: bool) -> String {
        let untyped = |segment: &&str| match segment.split_once(':') {
            Some((name, _)) if !is_typed => format!("{name}}}"),
            _ => (*segment).to_owned(),
        };
        format!("/{}", self.path.iter().map(untyped).collect::<Vec<_>>().join("/"))
    }

    fn parameters(&self) -> String {
        let schema = |segment: &&str| match *segment {
            "{i:int}" => Some("{name: i, in: path, required: true, schema: {type: integer}}"),
            "{w:(new|old)}" => Some("{name: w, in: path, required: true, schema: {type: string, enum: [new, old]}}"),
            "{u:uuid}" => Some("{name: u, in: path, required: true, schema: {type: string, format: uuid}}"),
            _ => None,
        };
        self.path.iter().filter_map(schema).collect::<Vec<_>>().join(", ")
    }

    fn is_for(&self, method: &str, path: &[&str]) -> bool {
        self.method == method && takes(&self.path, path, &takes_text)
    }

    /// Whether all requests for this path are among those of another one.
    fn is_within(&self, other: &Self) -> bool {
        let is_wider = |wide: &str, own: &str| match (own, wide) {
            (own, wide) if own == wide => true,
            ("{d}.pdf", "{e}.{f}") => true,
            ("{p+}", _) | (_, "v{c}" | "~{t}" | "{d}.pdf" | "{e}.{f}") => false,
            (_, wide) => wide.starts_with('{'),
        };
        takes(&other.path, &self.path, &is_wider)
    }
}

/// Whether each segment takes one of these, and `{p+}` one or more.
fn takes(segments: &[&str], others: &[&str], is_taken: &dyn Fn(&str, &str) -> bool) -> bool {
    let (Some((first, rest)), Some((other, further))) = (segments.split_first(), others.split_first()) else {
        return segments.is_empty() && others.is_empty();
    };
    match *first {
        "{p+}" => takes(rest, further, is_taken) || takes(segments, further, is_taken),
        first => is_taken(first, other) && takes(rest, further, is_taken),
    }
}

fn takes_text(segment: &str, text: &str) -> bool {
    match segment {
        "v{c}" => text.len() > 1 && text.starts_with('v'),
        "~{t}" => text.len() > 1 && text.starts_with('~'),
        "{d}.pdf" => text.len() > 4 && text.ends_with(".pdf"),
        "{e}.{f}" => text.find('.').is_some_and(|dot| dot > 0 && dot + 1 < text.len()),
        segment => segment.starts_with('{') || segment == text,
    }
}

/// The operations that describe a request: those of which no other one is more specific.
fn describing<'w>(operations: &'w [Written], method: &str, path: &[&str]) -> Vec<&'w Written> {
    let of = |method: &str| operations.iter().filter(|one| one.is_for(method, path)).collect::<Vec<_>>();
    let mut all = of(method);
    if method == "HEAD" {
        // A path without an operation for `HEAD` has it as part of `GET`.
        let is_part = |get: &&Written| !operations.iter().any(|one| one.method == "HEAD" && one.path == get.path);
        all.extend(of("GET").into_iter().filter(is_part));
    }
    let is_narrower = |one: &Written, other: &Written| one.is_within(other) && !other.is_within(one);
    all.iter().filter(|one| !all.iter().any(|other| is_narrower(other, one))).copied().collect()
}

/// Whether a caller of a route has what an operation requires, by the indices of what both require.
fn is_enough(route: &CompiledRoute, compiled: &Compiled, required: usize) -> bool {
    let names = |together: &Vec<_>| -> Vec<String> {
        compiled.policies().at(together).map(|named| named.name.to_string()).collect()
    };
    let all: Vec<Vec<String>> = route.settings.authn.iter().map(names).collect();
    let each = |is_met: &dyn Fn(&Vec<String>) -> bool| !all.is_empty() && all.iter().all(is_met);
    let has = |together: &Vec<String>, name: &str| together.iter().any(|own| own == name);
    match required {
        0 => true,
        1 => each(&|one| has(one, "k")),
        2 => each(&|one| has(one, "o")),
        3 => each(&|one| has(one, "k") && has(one, "o")),
        4 => each(&|one| has(one, "k") || has(one, "o")),
        _ => each(&|one| has(one, "k")) && route.settings.scopes.iter().any(|scope| scope == "r"),
    }
}

fn compiled(operations: &[Written], routes: &[Written]) -> Option<Compiled> {
    let mut items: BTreeMap<String, String> = BTreeMap::new();
    for one in operations {
        let (authn, security) = REQUIRED[one.required];
        let hidden = if one.is_hidden { ", hidden: true" } else { "" };
        let (method, parameters) = (one.method.to_lowercase(), one.parameters());
        items.entry(one.path(false)).or_default().push_str(&format!(
            "{method}: {{security: {security}, parameters: [{parameters}], x-tollgate: {{{authn}{hidden}}}}}, "
        ));
    }
    let paths: String = items.iter().map(|(path, item)| format!("  '{path}': {{{item}}}\n")).collect();
    let route = |(n, one): (usize, &Written)| {
        let when = if one.is_conditional { ", when: {query: {q: present}}" } else { "" };
        let authn = REQUIRED[one.required].0;
        format!("{{path: '{}', methods: [{}], id: r{n}, {authn}{when}}}, ", one.path(true), one.method)
    };
    let of = |is_of_other: bool| -> String {
        routes.iter().enumerate().filter(|(_, one)| one.is_of_other == is_of_other).map(route).collect()
    };
    let project = format!(
        "format: 1
gateway: {{name: test, limit: none, authn: none, hosts: [a.example]}}
upstreams: {{u: \"http://localhost:9000\"}}
policies: {{k: {{kind: api-key}}, o: {{kind: api-key, header: Authorization, scheme: Bearer}}}}
apis:
  a: {{upstream: u, spec: s.yaml, routes: [{}]}}
  b: {{upstream: u, routes: [{}{{path: /used, id: used, authn: {{any: [k, o]}}}}]}}
",
        of(false),
        of(true),
    );
    let files = [("tollgate.yaml", project), ("s.yaml", document(&paths))];
    compile_files(&files.map(|(name, text)| (name.to_owned(), text)).into()).ok()
}

/// The requests for which no finding says that less is required.
fn check(operations: &[Written], routes: &[Written]) -> Result<(), TestCaseError> {
    let Some(compiled) = compiled(operations, routes) else { return Ok(()) };
    let analysis = Analysis::new(compiled.whole(), &[]);
    let said: Vec<_> = compiled.warnings().iter().filter(|found| found.code.id() == "TG0706").collect();
    let is_said = |route: &CompiledRoute| {
        said.iter().any(|found| found.span == route.span || found.related.iter().any(|at| at.span == route.span))
    };
    let pairs = VALUES.iter().flat_map(|first| VALUES.iter().map(move |second| vec![*first, *second]));
    let paths: Vec<Vec<&str>> = VALUES.iter().map(|one| vec![*one]).chain(pairs).collect();
    for (path, method) in paths.iter().flat_map(|path| ["GET", "HEAD", "POST"].map(|method| (path, method))) {
        for query in [None, Some("q=1".to_owned())] {
            let request = Witness {
                method: method.to_owned(),
                host: "a.example".to_owned(),
                path: format!("/{}", path.join("/")),
                query,
                fields: Vec::new(),
            };
            let Some(route) = analysis.selected_route(&request).map(|place| &compiled.routes()[place]) else {
                continue;
            };
            for operation in describing(operations, method, path) {
                prop_assert!(
                    is_enough(route, &compiled, operation.required) || is_said(route),
                    "{request}: `{}` answers in place of {operation:?}\n{}",
                    route.settings.id,
                    compiled.warnings()
                );
            }
        }
    }
    Ok(())
}

#[test]
fn requests_that_were_once_missed_are_found() {
    let one = |path: &[&'static str], required| Written {
        path: path.to_vec(),
        method: "GET",
        required,
        is_hidden: false,
        is_conditional: false,
        is_of_other: false,
    };
    let result = check(&[one(&["{e}.{f}", "{e}.{f}"], 5)], &[one(&["{d}.pdf", "{a}"], 0)]);
    assert!(result.is_ok(), "{result:?}");
    // The type of an operation gives it precedence over a route.
    let hidden = Written { is_hidden: true, ..one(&["new", "5"], 1) };
    let result = check(&[hidden, one(&["{w:(new|old)}", "{a}"], 0)], &[one(&["{a}", "5"], 0)]);
    assert!(result.is_ok(), "{result:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, max_shrink_iters: 400, ..ProptestConfig::default() })]

    #[test]
    fn no_route_answers_a_guarded_request_with_less_silently(
        operations in proptest::collection::vec(written(SEGMENTS), 1..4),
        routes in proptest::collection::vec(written(&SEGMENTS[..SEGMENTS.len() - WITHOUT_TEMPLATE]), 0..3),
    ) {
        let mut seen = HashSet::new();
        let operations: Vec<Written> =
            operations.into_iter().filter(|one| seen.insert((one.path(false), one.method))).collect();
        check(&operations, &routes)?;
    }
}
