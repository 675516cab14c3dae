//! `kind: ip-filter`.

use std::collections::HashMap;

use tollgate_core::bounds::NETWORKS_MAX;
use tollgate_core::guard::ip_filter::IpFilterSettings;
use tollgate_core::guard::{AddressSet, Cidr, Networks};

use super::{Change, Kind, Value, Written, kind_key};
use crate::decode::parsed;
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::place::{Span, Spanned};
use crate::schema::texts::NETWORK;
use crate::schema::{Key, List, Object, Rule, Shape};

/// A short description of the kind.
pub(super) const DOES: &str = "allows or denies clients by address; named in `guard`";

pub(super) static TABLE: Object = Object {
    name: "ip-filter",
    doc: "Allows or denies clients by address, before any record is read for the request. Denied requests are answered with \
          403. If several networks contain an address, the one with the longest prefix decides. Named in `guard`.",
    keys: &[
        kind_key(&[("ip-filter", DOES)]),
        Key::optional(
            "allow",
            "Networks that are allowed. With `allow`, addresses in none of the listed networks are denied.",
            NETWORKS,
        )
        .absent("all addresses that `deny` does not contain")
        .change(Change::MoreIsLooser)
        .examples(&["[\"10.0.0.0/8\", \"2001:db8::/32\"]"]),
        Key::optional("deny", "Networks that are denied.", NETWORKS)
            .absent("none")
            .change(Change::MoreIsStricter)
            .examples(&["[\"192.0.2.0/24\"]"]),
        Key::optional(
            "allow-file",
            "The path of a file with further networks that are allowed, relative to this file: one network a line, with comments \
             after `#`. It is read when the project is compiled.",
            Shape::Text,
        )
        .absent("none")
        .change(Change::MoreIsLooser)
        .examples(&["\"lists/offices.txt\""]),
        Key::optional(
            "deny-file",
            "The path of a file with further networks that are denied, in the same form.",
            Shape::Text,
        )
        .absent("none")
        .change(Change::MoreIsStricter)
        .examples(&["\"lists/abuse.txt\""]),
    ],
    rules: &[Rule::SomeOf(&["allow", "deny", "allow-file", "deny-file"])],
    examples: &["{\"kind\": \"ip-filter\", \"allow\": [\"10.0.0.0/8\"], \"deny\": [\"10.9.0.0/16\"]}"],
    ..Object::PLAIN
};

const NETWORKS: Shape = Shape::List(&List::some_texts(Shape::Ruled(&NETWORK), NETWORKS_MAX));

/// Reports networks that are both allowed and denied.
fn report_in_both(allow: &[Spanned<Cidr>], deny: &[Spanned<Cidr>], report: &mut Report) {
    let denied: HashMap<Cidr, Span> = deny.iter().map(|one| (one.value, one.span)).collect();
    for (allowed, denied) in allow.iter().filter_map(|one| Some((one, denied.get(&one.value)?))) {
        report.push(
            Diagnostic::warning(
                Code::BadNetwork,
                allowed.span,
                format!("`{}` is both allowed and denied", allowed.value),
            )
            .why("of two networks with the same prefix length, that in `deny` decides")
            .fix("remove it from one of the lists")
            .related(*denied, "denied here"),
        );
    }
}

impl Kind for IpFilterSettings {
    fn lower(written: &Written, report: &mut Report) -> Option<Self> {
        let mut networks = |key| {
            let list = written.list(key);
            let read: Vec<Spanned<Cidr>> = list
                .iter()
                .filter_map(|text| parsed::network(text, report).map(|network| Spanned::new(network, text.span)))
                .collect();
            (read.len() == list.len()).then_some(read)
        };
        let (allow, deny) = (networks("allow"), networks("deny"));
        let (allow, deny) = (allow?, deny?);
        report_in_both(&allow, &deny, report);
        let list =
            |networks: Vec<Spanned<Cidr>>| Networks::from(networks.iter().map(|one| one.value).collect::<Vec<_>>());
        Some(Self { allow: list(allow), deny: list(deny) })
    }

    fn values(&self) -> Vec<(&'static str, Value)> {
        let Self { allow, deny } = self;
        let list = |key, networks: &Networks| {
            let texts = networks.as_slice().iter().map(ToString::to_string).collect();
            (!networks.is_empty()).then_some((key, Value::List(texts)))
        };
        [list("allow", allow), list("deny", deny)].into_iter().flatten().collect()
    }

    fn admitted(&self) -> Option<AddressSet> {
        Some(self.admitted())
    }
}
