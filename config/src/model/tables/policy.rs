//! `policies:`, told apart by their `kind`.

use crate::schema::texts::{FIELD, QUERY_PARAMETER, SCHEME};
use crate::schema::{Key, Object, Quantity, Shape, Tagged};

/// A policy; its `kind` says which other keys there are.
pub(crate) static POLICY: Tagged =
    Tagged { head: &POLICY_HEAD, tag: "kind", variants: &[("api-key", &API_KEY), ("rate-limit", &RATE_LIMIT)] };

/// A policy before its kind is known.
pub(crate) static POLICY_HEAD: Object = Object {
    name: "policy",
    doc: "A policy, which levels name in `authn` or `limit`. `kind` says which other keys there are.",
    keys: &[Key::required("kind", "What the policy does.", Shape::Word(KINDS))],
    ..Object::PLAIN
};

const KINDS: &[(&str, &str)] = &[
    ("api-key", "lets callers in who send a key; named in `authn`"),
    ("rate-limit", "lets so many requests through in a period; named in `limit`"),
];

/// `kind: api-key`.
pub(crate) static API_KEY: Object = Object {
    name: "api-key",
    doc: "Lets callers in who send a key that the registry knows. Named in `authn`.",
    keys: &[
        Key::required("kind", "What the policy does.", Shape::Word(&[("api-key", "lets callers in who send a key")])),
        Key::optional("header", "The field that carries the key.", Shape::Ruled(&FIELD)).default("\"X-API-Key\""),
        Key::optional("scheme", "A word before the key in that field.", Shape::Ruled(&SCHEME))
            .absent("none")
            .examples(&["\"Bearer\""]),
        Key::optional("query", "A query parameter that may carry the key instead.", Shape::Ruled(&QUERY_PARAMETER))
            .absent("no query parameter may")
            .examples(&["\"api-key\""]),
    ],
    examples: &["{\"kind\": \"api-key\", \"header\": \"X-API-Key\"}"],
    ..Object::PLAIN
};

/// `kind: rate-limit`.
pub(crate) static RATE_LIMIT: Object = Object {
    name: "rate-limit",
    doc: "Lets so many requests through in a period, and refuses the others with 429. Named in `limit`.",
    keys: &[
        Key::required("kind", "What the policy does.", Shape::Word(&[("rate-limit", "limits how often callers call")])),
        Key::required("rate", "How many come back in a period.", Shape::Quantity(Quantity::Rate))
            .examples(&["\"100/s\"", "\"5/10s\""]),
        Key::optional("burst", "The most at once after a rest.", Shape::Integer(1, u32::MAX as i64))
            .absent("the count of `rate`")
            .examples(&["200"]),
        Key::optional("by", "Whose requests are counted together.", Shape::Word(BY)).default("\"consumer\""),
        Key::optional(
            "on-unavailable",
            "What happens while the store of the counters does not answer.",
            Shape::Word(ON_UNAVAILABLE),
        )
        .default("\"open\""),
    ],
    examples: &["{\"kind\": \"rate-limit\", \"rate\": \"100/s\", \"burst\": 200}"],
    ..Object::PLAIN
};

const BY: &[(&str, &str)] = &[
    ("consumer", "those of a consumer; of the client's address where nobody was authenticated"),
    ("address", "those of the client's address"),
];

const ON_UNAVAILABLE: &[(&str, &str)] = &[("open", "requests pass"), ("closed", "requests are refused")];
