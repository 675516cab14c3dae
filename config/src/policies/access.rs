//! `kind: access`.

use tollgate_core::authz::{AccessSettings, Callers};
use tollgate_core::bounds::ACCESS_NAMES_MAX;

use super::{Change, Kind, Value, Written, kind_key};
use crate::diagnostic::{Code, Diagnostic, Report, closest};
use crate::place::{Span, Spanned};
use crate::schema::texts::CALLERS;
use crate::schema::{Key, List, Named, Object, Rule, Shape};

/// A short description of the kind.
pub(super) const DOES: &str = "authorizes callers by consumer, plan and group; named in `authz`";

pub(super) static TABLE: Object = Object {
    name: "access",
    doc: "Authorizes callers by consumer, plan and group. Callers that `deny` names are refused; of the others, those that \
          `allow` names are admitted, or all of them without `allow`. Refused requests are answered with 403. Named in `authz`.",
    keys: &[
        kind_key(&[("access", DOES)]),
        Key::optional("allow", "The callers that are admitted: those in one of the lists.", LISTS)
            .absent("all callers that `deny` does not name")
            .change(Change::MoreIsLooser)
            .examples(&["{\"groups\": [\"staff\"]}", "{\"consumers\": [\"acme\"], \"plans\": [\"gold\", \"silver\"]}"]),
        Key::optional("deny", "The callers that are refused: those in one of the lists.", LISTS)
            .absent("none")
            .change(Change::MoreIsStricter)
            .examples(&["{\"consumers\": [\"acme\"]}"]),
    ],
    rules: &[Rule::SomeOf(&["allow", "deny"])],
    examples: &["{\"kind\": \"access\", \"allow\": {\"groups\": [\"staff\"]}, \"deny\": {\"consumers\": [\"acme\"]}}"],
    ..Object::PLAIN
};

const LISTS: Shape = Shape::Named(&Named { names: &CALLERS, of: NAMES, max: ACCESS_NAMES_MAX });

const NAMES: Shape = Shape::AnyOf(&[Shape::Text, Shape::List(&List::some_texts(Shape::Text, ACCESS_NAMES_MAX))]);

impl Kind for AccessSettings {
    fn lower(written: &Written, report: &mut Report) -> Option<Self> {
        let (allow, deny) = (callers(written, "allow", report), callers(written, "deny", report));
        let (allow, deny) = (allow?, deny?);
        if let Some(at) = written.written("deny").map(|deny| deny.span) {
            lists(&allow).into_iter().zip(lists(&deny)).for_each(|((_, allowed), (_, denied))| {
                report_in_both(allowed, denied, at, report);
            });
        }
        Some(Self { allow, deny })
    }

    fn values(&self) -> Vec<(&'static str, Value)> {
        let named = |key, callers: &Callers| {
            let some = lists(callers).into_iter().filter(|(_, names)| !names.is_empty());
            let all: Vec<_> = some.map(|(list, names)| (list.to_owned(), names.clone())).collect();
            (!all.is_empty()).then_some((key, Value::Named(all)))
        };
        [named("allow", &self.allow), named("deny", &self.deny)].into_iter().flatten().collect()
    }
}

/// The lists of callers, in the order of their names.
fn lists(callers: &Callers) -> [(&'static str, &Vec<String>); 3] {
    [("consumers", &callers.consumers), ("groups", &callers.groups), ("plans", &callers.plans)]
}

fn callers(written: &Written, key: &str, report: &mut Report) -> Option<Callers> {
    let mut callers = Callers::default();
    let mut is_complete = true;
    for (list, mut names) in written.named(key) {
        names.sort_unstable();
        names.dedup();
        names.iter().for_each(|name| report_pattern(name, list.span, report));
        match list.value.as_str() {
            "consumers" => callers.consumers = names,
            "plans" => callers.plans = names,
            "groups" => callers.groups = names,
            _ => {
                report_unknown(&list, report);
                is_complete = false;
            }
        }
    }
    is_complete.then_some(callers)
}

fn report_unknown(list: &Spanned<String>, report: &mut Report) {
    let meant = match list.value.as_str() {
        "roles" | "role" | "group" | "teams" => Some("groups"),
        "users" | "clients" | "apps" | "keys" => Some("consumers"),
        other => closest(other, ["consumers", "plans", "groups"].into_iter()),
    };
    let fix = match meant {
        Some(meant) => format!("write `{meant}`"),
        None => "write `consumers`, `plans` or `groups`".to_owned(),
    };
    report.push(
        Diagnostic::error(Code::BadAccess, list.span, format!("`{}` is not a list of callers", list.value))
            .why("callers are named by consumer, by plan, or by group; the roles of a token are groups too")
            .fix(fix),
    );
}

/// Reports names that are both allowed and denied.
fn report_in_both(allowed: &[String], denied: &[String], at: Span, report: &mut Report) {
    for name in allowed.iter().filter(|name| denied.binary_search(name).is_ok()) {
        report.push(
            Diagnostic::warning(Code::BadAccess, at, format!("`{name}` is both allowed and denied"))
                .why("a caller that `deny` names is always refused")
                .fix("remove it from one of the lists"),
        );
    }
}

/// Reports a name that is written as a pattern.
fn report_pattern(name: &str, at: Span, report: &mut Report) {
    if name.contains('*') || name.is_empty() {
        report.push(
            Diagnostic::warning(Code::BadAccess, at, format!("`{name}` is the name of no caller"))
                .why("names are compared as a whole and as they are written; there are no patterns")
                .fix("list each name, or put these callers into a group or a plan and list that"),
        );
    }
}
