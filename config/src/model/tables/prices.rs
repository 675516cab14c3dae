//! `prices.yaml`.

use super::FILE;
use crate::schema::texts::{CURRENCY, TARGET};
use crate::schema::{Key, Named, Object, Quantity, Shape};

/// The root of `prices.yaml`.
pub(crate) static PRICES: Object = Object {
    name: "prices",
    doc: "What platforms charge, for `tollgate cost`.",
    keys: &[
        Key::required("currency", "The currency of all prices.", Shape::Ruled(&CURRENCY)).examples(&["\"USD\""]),
        Key::required("as-of", "The day from which the prices are.", Shape::Text).examples(&["\"2026-11-23\""]),
        Key::required("targets", "Prices by platform.", Shape::Named(&TARGETS)),
    ],
    shared: &[FILE],
    ..Object::PLAIN
};

static TARGETS: Named = Named { names: &TARGET, of: Shape::Object(&TARGET_PRICES), max: usize::MAX };

/// Prices of one platform.
pub(crate) static TARGET_PRICES: Object = Object {
    name: "target-prices",
    doc: "What one platform charges for a million of each, up to six decimals; and what is assumed of a request.",
    keys: &[
        Key::optional("source", "Where the prices are from.", Shape::Text),
        Key::optional("cpu", "The time of a processor that a request takes.", Shape::Quantity(Quantity::Duration))
            .default("\"1ms\""),
        Key::optional("response", "The content of a response.", Shape::Quantity(Quantity::Size)).default("\"10KiB\""),
        Key::optional("requests", "Requests.", PRICE).default("0"),
        Key::optional("cpu-ms", "Milliseconds of a processor.", PRICE).default("0"),
        Key::optional("record-reads", "Records read.", PRICE).default("0"),
        Key::optional("counter-calls", "Calls of counters.", PRICE).default("0"),
        Key::optional("cache-calls", "Looks into the response cache, and stores.", PRICE).default("0"),
        Key::optional("upstream-requests", "Requests to upstreams.", PRICE).default("0"),
        Key::optional("exports", "Batches of telemetry.", PRICE).default("0"),
        Key::optional("egress-gib", "What goes to clients; the price of one GiB, not of a million.", PRICE)
            .default("0"),
    ],
    ..Object::PLAIN
};

const PRICE: Shape = Shape::Number(0, 1_000_000);
