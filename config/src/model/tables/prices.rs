//! `prices.yaml`.

use super::FILE;
use crate::schema::texts::{CURRENCY, TARGET};
use crate::schema::{Key, Named, Object, Quantity, Shape};

/// The root of `prices.yaml`.
pub(crate) static PRICES: Object = Object {
    name: "prices",
    doc: "The prices of platforms, for `tollgate cost`.",
    keys: &[
        Key::required("currency", "The currency of all prices.", Shape::Ruled(&CURRENCY)).examples(&["\"USD\""]),
        Key::required("as-of", "The date of the prices.", Shape::Text).examples(&["\"2026-11-23\""]),
        Key::required("targets", "The prices by platform.", Shape::Named(&TARGETS)),
    ],
    shared: &[FILE],
    ..Object::PLAIN
};

static TARGETS: Named = Named { names: &TARGET, of: Shape::Object(&TARGET_PRICES), max: usize::MAX };

/// Prices of one platform.
pub(crate) static TARGET_PRICES: Object = Object {
    name: "target-prices",
    doc: "The prices of one platform for a million of each unit, with at most six decimals, and the assumptions about a request.",
    keys: &[
        Key::optional("source", "The source of the prices.", Shape::Text),
        Key::optional("cpu", "The CPU time of a request.", Shape::Quantity(Quantity::Duration)).default("\"1ms\""),
        Key::optional("response", "The size of a response's content.", Shape::Quantity(Quantity::Size))
            .default("\"10KiB\""),
        Key::optional("requests", "Requests.", PRICE).default("0"),
        Key::optional("cpu-ms", "Milliseconds of CPU time.", PRICE).default("0"),
        Key::optional("record-reads", "Records read.", PRICE).default("0"),
        Key::optional("record-writes", "Records written.", PRICE).default("0"),
        Key::optional("counter-calls", "Calls of counters.", PRICE).default("0"),
        Key::optional("cache-calls", "Look-ups and stores in the response cache.", PRICE).default("0"),
        Key::optional("upstream-requests", "Requests to upstreams.", PRICE).default("0"),
        Key::optional(
            "questions",
            "Questions to services, such as identity providers and receivers of notices.",
            PRICE,
        )
        .default("0"),
        Key::optional("exports", "Batches of telemetry.", PRICE).default("0"),
        Key::optional("egress-gib", "Content sent to clients; the price is for one GiB, not for a million.", PRICE)
            .default("0"),
    ],
    ..Object::PLAIN
};

const PRICE: Shape = Shape::Number(0, 1_000_000);
