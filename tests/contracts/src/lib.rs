//! What each port promises, as checks of the port's trait alone, for every host to run where it really runs.
//!
//! It does NOT know any platform, and it does not panic: a panic on wasm ends the instance, so a check answers a
//! [`Breach`] instead. What a check needs from outside the host (records written, a store switched off, an upstream) it
//! asks of the [`stage`]. Open [`Subject`] first, then the file named after a port; [`NAMES`] lists all checks.

#[macro_use]
mod breach;
mod clock;
mod content;
mod counters;
mod fetch;
mod records;
mod response_cache;
mod secrets;
pub mod stage;
mod telemetry_sink;
mod upstream;

use http::HeaderMap;
use tollgate_core::forward::Reply;
use tollgate_edge::ports::Host;

pub use breach::{Breach, Outcome};
pub use counters::{charge, part, update};
use stage::{Answer, Order};

/// A host whose ports are checked.
#[expect(async_fn_in_trait, reason = "a host stays on its thread, as for the ports themselves")]
pub trait Subject {
    /// The ports.
    type Host: Host;

    /// Its ports; it holds the secret `TOKEN` with the value `s3cret` and no other that a check asks for.
    fn host(&self) -> &Self::Host;

    /// The content, of which there is none, of a request that came from a client with these fields: with the platform's
    /// own message, where the host edits that.
    fn came(&self, fields: &HeaderMap) -> Result<ContentOf<Self>, Breach>;

    /// The fields and the content that a client would be sent.
    async fn sent(&self, reply: Reply<ContentOf<Self>>) -> Result<(HeaderMap, ContentOf<Self>), Breach>;

    /// Reads content to its end; the error says that it broke off.
    async fn read(&self, content: ContentOf<Self>) -> Result<Vec<u8>, Breach>;

    /// Has the stage do something; a host in another process passes the order on with [`stage::ask`].
    async fn order(&self, order: &Order) -> Result<Answer, Breach>;
}

/// The content of a subject's messages.
pub type ContentOf<S> = <<S as Subject>::Host as Host>::Content;

/// Lists checks once, for their names and for running them by name.
macro_rules! contracts {
    ($($port:ident { $($check:ident)* })*) => {
        /// The names of all checks: `port/what_it_promises`.
        pub const NAMES: &[&str] = &[$($(concat!(stringify!($port), "/", stringify!($check)),)*)*];

        /// Runs one check; `None` if there is none of that name.
        pub async fn run<S: Subject>(name: &str, subject: &S) -> Option<Outcome> {
            // On the heap, because the future of a match is as large as its largest arm.
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
        reads_what_was_written sees_changes away_is_not_absent a_record_written_at_the_edge_is_read_back
        a_second_write_is_made_or_refused_by_name nothing_but_records_of_the_edge_is_written
        what_operators_keep_is_read_back_and_nothing_else_is_kept a_record_is_gone_after_its_time
        writing_while_away_is_an_answer
    }
    counters {
        grants_the_burst_and_no_more charges_side_by_side_are_exact cells_and_quotas_are_apart all_or_none
        all_or_none_over_cells_of_one_owner a_repetition_charges_once what_is_held_can_be_released_once
        what_is_confirmed_stands purges_made_at_once_are_all_kept time_pays_back a_day_pays_back_by_the_callers_clock
        a_clock_that_steps_back_gives_nothing a_late_caller_is_not_refused away_is_an_answer
    }
    response_cache {
        finds_what_was_stored replaces stores_an_entry_without_content stores_what_streams
        gives_up_on_bytes_that_are_too_many gives_up_on_a_stream_that_is_too_long
        keeps_nothing_of_what_breaks_off keeps_nothing_of_what_passes_a_limit away_is_an_answer
        never_replaces_a_newer_entry touch_renews_the_metadata_alone touch_changes_nothing_else
    }
    content {
        is_what_it_was_made_of bytes_fail_past_a_limit a_stream_fails_past_a_limit
        watched_tells_the_delivery watched_hands_on_the_same gathers_what_fits a_stream_is_gathered
        what_is_too_large_still_streams a_limit_holds_while_gathering what_breaks_off_is_not_gathered
    }
    upstream {
        passes_messages_as_they_are requests_are_edited_as_a_map_is responses_are_edited_as_a_map_is
        neither_follows_nor_decodes failures_are_no_answers names_a_timeout
        names_a_refused_connection names_an_early_end names_garbage never_sends_again broken_content_is_seen content_past_its_time_breaks_off
        never_takes_a_bad_certificate names_a_bad_certificate
    }
    fetch {
        brings_the_whole_answer follows_no_redirect an_answer_has_bounds refuses_addresses_that_are_not_public
        failures_have_names
    }
    secrets { finds_by_exact_name }
    clock { waits_as_long_as_asked tells_the_time_of_day fills_with_unpredictable_bytes }
    telemetry_sink { posts_a_batch says_that_nobody_took_it }
}
