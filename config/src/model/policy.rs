//! `policies:`, named instances of policy kinds.

use crate::decode::{self, Fields, RATE};
use crate::diagnostic::Report;
use crate::model::tables;
use crate::place::Spanned;
use crate::schema::units::Rate;
use crate::source::Node;

use tollgate_core::limit::{LimitBy, OnUnavailable};

/// One policy as written.
#[derive(Clone, Debug)]
pub(crate) enum Policy {
    ApiKey(ApiKey),
    RateLimit(RateLimit),
}

/// `kind: api-key`.
#[derive(Clone, Debug)]
pub(crate) struct ApiKey {
    pub(crate) header: Option<Spanned<String>>,
    pub(crate) scheme: Option<Spanned<String>>,
    pub(crate) query: Option<Spanned<String>>,
}

/// `kind: rate-limit`.
#[derive(Clone, Debug)]
pub(crate) struct RateLimit {
    pub(crate) rate: Spanned<Rate>,
    pub(crate) burst: Option<Spanned<u32>>,
    pub(crate) by: Option<Spanned<LimitBy>>,
    pub(crate) on_unavailable: Option<Spanned<OnUnavailable>>,
}

#[derive(Clone, Copy)]
enum Kind {
    ApiKey,
    RateLimit,
}

const KINDS: &[(&str, Kind)] = &[("api-key", Kind::ApiKey), ("rate-limit", Kind::RateLimit)];

impl Policy {
    /// Reads one definition; its `kind` decides which keys it has.
    pub(crate) fn decode(name: &Spanned<String>, node: &Node, report: &mut Report) -> Option<Self> {
        let mut fields =
            Fields::open(node, &tables::POLICY_HEAD, format!("policy `{}`", name.value), name.span, report)?;
        // Without a kind nothing can be said about the other keys.
        let policy = match fields.required("kind", report, |node, report| decode::word(node, KINDS, report))? {
            Kind::ApiKey => {
                fields.narrow(&tables::API_KEY);
                Some(Self::ApiKey(ApiKey::decode(&mut fields, report)))
            }
            Kind::RateLimit => {
                fields.narrow(&tables::RATE_LIMIT);
                RateLimit::decode(&mut fields, report).map(Self::RateLimit)
            }
        };
        fields.finish(report);
        policy
    }
}

impl ApiKey {
    fn decode(fields: &mut Fields<'_>, report: &mut Report) -> Self {
        Self {
            header: fields.optional("header", report, decode::text),
            scheme: fields.optional("scheme", report, decode::text),
            query: fields.optional("query", report, decode::text),
        }
    }
}

impl RateLimit {
    fn decode(fields: &mut Fields<'_>, report: &mut Report) -> Option<Self> {
        let rate = fields.required("rate", report, |node, report| decode::quantity(node, &RATE, report));
        let burst = fields.optional("burst", report, burst);
        let by = fields.optional("by", report, |node, report| spanned(node, decode::word(node, BY, report)));
        let on_unavailable = fields.optional("on-unavailable", report, |node, report| {
            spanned(node, decode::word(node, ON_UNAVAILABLE, report))
        });
        Some(Self { rate: rate?, burst, by, on_unavailable })
    }
}

/// Reads a burst: the most at once.
pub(crate) fn burst(node: &Node, report: &mut Report) -> Option<Spanned<u32>> {
    spanned(node, decode::integer(node, 1, u32::MAX, report))
}

fn spanned<T>(node: &Node, value: Option<T>) -> Option<Spanned<T>> {
    value.map(|value| Spanned::new(value, node.span))
}

pub(crate) const BY: &[(&str, LimitBy)] = &[("consumer", LimitBy::Consumer), ("address", LimitBy::Address)];

pub(crate) const ON_UNAVAILABLE: &[(&str, OnUnavailable)] =
    &[("open", OnUnavailable::Open), ("closed", OnUnavailable::Closed)];
