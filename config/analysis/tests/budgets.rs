//! Tests of budgets in money: how many requests one pays for, and which cannot be kept.

use std::collections::BTreeMap;

use tollgate_analysis::bounds::{count, dearest};
use tollgate_analysis::{compile_files, compile_str};
use tollgate_config::prices::Prices;
use tollgate_config::{Compiled, Diagnostics, OriginLevel, Severity, Target};
use tollgate_core::kinds::LimitPolicy;
use tollgate_core::limit::{OnUnavailable, Part, QuotaSettings};

const PRICES: &str = "format: 1\ncurrency: EUR\nas-of: 2026-11-01\ntargets:\n  \
                      spin: {requests: 2, record-reads: 1}\n  workers-paid: {requests: 1}\n";

fn project(gateway: &str, budget: &str, routes: &str) -> String {
    format!(
        "format: 1\ngateway: {{name: g{gateway}}}\nupstreams: {{u: \"http://u\"}}\npolicies:\n  keys: {{kind: api-key}}\n  \
         spend: {{kind: quota, budget: {budget}, window: day, by: api}}\napis:\n  \
         a: {{upstream: u, limit: spend, routes: [{routes}]}}\n"
    )
}

const ROUTES: &str = "{path: /a, authn: keys}, {path: /b, authn: none}";

fn compiled(project: &str, prices: Option<&str>) -> Result<Compiled, Diagnostics> {
    let own = prices.map(|prices| ("prices.yaml".to_owned(), prices.to_owned()));
    let files: BTreeMap<_, _> = own.into_iter().chain([("tollgate.yaml".to_owned(), project.to_owned())]).collect();
    compile_files(&files)
}

fn spend(compiled: &Compiled) -> &QuotaSettings {
    match &compiled.whole().policies.limit.first().expect("there is one").policy {
        LimitPolicy::Quota(settings) => settings,
        other => unreachable!("{other:?}"),
    }
}

#[track_caller]
fn refused(project: &str, prices: Option<&str>, parts: &[&str]) {
    let found = compiled(project, prices).expect_err("it is refused");
    let errors: Vec<_> = found.iter().filter(|one| one.severity == Severity::Error).collect();
    assert!(errors.len() == 1 && errors[0].code.id() == "TG0355", "{found}");
    let text = format!("{} {} {}", errors[0].what, errors[0].why, errors[0].fix);
    assert!(parts.iter().all(|part| text.contains(part)), "{text}");
}

#[test]
fn a_budget_pays_for_as_many_of_the_most_expensive_requests() {
    let project = project(", target: [native, spin, workers-paid]", "20 EUR", ROUTES);
    let compiled = compiled(&project, Some(PRICES)).unwrap_or_else(|found| unreachable!("{found}"));
    assert!(compiled.warnings().iter().all(|found| found.code.id() != "TG0355"), "{}", compiled.warnings());
    let prices = Prices::read("prices.yaml", PRICES).unwrap_or_else(|found| unreachable!("{found}"));
    let spin = prices.targets.get(&Target::Spin).expect("it has prices");
    let price = count(&compiled).iter().map(|bounds| dearest(bounds, spin)).max().expect("there are routes");
    assert!(price > 2_000_000, "{price}: the request, and its reads");
    let settings = spend(&compiled);
    let (requests, next) = (u64::from(settings.quota.get()), u64::from(settings.quota.get()) + 1);
    assert!(
        requests * price <= 20_000_000 * 1_000_000 && next * price > 20_000_000 * 1_000_000,
        "{requests} at {price}"
    );
    let told = settings.counting.budget.as_deref().unwrap_or_default();
    for part in ["20 EUR at ", " EUR a million requests on spin", "prices of 2026-11-01"] {
        assert!(told.contains(part), "{told}");
    }
    assert_eq!((&settings.counting.parts[..], settings.on_unavailable), (&[Part::Api][..], OnUnavailable::Closed));
}

#[test]
fn a_request_with_a_cost_counts_as_so_many() {
    let quota = |routes: &str| {
        let compiled =
            compiled(&project("", "1 EUR", routes), Some(PRICES)).unwrap_or_else(|found| unreachable!("{found}"));
        spend(&compiled).quota.get()
    };
    assert_eq!(quota("{path: /a, authn: none}"), 1_000_000);
    assert_eq!(quota("{path: /a, authn: none, cost: 4}"), 4_000_000);
    assert_eq!(quota("{path: /a, authn: none, cost: 4}, {path: /b, authn: none}"), 1_000_000);
}

#[test]
fn a_budget_that_cannot_be_kept_is_refused() {
    refused(&project("", "20 USD", ROUTES), Some(PRICES), &["in USD", "the prices are in EUR"]);
    refused(&project(", target: native", "20 EUR", ROUTES), Some(PRICES), &["costs nothing on `native`"]);
    let dear = PRICES.replace("workers-paid: {requests: 1}", "workers-paid: {requests: 1000000}");
    refused(&project("", "0.5 EUR", ROUTES), Some(&dear), &["does not pay for one request", "1000000.000000 EUR"]);
}

#[test]
fn the_built_in_list_is_used_with_a_warning() {
    let text = project("", "20 USD", ROUTES);
    for found in [compiled(&text, None), compile_str("tollgate.yaml", &text)] {
        let compiled = found.unwrap_or_else(|found| unreachable!("{found}"));
        assert!(compiled.warnings().iter().any(|found| found.code.id() == "TG0355"), "{}", compiled.warnings());
        assert!(spend(&compiled).quota.get() > 1_000_000);
    }
}

#[test]
fn explain_shows_what_a_budget_is_and_of_what_it_was_computed() {
    let text = project("", "1 EUR", "{path: /a, authn: none}").replace(", by: api", "");
    let compiled = compiled(&text, Some(PRICES)).unwrap_or_else(|found| unreachable!("{found}"));
    let origins = compiled.origins(&compiled.routes()[0]);
    for (key, want) in [
        ("budget", "1 EUR at 1.000000 EUR a million requests on workers-paid, prices of 2026-11-01"),
        ("quota", "1000000"),
        ("by", "[route]"),
        ("on-unavailable", "closed"),
    ] {
        let shown = origins.iter().find(|origin| origin.setting == format!("policies.spend.{key}"));
        assert_eq!(shown.map(|origin| origin.value.as_str()), Some(want), "{key}");
        let is_written = key == "budget";
        let level = if is_written { OriginLevel::Policy } else { OriginLevel::Computed };
        assert_eq!(shown.map(|origin| origin.level), Some(level), "{key}");
    }
}

#[test]
fn a_number_of_calls_needs_no_prices() {
    let compiled = compiled(&project("", "500 calls", ROUTES), None).unwrap_or_else(|found| unreachable!("{found}"));
    assert!(compiled.warnings().iter().all(|found| found.code.id() != "TG0355"), "{}", compiled.warnings());
    assert_eq!((spend(&compiled).quota.get(), spend(&compiled).counting.budget.as_deref()), (500, Some("500 calls")));
}
