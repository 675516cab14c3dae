//! Plans, subscriptions and grants: records that change limits.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::rc::Rc;

use serde_json::{Value, json};
use tollgate_core::authn::Credential;
use tollgate_core::bounds::CREDENTIAL_FRESH_MS;
use tollgate_core::entitlement::PlanNumbers;
use tollgate_core::event::{Event, Reason};
use tollgate_core::kinds::{Named, Place};
use tollgate_core::limit::{Counting, LimitBy, OnUnavailable, Part, QuotaSettings, Unit, Windows};
use tollgate_core::operator::Role;
use tollgate_core::settings::{EntitledLimit, EntitledSettings, GatewaySettings, RouteSettings};
use tollgate_edge::{Freshness, Isolate, IsolateSettings, OperatorSettings};
use tollgate_kv_schemas::Bundle;

use crate::bench::{Answer, Bench, KEYS, credential, gateway, key, ok, on_any_host, request, route, site};

/// A gateway with a quota of three in a day that records may raise to 100, for two APIs, and one that no record changes.
fn bench(parts: &[Part]) -> Bench {
    let counting = Counting { at_most: NonZeroU32::new(100), parts: parts.to_vec(), ..Counting::default() };
    let quota = |counting| QuotaSettings {
        quota: NonZeroU32::new(3).unwrap(),
        windows: Windows { unit: Unit::Day, anchor: None, zone: None, zone_name: String::new() },
        by: LimitBy::Consumer,
        on_unavailable: OnUnavailable::Open,
        plans: BTreeMap::from([("gold".to_owned(), NonZeroU32::new(4).unwrap())]),
        counting,
    };
    let api = |api: &str, limit| RouteSettings {
        api: api.into(),
        authn: vec![vec![KEYS]],
        limit: vec![Place::new(limit)],
        ..route(&format!("/{api}"), &["GET"])
    };
    let mut site = site(vec![api("pets", 7), api("maps", 7), api("fixed", 8)]);
    site.policies.push(Named { name: "daily".into(), policy: quota(counting).into() });
    site.policies.push(Named { name: "fixed".into(), policy: quota(Counting::default()).into() });
    let mut bench = Bench::new(vec![], ok(&[], "hello"));
    let limits = vec![EntitledLimit {
        policy: "daily".into(),
        at_most: NonZeroU32::new(100).unwrap(),
        number: NonZeroU32::new(3),
        period_ms: None,
        plans: BTreeMap::from([("gold".to_owned(), NonZeroU32::new(4).unwrap())]),
    }];
    let entitled = Some(EntitledSettings { limits, apis: vec!["maps".into(), "pets".into()] });
    let plans = Some(vec!["gold".to_owned()]);
    bench.host.records.publish(&Bundle::new(&GatewaySettings { entitled, plans, ..gateway() }, &on_any_host(site)));
    let secret = format!("ada:{}", token());
    bench.host.secrets.put(Role::Operate.secret_name(), secret);
    let settings = IsolateSettings { gateway: "acme".into(), freshness: Freshness::Cached };
    let operators = OperatorSettings { answers: true, ..OperatorSettings::default() };
    bench.isolate = Rc::new(Isolate::new(settings).with_operator(operators));
    bench.add(&key(), &credential());
    bench
}

fn token() -> String {
    format!("operate-{}", "0".repeat(32))
}

impl Bench {
    fn entitle(&self, path: &str, content: &Value) -> Answer {
        let bearer = format!("Bearer {}", token());
        let fields = [("content-type", "application/json"), ("authorization", bearer.as_str())];
        let content: &'static str = Box::leak(content.to_string().into_boxed_str());
        self.send(request("POST", &format!("/.tollgate/v1/{path}"), &fields, content))
    }

    #[track_caller]
    fn entitled(&self, path: &str, content: &Value) -> Value {
        let answer = self.entitle(path, content);
        assert_eq!(answer.status, 200, "{answer:?}");
        serde_json::from_slice(&answer.content).unwrap()
    }

    #[track_caller]
    fn refused(&self, path: &str, content: &Value, why: &str) {
        let answer = self.entitle(path, content);
        let text = String::from_utf8_lossy(&answer.content).into_owned();
        assert!((400..500).contains(&answer.status) && text.contains(why), "{} {text}", answer.status);
    }

