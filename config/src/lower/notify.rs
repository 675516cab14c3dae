//! Lowers `gateway.notify`.

use tollgate_core::limit::NoticeReceiver;

use super::whole::Whole;
use crate::decode::parsed;
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::model::project::{Project, Receiver};

/// Who is told of limits.
pub(super) fn receivers(project: &Project, whole: &Whole, report: &mut Report) -> Vec<NoticeReceiver> {
    let written = project.gateway.as_ref().map_or(&[][..], |gateway| gateway.notify.as_slice());
    let mut all: Vec<NoticeReceiver> = Vec::with_capacity(written.len());
    for one in written {
        let Some(receiver) = receiver(one, report) else { continue };
        if all.iter().any(|known| known.url == receiver.url) {
            report.push(
                Diagnostic::error(Code::BadNotify, one.url.span, "the receiver is listed twice")
                    .why("it would be told everything twice")
                    .fix("remove one of them"),
            );
        } else {
            all.push(receiver);
        }
    }
    let tells = |policies: &Whole| policies.policies.limit.iter().any(|named| !named.policy.counting().warn.is_empty());
    if let (Some(first), false, false) = (written.first(), tells(whole), report.has_errors()) {
        report.push(
            Diagnostic::warning(Code::BadNotify, first.url.span, "the receiver is never told anything")
                .why("notices are those of limits with `warn`, and no limit has it")
                .fix("add `warn: [80%, 95%]` to a limit, or remove `notify`"),
        );
    }
    all
}

fn receiver(written: &Receiver, report: &mut Report) -> Option<NoticeReceiver> {
    let Receiver { url, secret, timeout_ms, is_private } = written;
    let is_url = parsed::url(url, report).is_some();
    let is_secure = *is_private || url.value.get(..8).is_some_and(|begin| begin.eq_ignore_ascii_case("https://"));
    if is_url && !is_secure {
        report.push(
            Diagnostic::error(Code::BadNotify, url.span, "notices are not sent over HTTPS")
                .why("anyone on the way could read which consumer uses how much")
                .fix("write an `https://` URL; inside a private network add `private-network: true`"),
        );
    }
    let timeout = match timeout_ms {
        None => Some(TIMEOUT_MS),
        Some(written) => u32::try_from(written.value).ok().filter(|ms| TIMEOUTS_MS.contains(ms)).or_else(|| {
            report.push(
                Diagnostic::error(Code::BadNotify, written.span, "the time limit is too short or too long")
                    .why("three attempts have to end before a platform ends the work after a response")
                    .fix("write a duration from 100ms to 5s"),
            );
            None
        }),
    };
    let secret = parsed::secret_reference(secret, report)?;
    (is_url && is_secure).then_some(())?;
    Some(NoticeReceiver { url: url.value.clone(), secret, is_private: *is_private, timeout_ms: timeout? })
}

const TIMEOUT_MS: u32 = 3_000;
const TIMEOUTS_MS: std::ops::RangeInclusive<u32> = 100..=5_000;
