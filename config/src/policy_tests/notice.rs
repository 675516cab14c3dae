//! The expectation for notices of limits.

use std::num::NonZeroU8;

use super::expect::{bad, or_none, placed};
use crate::decode::{self, Fields};
use crate::diagnostic::Report;
use crate::model::tables;
use crate::place::{Span, Spanned};
use crate::schema::units;
use crate::source::Node;

/// The expectation for a notice that a share of a limit is reached.
#[derive(Clone, Debug)]
pub struct NoticeExpect {
    /// The place in the file.
    pub span: Span,
    /// The limit.
    pub limit: Spanned<String>,
    /// The share, in percent.
    pub share: Spanned<NonZeroU8>,
    /// Whose limit it is; an inner `None` means that it is nobody's.
    pub consumer: Option<Spanned<Option<String>>>,
    /// The plan of the consumer; an inner `None` means that it has none.
    pub plan: Option<Spanned<Option<String>>>,
    /// What is used of the limit.
    pub used: Option<Spanned<u32>>,
    /// The number of the limit.
    pub quota: Option<Spanned<u32>>,
}

pub(super) fn notices(node: &Node, report: &mut Report) -> Option<Spanned<Vec<NoticeExpect>>> {
    placed(node, decode::list(node, report, NoticeExpect::decode))
}

impl NoticeExpect {
    fn decode(node: &Node, report: &mut Report) -> Option<Self> {
        let mut f = Fields::open(node, &tables::NOTICE_EXPECT, "this notice", node.span, report)?;
        let number = |node: &Node, report: &mut Report| placed(node, decode::integer(node, 0, u32::MAX, report));
        let (limit, share) = (f.required("limit", report, decode::text), f.required("share", report, share));
        let (consumer, plan) = (f.optional("consumer", report, or_none), f.optional("plan", report, or_none));
        let (used, quota) = (f.optional("used", report, number), f.optional("quota", report, number));
        f.finish(report);
        Some(Self { span: node.span, limit: limit?, share: share?, consumer, plan, used, quota })
    }
}

fn share(node: &Node, report: &mut Report) -> Option<Spanned<NonZeroU8>> {
    let text = decode::text(node, report)?;
    let share = units::percent(&text.value);
    if share.is_none() {
        let what = format!("`{}` is no share of a limit", text.value);
        report.push(bad(text.span, what, "write a share of the limit's `warn`, such as `80%`"));
    }
    share.map(|share| Spanned::new(share, text.span))
}