    fn ask_api(&self, api: &str) -> Answer {
        self.get(&format!("/{api}"), &[("x-api-key", key().expose())])
    }

    /// The quota and what remains of it, as the response says.
    fn quota(&self, api: &str) -> (u16, String) {
        let answer = self.ask_api(api);
        let number = |field: &str, name: &str| {
            let value = answer.field(field).split(';').find_map(|part| part.strip_prefix(name)).unwrap_or("");
            value.to_owned()
        };
        (answer.status, format!("{} of {}", number("ratelimit", "r="), number("ratelimit-policy", "q=")))
    }

    fn products(&self) {
        self.entitled("products", &json!({"name": "pets", "apis": ["pets"]}));
        self.entitled("products", &json!({"name": "maps", "apis": ["maps"]}));
        self.entitled("plans", &json!({"name": "pro", "product": "pets", "limits": ["daily=10"]}));
        self.entitled("plans", &json!({"name": "large", "product": "pets", "limits": ["daily=20"]}));
        self.entitled("plans", &json!({"name": "mapper", "product": "maps", "limits": ["daily=5"]}));
    }

    fn subscribe(&self, product: &str, plan: &str) -> Value {
        self.entitled("subscriptions", &json!({"consumer": "acme-inc", "product": product, "plan": plan}))
    }
}

#[test]
fn a_subscription_gives_the_numbers_of_its_plan_for_the_apis_of_its_product() {
    let bench = bench(&[]);
    assert_eq!(bench.quota("pets"), (200, "3 of 4".into()), "the plan of the credential, by the configuration");
    bench.products();
    bench.subscribe("pets", "pro");
    let answer = bench.ask_api("pets");
    assert_eq!(answer.record.events.plan(), Some("pro"), "as telemetry tells it");
    assert_eq!(bench.quota("pets"), (200, "7 of 10".into()), "what was used stays used");
    assert_eq!(bench.quota("maps"), (200, "0 of 4".into()), "another API, without a subscription");
    assert_eq!(bench.quota("fixed"), (200, "3 of 4".into()), "a limit without `at-most`");
    let change = json!({"consumer": "acme-inc", "product": "pets", "plan": "large"});
    bench.entitled("subscriptions/change", &change);
    assert_eq!(bench.quota("pets"), (200, "15 of 20".into()), "the difference is there at once");
    bench.entitled("subscriptions/end", &json!({"consumer": "acme-inc", "product": "pets"}));
    bench.host.clock.advance(1);
    assert_eq!(bench.quota("pets").0, 429, "five were used, of four");
}

#[test]
fn a_plan_change_takes_effect_for_all_subscribers_within_the_time_of_a_revocation() {
    let bench = bench(&[]);
    bench.products();
    bench.subscribe("pets", "pro");
    let other = Bench { isolate: bench.another_isolate(), host: bench.host };
    assert_eq!(other.quota("pets"), (200, "9 of 10".into()));
    let bench = Bench { isolate: bench.isolate, host: other.host };
    bench.entitled("plans", &json!({"name": "pro", "product": "pets", "limits": ["daily=1"]}));
    let other = Bench { isolate: other.isolate, host: bench.host };
    assert_eq!(other.quota("pets"), (200, "8 of 10".into()), "it remembers what it has read");
    other.host.clock.advance(CREDENTIAL_FRESH_MS);
    assert_eq!(other.quota("pets").0, 429);
}

#[test]
fn records_are_read_again_behind_a_reply_before_they_are_old() {
    let bench = bench(&[]);
    bench.products();
    bench.subscribe("pets", "pro");
    let other = Bench { isolate: bench.another_isolate(), host: bench.host };
    assert_eq!(other.quota("pets").0, 200);
    other.host.clock.advance(CREDENTIAL_FRESH_MS / 2);
    assert_eq!(other.quota("pets").0, 200);
    other.host.clock.advance(CREDENTIAL_FRESH_MS / 2);
    for key in ["acme:entitlements:acme-inc", "acme:catalogue"] {
        other.host.records.delay(key, 9_000);
    }
    let answer = other.ask_api("pets");
    assert!(
        answer.record.events.as_slice().iter().all(|event| event.reason.code() != "subscriptions-away"),
        "{answer:?}"
    );
    assert_eq!(other.quota("pets"), (200, "6 of 10".into()));
}

