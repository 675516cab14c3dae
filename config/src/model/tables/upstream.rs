//! `upstreams:`.

use super::level::TIMEOUT;
use crate::model::upstream::HEADERS_MAX;
use crate::schema::texts::{FIELD, FIELD_VALUE, URL};
use crate::schema::{Key, Named, Object, Quantity, Shape};

/// An upstream, or its URL alone.
pub(crate) const UPSTREAM_OR_URL: Shape = Shape::AnyOf(&[Shape::Ruled(&URL), Shape::Object(&UPSTREAM)]);

/// An upstream as a mapping.
pub(crate) static UPSTREAM: Object = Object {
    name: "upstream",
    doc: "A server that the gateway calls.",
    keys: &[
        Key::required("url", "Where it is; a path is put before forwarded paths.", Shape::Ruled(&URL))
            .examples(&["\"https://pets.internal:8443\""]),
        Key::optional("timeout", "The total time of an exchange, for routes whose API and route say nothing.", TIMEOUT)
            .absent("the gateway's")
            .examples(&["\"10s\""]),
        Key::optional("connect-timeout", "The time for a connection.", Shape::Quantity(Quantity::Time))
            .absent("the gateway's")
            .examples(&["\"2s\""]),
        Key::optional(
            "headers",
            "Header fields that are set on every request, in place of the client's; secrets are allowed.",
            HEADERS,
        )
        .absent("none")
        .examples(&["{\"Authorization\": \"Bearer ${secret.PETS_TOKEN}\"}"]),
    ],
    examples: &["{\"url\": \"https://pets.internal:8443\", \"timeout\": \"10s\"}"],
    ..Object::PLAIN
};

/// Header fields with their values.
pub(crate) const HEADERS: Shape = Shape::Named(&FIELDS);

static FIELDS: Named = Named { names: &FIELD, of: Shape::Ruled(&FIELD_VALUE), max: HEADERS_MAX };
