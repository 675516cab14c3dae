//! The settings of a route, each with the level and place that set it, and the values that it overrides.

use serde_json::{Value, json};
use tollgate_analysis::{LeasedLimit, leased_limits};
use tollgate_config::{Compiled, CompiledRoute, Origin, OriginLevel, Span, Target};

use crate::redaction::redact;
use crate::terminal::{heading, table};

/// The settings as a complete answer.
pub(super) fn text(compiled: &Compiled, route: &CompiledRoute) -> String {
    let place = place(compiled, route.span);
    redact(&format!(
        "{} {place}\n\n{}{}",
        heading(&route.settings.id),
        table_of(compiled, route),
        leased(compiled, route)
    ))
}

/// By how much its leased limits can be exceeded.
fn leased(compiled: &Compiled, route: &CompiledRoute) -> String {
    let limits = leased_limits(compiled, route);
    if limits.is_empty() {
        return String::new();
    }
    let targets = compiled.targets().map(|targets| &targets.value).filter(|targets| !targets.is_empty());
    let is_on_native = targets.is_none_or(|targets| targets.contains(&Target::Native));
    let is_only_native = is_on_native && targets.is_some_and(|targets| targets.len() == 1);
    let beyond = if is_only_native { "CAN PASS BEYOND IT WITH REDIS" } else { "CAN PASS BEYOND IT" };
    let mut rows = vec![["LEASED LIMIT", "PLAN", beyond].map(str::to_owned).to_vec()];
    for LeasedLimit { policy, plan, beyond } in limits {
        let beyond = if beyond == 0 { "nothing in a window".to_owned() } else { format!("{beyond} in any time") };
        rows.push(vec![policy, plan.unwrap_or_else(|| "-".to_owned()), beyond]);
    }
    format!("\n{}{}", table(&rows), if is_on_native { EXACT_ON_NATIVE } else { "" })
}

const EXACT_ON_NATIVE: &str =
    "On the native host without --counters in Redis every limit is exact: nothing passes beyond it.\n";

/// The settings as rows.
pub(super) fn table_of(compiled: &Compiled, route: &CompiledRoute) -> String {
    let mut rows = vec![["SETTING", "VALUE", "FROM", "WHERE", ""].map(str::to_owned).to_vec()];
    for origin in compiled.origins(route) {
        let at = origin.span.map_or_else(String::new, |span| place(compiled, span));
        rows.push(vec![
            origin.setting.clone(),
            origin.value.clone(),
            level(origin.level).to_owned(),
            at,
            remark(compiled, &origin),
        ]);
        for lost in &origin.overridden {
            let what = format!("overridden by the {}", level(origin.level));
            rows.push(vec![
                String::new(),
                lost.value.clone(),
                level(lost.level).to_owned(),
                place(compiled, lost.span),
                what,
            ]);
        }
    }
    table(&rows)
}

fn remark(compiled: &Compiled, origin: &Origin) -> String {
    let given = origin.given.map(|span| format!("given at {}", place(compiled, span)));
    let locked = origin.is_locked.then(|| "locked".to_owned());
    given.into_iter().chain(locked).collect::<Vec<_>>().join(", ")
}

/// The settings for programs.
pub(super) fn json(compiled: &Compiled, route: &CompiledRoute) -> Value {
    let place = |span: Span| compiled.place(span);
    let setting = |origin: Origin| {
        let overridden: Vec<Value> = origin
            .overridden
            .iter()
            .map(|lost| json!({"value": lost.value, "level": lost.level, "place": place(lost.span)}))
            .collect();
        json!({
            "setting": origin.setting,
            "value": origin.value,
            "level": origin.level,
            "place": origin.span.map(place),
            "given": origin.given.map(place),
            "locked": origin.is_locked,
            "overridden": overridden,
        })
    };
    let settings: Vec<Value> = compiled.origins(route).into_iter().map(setting).collect();
    let leased = leased_limits(compiled, route);
    json!({"route": route.settings.id, "place": place(route.span), "settings": settings, "leased_limits": leased})
}

fn place(compiled: &Compiled, span: Span) -> String {
    let place = compiled.place(span);
    format!("{}:{}:{}", place.file, place.line, place.column)
}

const fn level(level: OriginLevel) -> &'static str {
    match level {
        OriginLevel::Default => "default",
        OriginLevel::Computed => "computed",
        OriginLevel::Gateway => "gateway",
        OriginLevel::Upstream => "upstream",
        OriginLevel::Api => "api",
        OriginLevel::Operation => "route",
        OriginLevel::Policy => "policy",
        OriginLevel::Plan => "plan",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes_beyond_a_limit_is_told_of_the_hosts_that_take_permits_ahead() {
        let told = |target: &str| {
            let text = format!(
                "format: 1\ngateway: {{name: g{target}}}\nupstreams: {{u: \"http://u\"}}\n\
                 policies: {{often: {{kind: rate-limit, rate: 100/s}}}}\n\
                 apis: {{a: {{upstream: u, limit: often, routes: [{{path: /a, methods: [GET]}}]}}}}\n"
            );
            let compiled =
                tollgate_analysis::compile_str("tollgate.yaml", &text).unwrap_or_else(|found| panic!("{found}"));
            leased(&compiled, compiled.routes().iter().next().unwrap())
        };
        let (any, native, workers) = (told(""), told(", target: native"), told(", target: workers-paid"));
        assert!(any.contains("CAN PASS BEYOND IT\n") && any.ends_with(EXACT_ON_NATIVE), "{any}");
        assert!(native.contains("CAN PASS BEYOND IT WITH REDIS\n") && native.ends_with(EXACT_ON_NATIVE), "{native}");
        assert!(workers.contains("CAN PASS BEYOND IT\n") && !workers.contains(EXACT_ON_NATIVE), "{workers}");
    }
}
