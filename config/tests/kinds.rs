//! Lists of policies: guards before authentication, and alternatives of several authenticators.

use tollgate_analysis::compile_str;
use tollgate_config::{Compiled, Diagnostics, Severity};

/// A project with further settings of its API.
fn project(api: &str) -> String {
    format!(
        "\
format: 1
gateway: {{name: acme, authn: none}}
upstreams: {{u: \"http://u\"}}
policies:
  staff: {{kind: api-key}}
  partners: {{kind: api-key, scheme: Bearer, header: Authorization}}
  signature: {{kind: api-key, header: X-Signature}}
  office: {{kind: ip-filter, allow: [10.0.0.0/8]}}
  slow: {{kind: rate-limit, rate: 1/s, by: address}}
  burst: {{kind: rate-limit, rate: 1/s}}
apis: {{a: {{upstream: u, routes: [{{path: /x}}], {api}}}}}
"
    )
}

fn compile(api: &str) -> Result<Compiled, Diagnostics> {
    compile_str("tollgate.yaml", &project(api))
}

/// Checks the authentication of a route: alternatives are separated by `/`, the policies of one alternative by `+`.
#[track_caller]
fn check_authn(authn: &str, expected: &str) {
    let compiled = compile(&format!("authn: {authn}")).expect("a project without mistakes");
    let route = &compiled.routes()[0];
    let name = |place| compiled.policies().view(place).map(|policy| policy.name).unwrap_or_default();
    let alternative =
        |places: &Vec<_>| places.iter().map(|place| name(*place).to_owned()).collect::<Vec<_>>().join("+");
    let all: Vec<String> = route.settings.authn.iter().map(alternative).collect();
    assert_eq!(all.join("/"), expected, "{authn}");
    let shown: Vec<String> =
        compiled.origins(route).into_iter().filter(|o| o.setting == "authn").map(|o| o.value).collect();
    assert_eq!(shown.join("/"), expected.replace('+', " + "), "{authn}");
}

/// Checks the codes of the errors for these settings of the API.
#[track_caller]
fn check_refused(api: &str, expected: &[&str]) {
    let found = compile(api).map_or_else(|found| found, |compiled| compiled.warnings().clone());
    let codes: Vec<_> =
        found.iter().filter(|found| found.severity == Severity::Error).map(|found| found.code.id()).collect();
    assert_eq!(codes, expected, "{api}\n{found}");
}

#[test]
fn one_alternative_must_accept_and_within_it_every_policy() {
    check_authn("staff", "staff");
    check_authn("[staff, partners]", "staff/partners");
    check_authn("{any: [staff, partners]}", "staff/partners");
    check_authn("{all: [partners, signature]}", "partners+signature");
    check_authn("[staff, {all: [partners, signature]}]", "staff/partners+signature");
    check_authn("{any: [{all: [partners, signature]}, staff], replace: true}", "partners+signature/staff");
}

#[test]
fn invalid_alternatives_are_refused() {
    check_refused("authn: {any: [staff], all: [partners]}", &["TG0201"]);
    check_refused("authn: {replace: true}", &["TG0203"]);
    check_refused("authn: [staff, {all: []}]", &["TG0212"]);
    check_refused("authn: [{all: [staff, partners]}, {all: [partners, staff]}]", &["TG0213"]);
    check_refused("authn: {any: [{any: [staff]}]}", &["TG0203", "TG0201"]);
    check_refused("authn: [{all: [staff, nobody]}]", &["TG0302"]);
    check_refused("authn: [{all: [staff, burst]}]", &["TG0303"]);
}

#[test]
fn guards_are_filters_and_limits_by_address() {
    let compiled = compile("guard: [slow, office], authn: staff").expect("a project without mistakes");
    let settings = &compiled.routes()[0].settings;
    let names = |views: Vec<&str>| views.join(",");
    let all = compiled.policies();
    assert_eq!(names(all.at(&settings.guard).map(|guard| guard.name.as_str()).collect()), "office");
    assert_eq!(names(all.at(&settings.guard_limit).map(|limit| limit.name.as_str()).collect()), "slow");
    let origins = compiled.origins(&compiled.routes()[0]);
    let shown: Vec<_> = origins.iter().filter(|o| o.setting == "guard").map(|o| o.value.as_str()).collect();
    assert_eq!(shown, ["slow", "office"]);
    let allowed = origins.iter().find(|o| o.setting == "policies.office.allow").map(|o| o.value.as_str());
    assert_eq!(allowed, Some("[10.0.0.0/8]"));
}

#[test]
fn a_limit_in_the_guard_is_charged_the_cost_of_the_route() {
    let text = project("guard: slow, authn: staff").replace("{path: /x}", "{path: /x, cost: 5}");
    let compiled = compile_str("tollgate.yaml", &text).expect("a project without mistakes");
    assert!(compiled.warnings().iter().all(|found| found.code.id() != "TG0310"), "{}", compiled.warnings());
    let compiled = compile("guard: slow, authn: staff").expect("a project without mistakes");
    let origins = compiled.origins(&compiled.routes()[0]);
    assert_eq!(origins.iter().find(|o| o.setting == "cost").map(|o| o.value.as_str()), Some("1"));
}

#[test]
fn a_limit_in_both_guard_and_limit_is_refused() {
    check_refused("guard: slow, limit: slow", &["TG0314"]);
    check_refused("guard: slow, limit: burst", &[]);
    let with_guarded_gateway = |api: &str| {
        let text = project(api).replace("authn: none", "authn: none, guard: {use: [slow], locked: true}");
        compile_str("tollgate.yaml", &text)
    };
    let found = with_guarded_gateway("limit: [burst, slow]").expect_err("the gateway lists it in `guard`");
    let places: Vec<_> = found.iter().map(|found| (found.code.id(), found.span.start.line)).collect();
    assert_eq!(places, [("TG0314", 11)], "{found}");
    with_guarded_gateway("limit: burst").expect("another limit");
    with_guarded_gateway("guard: slow, limit: burst").expect("a policy that is already in the list is not added again");
}

#[test]
fn policies_that_cannot_be_guards_are_refused() {
    check_refused("guard: burst", &["TG0303"]);
    check_refused("guard: staff", &["TG0303"]);
    let found = compile("guard: staff").expect_err("a guard cannot be an authenticator");
    let fix = &found.iter().next().expect("one finding").fix;
    assert_eq!(fix, "name a policy of kind `ip-filter`, or a limit with `by: address`");
    check_refused("limit: office", &["TG0303"]);
    check_refused("guard: {any: [office]}", &["TG0203", "TG0201"]);
}

#[test]
fn a_filter_requires_valid_networks() {
    let check = |filter: &str, expected: &[&str]| {
        let text = project("guard: office").replace("allow: [10.0.0.0/8]", filter);
        let found =
            compile_str("tollgate.yaml", &text).map_or_else(|found| found, |compiled| compiled.warnings().clone());
        let codes: Vec<_> =
            found.iter().filter(|found| found.severity == Severity::Error).map(|found| found.code.id()).collect();
        assert_eq!(codes, expected, "{filter}\n{found}");
    };
    check("deny: [192.0.2.0/24, \"2001:db8::/32\", 192.0.2.9]", &[]);
    check("deny: [\"::ffff:192.0.2.0/120\", \"::/0\"]", &[]);
    check("deny: [10.0.0.1/8]", &["TG0313"]);
    check("deny: [\"::ffff:10.0.0.0/8\"]", &["TG0313"]);
    check("allow: [10.0.0.0/33], deny: [somewhere]", &["TG0313", "TG0313"]);
    check("allow: []", &["TG0212"]);
    check("kindly: true", &["TG0203", "TG0201"]);
}

/// Checks the codes and the texts of what is found in a project with these policies and this route.
#[track_caller]
fn check_found(policies: &str, route: &str, expected: &[(&str, &str)]) {
    let text = format!(
        "format: 1\ngateway: {{name: acme}}\nupstreams: {{u: \"http://u\"}}\npolicies: {{keys: {{kind: api-key}}, {policies}}}\n\
         apis: {{a: {{upstream: u, routes: [{{path: /x, methods: [GET], {route}}}, {{path: /k, methods: [GET], authn: keys}}]}}}}\n"
    );
    let found = compile_str("tollgate.yaml", &text).map_or_else(|found| found, |compiled| compiled.warnings().clone());
    let all: Vec<_> = found.iter().collect();
    assert_eq!(all.len(), expected.len(), "{text}{found}");
    for (found, (code, part)) in all.iter().zip(expected) {
        let said = format!("{} {} {}", found.what, found.why, found.fix);
        assert!(found.code.id() == *code && said.contains(part), "{text}{said}");
    }
}

const JWT: &str = "staff: {kind: jwt, issuer: \"https://i\", audience: a";

#[test]
fn a_condition_that_needs_claims_is_reported_where_no_caller_has_any() {
    let with = |allow: &str| format!("{JWT}}}, own: {{kind: condition, allow: \"{allow}\"}}");
    let needs = "principal.claims.tenant == 'a'";
    check_found(&with(needs), "authn: staff, authz: own", &[]);
    check_found(&with(needs), "authn: [staff, keys], authz: own", &[]);
    let elsewhere = "authn: keys, authz: own}, {path: /y, methods: [GET], authn: staff";
    check_found(&with(needs), elsewhere, &[("TG0333", "no policy in `authn` of the route reads tokens")]);
    check_found(&with(&format!("!has(principal.claims.tenant) || {needs}")), elsewhere, &[]);
    check_found(&with(&format!("principal.plan == 'gold' || {needs}")), elsewhere, &[]);
}

#[test]
fn a_limit_by_installation_is_reported_where_no_token_is_bound() {
    let device = "device: {kind: rate-limit, rate: 1/s, by: installation}";
    let with = |binding: &str| format!("{JWT}{binding}}}, {device}");
    check_found(&with(", binding: dpop"), "authn: staff, limit: device", &[]);
    check_found(&with(", binding: dpop"), "authn: [keys, staff], limit: device", &[]);
    check_found(&with(""), "authn: staff, limit: device", &[("TG0349", "counts by consumer on this route")]);
    check_found(device, "authn: keys, limit: device", &[("TG0349", "`binding: dpop`")]);
}

#[test]
fn consumers_that_no_token_has_are_reported() {
    let with = |more: &str, name: &str| format!("{JWT}{more}, on-unavailable: known, outage-consumers: [\"{name}\"]}}");
    let route = "authn: staff";
    check_found(&with("", "staff:ada"), route, &[]);
    check_found(&with("", "ada"), route, &[("TG0345", "write `staff:ada`")]);
    check_found(&with(", consumer-prefix: \"x:\"", "staff:ada"), route, &[("TG0345", "begin with `x:`")]);
    check_found(&with(", consumer-prefix: \"\"", "ada"), route, &[]);
    check_found(&with(", map-consumers: {ada: sub=1}", "ada"), route, &[]);
}
