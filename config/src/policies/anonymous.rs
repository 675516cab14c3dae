//! `kind: anonymous`.

use tollgate_core::authn::AnonymousSettings;

use super::{Change, Kind, Value, Written, kind_key};
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::schema::texts::SCOPE;
use crate::schema::{Key, List, Object, Shape};

/// A short description of the kind.
pub(super) const DOES: &str = "admits callers that present no credential, as a consumer; named in `authn`";

pub(super) static TABLE: Object = Object {
    name: "anonymous",
    doc: "Admits callers that present no credential to any policy of the route, as a consumer with a plan and limits of its own. A \
          wrong credential is refused. Named last in `authn`.",
    keys: &[
        kind_key(&[("anonymous", DOES)]),
        Key::optional("consumer", "The consumer that all such callers are.", Shape::Text)
            .default("\"anonymous\"")
            .change(Change::Review("callers without a credential are another consumer")),
        Key::optional("plan", "Their plan, whose limits apply to each client address.", Shape::Text)
            .absent("no plan")
            .change(Change::Review("callers without a credential have another plan"))
            .examples(&["\"trial\""]),
        Key::optional("scopes", "Their scopes.", Shape::List(&List::some_texts(Shape::Ruled(&SCOPE), 64)))
            .absent("none")
            .change(Change::MoreIsGranted)
            .examples(&["[\"catalogue.read\"]"]),
    ],
    examples: &["{\"kind\": \"anonymous\", \"plan\": \"trial\"}"],
    ..Object::PLAIN
};

impl Kind for AnonymousSettings {
    fn lower(written: &Written, report: &mut Report) -> Option<Self> {
        let consumer = written.text("consumer")?;
        if consumer.value.is_empty() {
            report.push(
                Diagnostic::error(Code::BadAnonymous, consumer.span, "the consumer has no name")
                    .why("logs, metrics and upstreams know the callers by it")
                    .fix("write a name, or remove the key: the name is `anonymous`"),
            );
            return None;
        }
        Some(Self {
            consumer: consumer.value,
            plan: written.text("plan").map(|plan| plan.value),
            scopes: written.list("scopes").into_iter().map(|scope| scope.value).collect(),
        })
    }

    fn values(&self) -> Vec<(&'static str, Value)> {
        [
            Some(("consumer", Value::Text(self.consumer.clone()))),
            self.plan.clone().map(|plan| ("plan", Value::Text(plan))),
            (!self.scopes.is_empty()).then(|| ("scopes", Value::List(self.scopes.clone()))),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}
