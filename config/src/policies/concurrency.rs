//! `kind: concurrency`.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use tollgate_core::cell::ENTRIES_MAX;
use tollgate_core::limit::ConcurrencySettings;

use super::counting::{self, Common};
use super::{Change, Kind, PlanLimit, Value, Written, kind_key};
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::place::Spanned;
use crate::schema::{Key, Object, Quantity, Shape};

/// A short description of the kind.
pub(super) const DOES: &str = "limits the number of requests at the same time; named in `limit`";

pub(super) static TABLE: Object = Object {
    name: "concurrency",
    doc: "Limits the number of requests that are handled at the same time, and answers further requests with 429. Named in \
          `limit`, or in `guard` if `by` needs no caller.",
    keys: &[
        kind_key(&[("concurrency", DOES)]),
        Key::required(
            "max",
            "The number of requests at the same time.",
            Shape::Integer(1, ENTRIES_MAX as i64),
        )
        .change(Change::MoreIsLooser)
        .examples(&["10"]),
        Key::optional(
            "lease",
            "For how long a request counts whose end is not told, because the gateway that handled it failed. A request that takes longer \
             counts no more.",
            Shape::Quantity(Quantity::Time),
        )
        .default("\"60s\"")
        .change(Change::SoonerIsLooser)
        .examples(&["\"5min\""]),
    ],
    shared: &[counting::KEYS],
    examples: &["{\"kind\": \"concurrency\", \"max\": 10}"],
    ..Object::PLAIN
};

impl Kind for ConcurrencySettings {
    const TAKES_PLANS: bool = true;

    fn lower(written: &Written, report: &mut Report) -> Option<Self> {
        let max = NonZeroU32::new(written.integer("max")?.value)?;
        let common = counting::lower(written, report);
        let lease_ms = lease(&written.duration_ms("lease")?, report)?;
        let Common { by, on_unavailable, counting } = common?;
        let most = ENTRIES_MAX.try_into().unwrap_or(u32::MAX);
        counting::check_at_most(written, &counting, max, most, report).then_some(())?;
        Some(Self { max, lease_ms, by, on_unavailable, plans: BTreeMap::new(), counting })
    }

    fn values(&self) -> Vec<(&'static str, Value)> {
        let Self { max, lease_ms, by, on_unavailable, counting, .. } = self;
        let own = [("max", Value::Integer(max.get().into())), ("lease", Value::DurationMs(lease_ms.get().into()))];
        own.into_iter().chain(counting::values(*by, *on_unavailable, counting)).collect()
    }

    fn take_plan(&mut self, plan: &str, limit: &PlanLimit, _report: &mut Report) -> bool {
        let PlanLimit::Max(max) = limit else { return false };
        self.plans.extend(NonZeroU32::new(max.value).map(|max| (plan.to_owned(), max)));
        true
    }

    fn plans(&self) -> Vec<(&str, Vec<(&'static str, Value)>)> {
        let value = |max: &NonZeroU32| vec![("max", Value::Integer(max.get().into()))];
        self.plans.iter().map(|(plan, max)| (plan.as_str(), value(max))).collect()
    }
}

fn lease(written: &Spanned<u64>, report: &mut Report) -> Option<NonZeroU32> {
    let ms = u32::try_from(written.value).ok().filter(|ms| (LEASE_MS_MIN..=LEASE_MS_MAX).contains(ms));
    if ms.is_none() {
        report.push(
            Diagnostic::error(Code::BadLimit, written.span, "a lease is from 1s to 1h long")
                .why("a shorter one ends before most requests do; a longer one keeps places taken for as long when a gateway fails")
                .fix("write a time that the slowest request needs, such as `60s`"),
        );
    }
    NonZeroU32::new(ms?)
}

const LEASE_MS_MIN: u32 = 1_000;
const LEASE_MS_MAX: u32 = 3_600_000;
