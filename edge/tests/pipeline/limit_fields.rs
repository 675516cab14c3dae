//! Fields of limits from before the standard, and where a refused client reads on.

use tollgate_core::limit::LegacyFields;
use tollgate_core::settings::RouteSettings;

use crate::bench::{Answer, BY_ADDRESS, BY_CONSUMER, Bench, KEYS, NOW, credential, key, ok, route};

const X_FIELDS: [&str; 3] = ["x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"];
const DRAFT_FIELDS: [&str; 3] = ["ratelimit-limit", "ratelimit-remaining", "ratelimit-reset"];

fn bench(limit_fields: Option<LegacyFields>, help: Option<&str>) -> Bench {
    let limited = RouteSettings {
        authn: vec![vec![KEYS]],
        limit: vec![BY_CONSUMER, BY_ADDRESS],
        limit_fields,
        help: help.map(str::to_owned),
        ..route("/a", &["GET"])
    };
    let free = RouteSettings { limit: vec![], ..limited.clone() };
    let free = RouteSettings { path: "/free".parse().unwrap(), id: "free".into(), ..free };
    let bench = Bench::new(vec![limited, free], ok(&[("x-ratelimit-limit", "9"), ("x-ratelimit-limit", "8")], "hello"));
    bench.add(&key(), &credential());
    bench
}

fn send(bench: &Bench, path: &str) -> Answer {
    bench.get(path, &[("x-api-key", key().expose())])
}

fn fields(answer: &Answer, names: [&'static str; 3]) -> Vec<String> {
    let lines = |name| answer.fields.get_all(name).iter().map(|value| value.to_str().unwrap().to_owned());
    names.into_iter().flat_map(lines).collect()
}

#[test]
fn the_limit_that_decides_is_told_in_one_form() {
    let unix = |seconds: u64| (NOW.as_secs() + seconds).to_string();
    for (form, names, resets) in [
        (LegacyFields::XRatelimit, X_FIELDS, ["30".to_owned(), "60".to_owned()]),
        (LegacyFields::XRatelimitUnix, X_FIELDS, [unix(30), unix(60)]),
        (LegacyFields::Draft03, DRAFT_FIELDS, ["30".to_owned(), "60".to_owned()]),
    ] {
        let bench = bench(Some(form), None);
        let first = send(&bench, "/a");
        assert_eq!(fields(&first, names), ["2", "1", &resets[0]], "{form:?}: the upstream's own are replaced");
        send(&bench, "/a");
        let refused = send(&bench, "/a");
        assert_eq!(refused.status, 429);
        assert_eq!(fields(&refused, names), ["2", "0", &resets[1]], "{form:?}");
        assert!(!refused.field("ratelimit").is_empty(), "beside the standard ones");
    }
}

#[test]
fn fields_of_the_upstream_pass_where_the_gateway_sets_none() {
    let bench = bench(None, None);
    assert_eq!(fields(&send(&bench, "/a"), X_FIELDS), ["9", "8"]);
    assert_eq!(fields(&send(&bench, "/free"), X_FIELDS), ["9", "8"]);
}

#[test]
fn a_refused_client_is_told_where_to_read_on() {
    let page = "https://docs.example.com/limits";
    let bench = bench(None, Some(page));
    let answers: Vec<Answer> = (0..3).map(|_| send(&bench, "/a")).collect();
    assert!(answers[0].field("link").is_empty());
    let problem: serde_json::Value = serde_json::from_slice(&answers[2].content).unwrap();
    assert_eq!((answers[2].status, &problem["help"]), (429, &page.into()));
    assert_eq!(answers[2].field("link"), format!("<{page}>; rel=\"help\""));
    assert_eq!(problem["type"], "urn:tollgate:problem:rate-limit-exceeded");
}