#[test]
fn a_grant_raises_a_limit_until_it_ends_and_the_trace_says_so() {
    let bench = bench(&[]);
    let grant = json!({"consumer": "acme-inc", "policy": "daily", "raise": "50", "for": "1h", "why": "launch", "validated_by": "grace"});
    let given = bench.entitled("grants", &grant);
    assert_eq!(
        (&given["by"], &given["why"], &given["validated_by"]),
        (&json!("ada"), &json!("launch"), &json!("grace"))
    );
    let id = given["id"].as_str().unwrap();
    let answer = bench.ask_api("pets");
    let reasons: Vec<String> = answer.record.events.as_slice().iter().map(|event| event.reason.to_string()).collect();
    let told = format!("raised to 50 until 2027-01-15T09:00:00.000Z by {id}");
    assert!(reasons.contains(&told), "{reasons:?}");
    assert_eq!(bench.quota("pets"), (200, "48 of 50".into()));
    bench.host.clock.advance(3_599_000);
    assert_eq!(bench.quota("pets"), (200, "47 of 50".into()));
    bench.host.clock.advance(1_000);
    assert_eq!(bench.quota("pets"), (200, "0 of 4".into()), "nothing had to run");
    let revoke = json!({"consumer": "acme-inc", "id": id});
    assert_eq!(bench.entitled("grants/revoke", &revoke)["revoked"], json!(true));
}

#[test]
fn a_revoked_grant_raises_nothing() {
    let bench = bench(&[]);
    let grant = json!({"consumer": "acme-inc", "policy": "daily", "raise": "200%", "for": "1h", "why": "launch"});
    let id = bench.entitled("grants", &grant)["id"].clone();
    assert_eq!(bench.quota("pets"), (200, "7 of 8".into()));
    bench.entitled("grants/revoke", &json!({"consumer": "acme-inc", "id": id}));
    assert_eq!(bench.quota("pets"), (200, "2 of 4".into()));
}

#[test]
fn quotas_by_subscription_are_not_shared_by_the_products_of_a_consumer() {
    let bench = bench(&[Part::Subscription]);
    bench.products();
    bench.subscribe("pets", "pro");
    bench.subscribe("maps", "mapper");
    assert_eq!((bench.quota("pets"), bench.quota("maps")), ((200, "9 of 10".into()), (200, "4 of 5".into())));
    assert_eq!((bench.quota("pets"), bench.quota("maps")), ((200, "8 of 10".into()), (200, "3 of 5".into())));
}

#[test]
fn while_the_store_is_away_limits_are_as_without_a_subscription_and_the_trace_says_so() {
    let bench = bench(&[]);
    bench.products();
    bench.subscribe("pets", "pro");
    let other = Bench { isolate: bench.another_isolate(), host: bench.host };
    assert_eq!(other.quota("fixed").0, 200, "configuration and key are remembered");
    other.host.records.delay("acme:entitlements:acme-inc", 9_000);
    let answer = other.ask_api("pets");
    assert_eq!((answer.status, answer.field("ratelimit-policy").contains("q=4")), (200, true), "{answer:?}");
    assert!(answer.record.events.as_slice().iter().any(|event| event.reason.code() == "subscriptions-away"));
    other.host.records.delay("acme:entitlements:acme-inc", 0);
    assert_eq!(other.quota("pets"), (200, "8 of 10".into()));
}

