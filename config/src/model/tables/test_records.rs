//! What operators write in policy tests: products, plans, subscriptions and grants.

use super::policy_tests::TEXTS;
use crate::schema::texts::INSTANT;
use crate::schema::{Key, Object, Rule, Shape};

/// A product.
pub(crate) static TEST_PRODUCT: Object = Object {
    name: "test-product",
    doc: "A product that an operator writes.",
    keys: &[
        Key::required("name", "Its name.", Shape::Text).examples(&["\"pets\""]),
        Key::optional("apis", "Its APIs.", TEXTS).absent("all").examples(&["[\"pets\"]"]),
    ],
    ..Object::PLAIN
};

/// A plan.
pub(crate) static TEST_PLAN: Object = Object {
    name: "test-plan",
    doc: "A plan that an operator writes.",
    keys: &[
        Key::required("name", "Its name.", Shape::Text).examples(&["\"pro\""]),
        Key::optional("product", "The product that can be subscribed to with it.", Shape::Text)
            .absent("it is for credentials and claims")
            .examples(&["\"pets\""]),
        Key::optional(
            "limits",
            "The numbers of limits: `NAME=COUNT`, of a rate also `NAME=COUNT/PERIOD` and `NAME=COUNT/PERIOD:BURST`.",
            TEXTS,
        )
        .absent("none")
        .examples(&["[\"monthly=1000\", \"burst=100/s:200\"]"]),
    ],
    ..Object::PLAIN
};

/// A subscription.
pub(crate) static TEST_SUBSCRIPTION: Object = Object {
    name: "test-subscription",
    doc: "A subscription that an operator begins, changes or ends.",
    keys: &[
        Key::required("consumer", "The consumer.", Shape::Text).examples(&["\"acme\""]),
        Key::required("product", "The product.", Shape::Text).examples(&["\"pets\""]),
        Key::optional("plan", "The plan, of a new subscription or of the one that exists.", Shape::Text)
            .examples(&["\"pro\""]),
        Key::optional("until", "When it ends.", Shape::Ruled(&INSTANT)).absent("it does not"),
        Key::optional("end", "Ends it.", Shape::Word(&[("now", "at once")])),
    ],
    rules: &[Rule::OneOf(&["plan", "end"])],
    ..Object::PLAIN
};

/// A grant.
pub(crate) static TEST_GRANT: Object = Object {
    name: "test-grant",
    doc: "A raise of a limit that an operator gives.",
    keys: &[
        Key::required("consumer", "The consumer.", Shape::Text).examples(&["\"acme\""]),
        Key::required("limit", "The limit: a policy that has `at-most`.", Shape::Text).examples(&["\"monthly\""]),
        Key::required("raise", "What it is raised to: a number, or a share such as `150%`.", Shape::Text)
            .examples(&["\"2000\"", "\"150%\""]),
        Key::optional("product", "The product whose subscription it raises.", Shape::Text).absent("all requests"),
        Key::optional("for", "For how long, in `s`, `m`, `h` or `d`.", Shape::Text).examples(&["\"7d\""]),
        Key::optional("until", "When it ends.", Shape::Ruled(&INSTANT)),
    ],
    rules: &[Rule::OneOf(&["for", "until"])],
    ..Object::PLAIN
};
