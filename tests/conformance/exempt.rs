//! The checks that cannot pass on a lane, and why.

use crate::lane::Lane;

/// Why a check cannot pass on a lane, if it is exempt.
pub(crate) fn why(lane: Lane, name: &str) -> Option<&'static str> {
    if lane.is_of_counters() && !name.starts_with("counters/") {
        return Some("only its counters differ from those of another column");
    }
    let listed = EXEMPT.iter().find(|(on, names, _)| *on == lane && names.contains(&name));
    listed.map(|(_, _, why)| *why)
}

type Exemption = (Lane, &'static [&'static str], &'static str);

const EXEMPT: &[Exemption] = &[
    (
        Lane::Memory,
        &[
            "clock/waits_as_long_as_asked",
            "clock/returns_the_time_of_day",
            "counters/quota_becomes_available_with_time",
            "records/a_record_is_gone_after_its_time",
            "counters/confirmed_charges_are_kept",
        ],
        "its clock only moves when a test advances it",
    ),
    (
        Lane::Memory,
        &[
            "content/a_limit_holds_while_gathering",
            "content/a_stream_fails_past_a_limit",
            "content/a_stream_is_gathered",
            "content/interrupted_content_is_not_gathered",
            "content/too_large_content_still_streams",
            "content/watched_content_is_unchanged",
            "fetch/an_answer_has_bounds",
            "fetch/returns_the_complete_answer",
            "fetch/failures_are_distinguished",
            "fetch/follows_no_redirect",
            "response_cache/a_stream_that_is_too_long_is_not_stored",
            "response_cache/interrupted_content_is_not_stored",
            "response_cache/stores_streams",
            "response_cache/a_copy_that_takes_time_does_not_replace_a_change",
            "telemetry_sink/posts_a_batch",
            "telemetry_sink/a_missing_receiver_is_an_error",
            "upstream/interrupted_content_is_an_error",
            "upstream/content_is_aborted_at_its_timeout",
            "upstream/failures_are_errors",
            "upstream/reports_an_untrusted_certificate",
            "upstream/reports_a_timeout",
            "upstream/reports_a_refused_connection",
            "upstream/reports_an_early_close",
            "upstream/reports_invalid_http",
            "upstream/neither_follows_nor_decodes",
            "upstream/never_retries",
            "upstream/refuses_an_untrusted_certificate",
            "upstream/passes_messages_as_they_are",
            "upstream/requests_are_edited_like_a_map",
            "upstream/responses_are_edited_like_a_map",
        ],
        "it has no network: its upstreams give scripted answers",
    ),
    (
        Lane::Cloudflare,
        &["counters/a_day_by_the_callers_clock_restores_the_quota"],
        "a Durable Object charges by its own clock, which no caller can change",
    ),
    (
        Lane::Cloudflare,
        &["content/bytes_fail_past_a_limit", "response_cache/content_beyond_a_limit_is_not_stored"],
        "only streams are limited: the length of bytes in memory is known, and incoming content always streams",
    ),
    (
        Lane::Cloudflare,
        &[
            "upstream/reports_an_untrusted_certificate",
            "upstream/reports_a_refused_connection",
            "upstream/reports_invalid_http",
        ],
        "workerd reports a refused connection like a closed one, and all other errors as an internal error",
    ),
    (Lane::Cloudflare, &["records/a_record_is_gone_after_its_time"], "Workers KV keeps a record for at least 60 s"),
    (
        Lane::Spin,
        &["upstream/reports_an_untrusted_certificate", "upstream/reports_an_early_close"],
        "Spin reports every TLS failure as a TLS protocol error, and every close before the head as a protocol error",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_exemption_is_of_a_check_that_exists() {
        for name in EXEMPT.iter().flat_map(|(_, names, _)| *names) {
            assert!(tollgate_contracts::NAMES.contains(name), "{name}");
        }
    }
}
