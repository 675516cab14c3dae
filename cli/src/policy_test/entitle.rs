//! What an operator writes of products, plans, subscriptions and grants: calls of the operator endpoint, as of a running gateway.

use http::Method;
use serde_json::{Map, Value, json};
use tollgate_config::policy_tests::{EntitleStep, Entitles};

use super::outage::ask_operator;
use super::outcome::Mismatch;
use super::stage::Bench;

/// Writes it.
pub(super) fn entitle(bench: &Bench, step: &EntitleStep) -> Result<(), Mismatch> {
    let mut members: Map<String, Value> = Map::new();
    for (name, values) in &step.members {
        let value = match (*name, values.as_slice()) {
            ("apis" | "limits", all) => json!(all),
            (_, all) => json!(all.concat()),
        };
        members.insert((*name).to_owned(), value);
    }
    let paths: &[&str] = match step.entitles {
        Entitles::Product => &["products"],
        Entitles::Plan => &["plans"],
        // One that exists is changed.
        Entitles::Subscription => &["subscriptions/change", "subscriptions"],
        Entitles::SubscriptionEnd => &["subscriptions/end"],
        Entitles::Grant => {
            members.insert("why".to_owned(), json!("policy test"));
            &["grants"]
        }
    };
    let content = Value::Object(members);
    for path in paths {
        match ask_operator(bench, Method::POST, path, Some(&content)) {
            Ok(_) => break,
            Err(refused) if refused.is_not_found && paths.last() != Some(path) => {}
            Err(refused) => {
                let expected = "a call of the operator endpoint that is done".to_owned();
                return Err(Mismatch { what: (*path).to_owned(), at: step.span, expected, got: refused.why });
            }
        }
    }
    Ok(())
}
