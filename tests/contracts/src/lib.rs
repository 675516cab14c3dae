//! The contracts of the ports, as checks that use only the port's trait and run on each host's real platform.
//!
//! It is platform-independent, and it does not panic: a panic on wasm ends the instance, so a check returns a
//! [`Breach`] instead. The [`stage`] provides what a check needs outside the host (records written, a store made
//! unavailable, an upstream). Start with [`Subject`], then the file named after a port; [`NAMES`] lists all checks.

#[macro_use]
mod breach;
mod clock;
mod content;
mod counters;
mod fetch;
mod records;
mod response_cache;
mod secrets;
mod signatures;
pub mod stage;
mod telemetry_sink;
mod upstream;
pub mod vectors;

use http::HeaderMap;
use tollgate_core::forward::Reply;
use tollgate_edge::ports::Host;

pub use breach::{Breach, Outcome};
pub use counters::{charge, part, update};
use stage::{Answer, Command};

/// A host whose ports are checked.
#[expect(async_fn_in_trait, reason = "a host stays on its thread, as for the ports themselves")]
pub trait Subject {
    /// The ports.
    type Host: Host;

    /// Whether the platform sends no line for an empty value of a standard name.
    const LOSES_EMPTY_VALUES: bool = false;

    /// Its ports; it has the secret `TOKEN` with the value `s3cret` and no other that a check reads.
    fn host(&self) -> &Self::Host;

    /// The empty content of a request that was received from a client with these fields: with the platform's own
    /// message, if the host edits that.
    fn received_content(&self, fields: &HeaderMap) -> Result<ContentOf<Self>, Breach>;

    /// The fields and the content that would be sent to a client.
    async fn sent(&self, reply: Reply<ContentOf<Self>>) -> Result<(HeaderMap, ContentOf<Self>), Breach>;

    /// Reads content to its end; an error means that it was interrupted.
    async fn read(&self, content: ContentOf<Self>) -> Result<Vec<u8>, Breach>;

    /// Sends a command to the stage; a host in another process does this with [`stage::ask`].
    async fn command(&self, command: &Command) -> Result<Answer, Breach>;
}

/// The content of a subject's messages.
pub type ContentOf<S> = <<S as Subject>::Host as Host>::Content;

/// Lists checks once, for their names and for running them by name.
macro_rules! contracts {
    ($($port:ident { $($check:ident)* })*) => {
        /// The names of all checks: `port/check`.
        pub const NAMES: &[&str] = &[$($(concat!(stringify!($port), "/", stringify!($check)),)*)*];

        /// Runs one check; `None` if there is no check with this name.
        pub async fn run<S: Subject>(name: &str, subject: &S) -> Option<Outcome> {
            // Boxed, because the future of a match is as large as its largest arm.
            match name {
                $($(concat!(stringify!($port), "/", stringify!($check)) => {
                    Some(Box::pin($port::$check(subject)).await)
                })*)*
                _ => None,
            }
        }
    };
}

contracts! {
    records {
        reads_what_was_written sees_changes unavailable_is_not_absent a_record_written_at_the_edge_is_read_back
        a_second_write_is_made_or_refused_by_name nothing_but_records_of_the_edge_is_written
        what_operators_keep_is_read_back_and_nothing_else_is_kept a_record_is_gone_after_its_time
        keys_are_listed_in_pages batches_of_usage_are_all_kept
        writing_while_unavailable_is_an_error
    }
    counters {
        grants_the_burst_and_no_more charges_side_by_side_are_exact cells_and_quotas_are_apart all_or_none
        all_or_none_over_cells_of_one_owner a_repetition_charges_once held_charges_can_be_released_once
        charges_can_be_taken_back_once
        confirmed_charges_are_kept concurrent_purges_are_all_kept names_of_a_list_are_kept_once quota_becomes_available_with_time a_day_by_the_callers_clock_restores_the_quota
        a_clock_that_steps_back_creates_no_permit a_late_caller_is_not_refused unavailable_is_an_error
    }
    response_cache {
        finds_what_was_stored replaces stores_an_entry_without_content stores_streams
        bytes_that_are_too_long_are_not_stored a_stream_that_is_too_long_is_not_stored
        interrupted_content_is_not_stored content_beyond_a_limit_is_not_stored unavailable_is_an_error
        never_replaces_a_newer_entry touch_renews_only_the_metadata touch_changes_nothing_else
        stores_a_response_without_content content_of_another_length_is_not_stored a_late_response_is_not_stored
        a_copy_that_takes_time_does_not_replace_a_change
    }
    content {
        reads_as_created bytes_fail_past_a_limit a_stream_fails_past_a_limit
        watched_reports_the_delivery watched_content_is_unchanged gathers_what_fits a_stream_is_gathered
        too_large_content_still_streams a_limit_holds_while_gathering interrupted_content_is_not_gathered
    }
    upstream {
        passes_messages_as_they_are requests_are_edited_like_a_map responses_are_edited_like_a_map
        neither_follows_nor_decodes failures_are_errors reports_a_timeout
        reports_a_refused_connection reports_an_early_close reports_invalid_http never_retries interrupted_content_is_an_error content_is_aborted_at_its_timeout
        refuses_an_untrusted_certificate reports_an_untrusted_certificate
    }
    fetch {
        returns_the_complete_answer follows_no_redirect an_answer_has_bounds refuses_addresses_that_are_not_public
        failures_are_distinguished
    }
    secrets { finds_by_exact_name }
    signatures { the_vectors_of_the_standards_verify nothing_else_verifies a_broken_key_verifies_nothing what_the_gateway_signs_verifies digests_are_those_of_the_standard what_was_encrypted_is_decrypted_and_nothing_else passwords_are_those_of_their_hashes }
    clock { waits_as_long_as_asked returns_the_time_of_day fills_with_unpredictable_bytes }
    telemetry_sink { posts_a_batch a_missing_receiver_is_an_error }
}