#[test]
fn what_hides_a_mistake_is_refused_with_what_there_is() {
    let bench = bench(&[]);
    bench.refused("products", &json!({"name": "p", "apis": ["pest"]}), "no API pest");
    bench.products();
    let new = |plan: &str, product: &str| json!({"consumer": "acme-inc", "product": product, "plan": plan});
    bench.refused("subscriptions", &new("proo", "pets"), "no plan proo; it has large, mapper, pro");
    bench.refused("subscriptions", &new("pro", "pest"), "no product pest; it has maps, pets");
    bench.refused("subscriptions", &new("mapper", "pets"), "The plan mapper is one of the product maps");
    bench.refused("subscriptions/change", &new("pro", "pets"), "has no subscription to pets");
    bench.subscribe("pets", "pro");
    bench.refused("subscriptions", &new("pro", "pets"), "is subscribed to pets already");
    let plan = |limit: &str| json!({"name": "x", "limits": [limit]});
    bench.refused("plans", &plan("dayly=5"), "no limit dayly with `at-most`");
    bench.refused("plans", &plan("fixed=5"), "it has daily");
    bench.refused("plans", &plan("daily=101"), "101 is more than the 100 that the limit daily allows");
    bench.refused("plans", &plan("daily=0"), "gives a limit no number");
    bench.refused("plans", &plan("daily=+5"), "gives a limit no number");
    bench.refused("plans", &json!({"name": "x", "limits": ["daily=5", "daily=6"]}), "two numbers for daily");
    let grant = |raise: &str, until: &str| json!({"consumer": "a", "policy": "daily", "raise": raise, "until": until, "why": "x"});
    bench.refused("grants", &grant("50", "2020-01-01T00:00:00Z"), "`until` of a grant is in the past");
    bench.refused("grants", &grant("101", "2027-02-01T00:00:00Z"), "101 is more than the 100");
    bench.refused("grants", &grant("90%", "2027-02-01T00:00:00Z"), "a share above 100%");
    bench.refused("grants", &grant("+50", "2027-02-01T00:00:00Z"), "is raised to, not by how much");
    bench.refused("grants", &grant("+50%", "2027-02-01T00:00:00Z"), "is raised to, not by how much");
    let grant_for = |time: &str| json!({"consumer": "a", "policy": "daily", "raise": "50", "for": time, "why": "x"});
    bench.refused("grants", &grant_for("2 weeks"), "a whole number with s, m, h, d or w");
    bench.entitled("grants", &grant_for("2w"));
    bench.refused("grants", &json!({"consumer": "a", "policy": "daily", "raise": "5", "why": "x"}), "A grant ends");
    bench.refused("grants/revoke", &json!({"consumer": "a", "id": "grant-000000000000"}), "has no grant");
    bench.refused("products/remove", &json!({"name": "pets"}), "Remove it first");
}

#[test]
fn what_is_written_is_listed_and_audited() {
    let bench = bench(&[]);
    bench.products();
    bench.subscribe("pets", "pro");
    let bearer = format!("Bearer {}", token());
    let get = |path: &str| -> Value {
        let answer = bench.get(&format!("/.tollgate/v1/{path}"), &[("authorization", bearer.as_str())]);
        serde_json::from_slice(&answer.content).unwrap()
    };
    let catalogue = get("catalogue");
    assert_eq!((&catalogue["products"][1]["name"], &catalogue["plans"][2]["name"]), (&json!("pets"), &json!("pro")));
    let limits = json!([{"policy": "daily", "at_most": 100, "number": 3, "plans": {"gold": 4}}]);
    assert_eq!(catalogue["configured"], json!({"plans": ["gold"], "limits": limits}));
    for path in ["entitlements?consumer=acme-inc", "entitlements"] {
        assert_eq!(get(path)["subscriptions"][0]["plan"], json!("pro"), "{path}");
    }
    let lines = bench.host.sink.lines();
    let audits = lines.iter().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let actions: Vec<Value> =
        audits.filter(|line| line["event"] == "audit").map(|line| line["action"].clone()).collect();
    assert!(actions.contains(&json!("plan.set")) && actions.contains(&json!("subscription.new")), "{actions:?}");
}

