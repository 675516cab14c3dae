//! The checks that cannot pass on a lane, and why.

use crate::lane::Lane;

/// Why a check cannot pass on a lane, if it is exempt.
pub(crate) fn why(lane: Lane, name: &str) -> Option<&'static str> {
    let listed = EXEMPT.iter().find(|(on, names, _)| *on == lane && names.contains(&name));
    listed.map(|(_, _, why)| *why)
}

type Exemption = (Lane, &'static [&'static str], &'static str);

const EXEMPT: &[Exemption] = &[
    (
        Lane::Memory,
        &[
            "clock/waits_as_long_as_asked",
            "clock/tells_the_time_of_day",
            "counters/time_pays_back",
            "records/a_record_is_gone_after_its_time",
            "counters/what_is_confirmed_stands",
        ],
        "its clock only moves when a test advances it",
    ),
    (
        Lane::Memory,
        &[
            "content/a_limit_holds_while_gathering",
            "content/a_stream_fails_past_a_limit",
            "content/a_stream_is_gathered",
            "content/what_breaks_off_is_not_gathered",
            "content/what_is_too_large_still_streams",
            "content/watched_hands_on_the_same",
            "fetch/an_answer_has_bounds",
            "fetch/brings_the_whole_answer",
            "fetch/failures_have_names",
            "fetch/follows_no_redirect",
            "response_cache/gives_up_on_a_stream_that_is_too_long",
            "response_cache/keeps_nothing_of_what_breaks_off",
            "response_cache/stores_what_streams",
            "telemetry_sink/posts_a_batch",
            "telemetry_sink/says_that_nobody_took_it",
            "upstream/broken_content_is_seen",
            "upstream/content_past_its_time_breaks_off",
            "upstream/failures_are_no_answers",
            "upstream/names_a_bad_certificate",
            "upstream/names_a_timeout",
            "upstream/names_a_refused_connection",
            "upstream/names_an_early_end",
            "upstream/names_garbage",
            "upstream/neither_follows_nor_decodes",
            "upstream/never_sends_again",
            "upstream/never_takes_a_bad_certificate",
            "upstream/passes_messages_as_they_are",
            "upstream/requests_are_edited_as_a_map_is",
            "upstream/responses_are_edited_as_a_map_is",
        ],
        "it has no network: its upstreams give scripted answers",
    ),
    (
        Lane::Cloudflare,
        &["counters/a_day_pays_back_by_the_callers_clock"],
        "a Durable Object charges by its own clock, which no caller can change",
    ),
    (
        Lane::Cloudflare,
        &["content/bytes_fail_past_a_limit", "response_cache/keeps_nothing_of_what_passes_a_limit"],
        "only streams are limited: the length of bytes in memory is known, and incoming content always streams",
    ),
    (
        Lane::Cloudflare,
        &["content/watched_tells_the_delivery"],
        "streams bypass the gateway, so watched content is always Delivery::Unobserved",
    ),
    (
        Lane::Cloudflare,
        &["upstream/names_a_bad_certificate", "upstream/names_a_refused_connection", "upstream/names_garbage"],
        "workerd reports a refused connection like a closed one, and all other errors as an internal error",
    ),
    (Lane::Cloudflare, &["records/a_record_is_gone_after_its_time"], "Workers KV keeps a record for at least 60 s"),
    (
        Lane::Spin,
        &["upstream/names_a_bad_certificate", "upstream/names_an_early_end"],
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
