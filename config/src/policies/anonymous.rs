//! `kind: anonymous`.

use tollgate_core::authn::AnonymousSettings;

use super::mapping::can_be_consumer;
use super::{Change, Kind, Value, Written, kind_key};
use crate::diagnostic::{Code, Report};
use crate::schema::texts::{CALLER_NAME, SCOPE};
use crate::schema::{Key, List, Object, Shape};

/// A short description of the kind.
pub(super) const DOES: &str = "admits callers that present no credential, as a consumer; named in `authn`";

pub(super) static TABLE: Object = Object {
    name: "anonymous",
    doc: "Admits callers that present no credential to any policy of the route, as a consumer with a plan and limits of its own. A \
          wrong credential is refused. Named last in `authn`.",
    keys: &[
        kind_key(&[("anonymous", DOES)]),
        Key::optional("consumer", "The consumer that all such callers are.", Shape::Ruled(&CALLER_NAME))
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
        if !can_be_consumer(&consumer.value, consumer.span, Code::BadAnonymous, report) {
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