#[test]
fn what_consumers_are_subscribed_to_is_removed_only_if_that_is_forced() {
    let bench = bench(&[]);
    bench.products();
    bench.subscribe("pets", "pro");
    let name = |name: &str| json!({"name": name});
    let forced = |name: &str| json!({"name": name, "force": true});
    bench.refused(
        "plans/remove",
        &name("pro"),
        "The plan pro is in use by 1 subscription: acme-inc to pets. Change or end",
    );
    let new =
        |consumer: &str, product: &str, plan: &str| json!({"consumer": consumer, "product": product, "plan": plan});
    bench.entitled("subscriptions", &new("other", "pets", "pro"));
    bench.refused("plans/remove", &name("pro"), "in use by 2 subscriptions: acme-inc to pets, other to pets.");
    assert_eq!(bench.entitled("plans/remove", &name("large"))["removed"], json!(true), "nobody has it");
    let until = json!({"consumer": "other", "product": "pets", "until": "2027-02-01T00:00:00Z"});
    bench.entitled("subscriptions/end", &until);
    bench.refused("plans/remove", &name("pro"), "by 2 subscriptions");
    bench.host.clock.advance(40 * 86_400_000);
    bench.refused("plans/remove", &name("pro"), "by 1 subscription: acme-inc");
    assert_eq!(bench.entitled("plans/remove", &forced("pro"))["removed"], json!(true));
    bench.refused("products/remove", &name("pets"), "The product pets is in use by 1 subscription: acme-inc to pets");
    assert_eq!(bench.entitled("products/remove", &forced("pets"))["removed"], json!(true));
    bench.refused("plans", &forced("mapper"), "`force` is unknown");
}

#[test]
fn what_may_be_in_use_is_not_removed() {
    let bench = bench(&[]);
    bench.products();
    for number in 0..200 {
        let content = json!({"consumer": format!("c{number:03}"), "product": "maps", "plan": "mapper"});
        bench.entitled("subscriptions", &content);
    }
    bench.refused(
        "plans/remove",
        &json!({"name": "mapper"}),
        "in use by 200 subscriptions: c000 to maps, c001 to maps",
    );
    assert_eq!(bench.entitled("plans/remove", &json!({"name": "large"}))["removed"], json!(true));
    bench.entitled("subscriptions", &json!({"consumer": "c200", "product": "maps", "plan": "mapper"}));
    bench.refused("plans/remove", &json!({"name": "mapper"}), "in use by at least 200 subscriptions");
    bench.refused("plans/remove", &json!({"name": "pro"}), "a subscription may use the plan pro");
}

#[test]
fn a_credential_has_numbers_of_its_own_whatever_its_plan_and_subscription_are() {
    let numbers = |policy: &str, count| PlanNumbers { policy: policy.into(), count, ..PlanNumbers::default() };
    let bench = bench(&[]);
    let limits = vec![numbers("daily", 7), numbers("fixed", 9)];
    bench.add(&key(), &Credential { limits, ..credential() });
    let answer = bench.ask_api("pets");
    let told = |event: &Event| matches!(event.reason, Reason::CredentialNumber { number: 7 });
    assert!(answer.record.events.as_slice().iter().any(told), "{}", answer.record.events);
    bench.products();
    bench.subscribe("pets", "pro");
    assert_eq!(bench.quota("pets"), (200, "5 of 7".into()));
    assert_eq!(bench.quota("fixed"), (200, "3 of 4".into()), "a limit without `at-most`");
    let grant = json!({"consumer": "acme-inc", "policy": "daily", "raise": "50", "for": "1d", "why": "launch"});
    bench.entitled("grants", &grant);
    assert_eq!(bench.quota("pets"), (200, "47 of 50".into()), "a grant comes before it");
}

#[test]
fn a_key_is_issued_with_numbers_that_its_gateway_allows() {
    let bench = bench(&[]);
    let key = |limits: &[&str]| json!({"consumer": "acme-inc", "limits": limits});
    bench.refused("keys", &key(&["daily=101"]), "more than the 100");
    bench.refused("keys", &key(&["fixed=5"]), "no limit fixed with `at-most`");
    bench.refused("keys", &key(&["daily"]), "The numbers of limits");
    bench.refused("keys", &key(&["daily=1", "daily=2"]), "each limit once");
    let issued = bench.entitle("keys", &key(&["daily=100"]));
    let view: Value = serde_json::from_slice(&issued.content).unwrap();
    assert_eq!((issued.status, &view["limits"]), (201, &json!([{"policy": "daily", "count": 100}])));
    let text = view["key"].as_str().unwrap();
    assert_eq!(bench.get("/pets", &[("x-api-key", text)]).field("ratelimit-policy"), "\"daily\";q=100;w=86400");
}
