//! What a request costs, where it is not a number of its route: what is read of the request, or of its response.

use std::fmt;
use std::num::NonZeroU32;

use http::HeaderMap;
use minicbor::Encode;
use serde::{Deserialize, Serialize};

use crate::codec::{self, Decode};
use crate::expression::{Facts, Source};

/// How a limit finds the cost of a request.
///
/// A request costs at least 1. What is known of it before it is forwarded is charged then; otherwise `reserve` is, and the
/// difference is settled when the response says more. A cost that is never known is `reserve`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[serde(deny_unknown_fields)]
#[cbor(map)]
pub struct Cost {
    /// What is counted.
    #[n(0)]
    pub of: Measure,
    /// How much of it costs 1; what is left over costs 1, too.
    #[n(1)]
    pub per: NonZeroU32,
    /// What is charged while the cost is not known.
    #[n(2)]
    pub reserve: NonZeroU32,
    /// What a request costs at most; absent, all that can be charged at once.
    #[cbor(n(3), skip_if = "codec::is_default")]
    pub most: Option<NonZeroU32>,
}

/// What is counted. Further ones, such as a member of the response's content, only have to say when they are known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[serde(rename_all = "kebab-case")]
#[cbor(flat)]
pub enum Measure {
    /// The bytes of the request's content: as declared, otherwise as they have passed.
    #[n(0)]
    RequestBytes,
    /// The bytes of the response's content that were sent to the client.
    #[n(1)]
    ResponseBytes,
    /// The number in a field of the upstream's response.
    #[n(2)]
    ResponseField(#[n(0)] String),
    /// The number that an expression reads of the request or its caller.
    #[n(3)]
    Value(#[n(0)] Source),
}

/// The cost of a request, as far as it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Priced {
    /// This.
    At(NonZeroU32),
    /// More than allowed, which is charged.
    Beyond(NonZeroU32),
    /// There is no number: the reserve is charged.
    Unknown(NonZeroU32),
    /// It is known later: the reserve is charged before.
    Later(NonZeroU32),
}

impl Cost {
    /// The cost before the request is forwarded; `request_bytes` is the length of its content, if it is known, and `burst` what can
    /// be charged at once.
    #[must_use]
    pub fn before(&self, facts: &Facts<'_>, request_bytes: Option<u64>, burst: NonZeroU32) -> Priced {
        let later = || Priced::Later(self.reserve.min(self.most(burst)));
        match &self.of {
            Measure::RequestBytes => request_bytes.map_or_else(later, |bytes| self.of(Some(bytes), burst)),
            Measure::ResponseBytes | Measure::ResponseField(_) => later(),
            Measure::Value(source) => self.of(facts.rounded_up(source).and_then(|text| number(&text)), burst),
        }
    }

    /// The cost of so much of what is counted.
    #[must_use]
    pub fn of(&self, amount: Option<u64>, burst: NonZeroU32) -> Priced {
        let most = self.most(burst);
        let Some(amount) = amount else { return Priced::Unknown(self.reserve.min(most)) };
        let units = u32::try_from(amount.div_ceil(self.per.get().into())).unwrap_or(u32::MAX);
        match NonZeroU32::new(units).unwrap_or(NonZeroU32::MIN) {
            units if units > most => Priced::Beyond(most),
            units => Priced::At(units),
        }
    }

    /// The cost that the fields of the upstream's response state, if they are what is read.
    #[must_use]
    pub fn stated(&self, fields: &HeaderMap, burst: NonZeroU32) -> Option<Priced> {
        let Measure::ResponseField(name) = &self.of else { return None };
        let mut lines = fields.get_all(name.as_str()).iter();
        // A field that is repeated has no value.
        let only = lines.next().filter(|_| lines.next().is_none());
        Some(self.of(only.and_then(|value| number(value.to_str().ok()?)), burst))
    }

    /// Whether it is not always known before the request is forwarded.
    #[must_use]
    pub const fn is_settled(&self) -> bool {
        !matches!(self.of, Measure::Value(_))
    }

    /// Whether something of what was charged before may have to be given back.
    #[must_use]
    pub const fn may_be_less(&self) -> bool {
        self.is_settled() && self.reserve.get() > 1
    }

    fn most(&self, burst: NonZeroU32) -> NonZeroU32 {
        self.most.unwrap_or(burst)
    }

    /// Checks what the types cannot express.
    pub(super) fn is_coherent(&self) -> bool {
        self.most.is_none_or(|most| self.reserve <= most)
    }
}

impl Priced {
    /// What is charged.
    #[must_use]
    pub const fn cost(self) -> NonZeroU32 {
        match self {
            Self::At(cost) | Self::Beyond(cost) | Self::Unknown(cost) | Self::Later(cost) => cost,
        }
    }
}

/// As it is written.
impl fmt::Display for Measure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RequestBytes => f.write_str(REQUEST_BYTES),
            Self::ResponseBytes => f.write_str(RESPONSE_BYTES),
            Self::ResponseField(name) => write!(f, "response.headers[\"{name}\"]"),
            Self::Value(source) => source.fmt(f),
        }
    }
}

/// A decimal number, rounded up: digits, and digits after a point. One that is too large is the largest.
fn number(text: &str) -> Option<u64> {
    let (whole, part) = text.trim_ascii().split_once('.').unwrap_or((text.trim_ascii(), "0"));
    let is_number = |digits: &str| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number(whole) || !is_number(part) {
        return None;
    }
    let more = u64::from(part.bytes().any(|digit| digit != b'0'));
    let digits = whole.bytes().map(|digit| u64::from(digit - b'0'));
    Some(digits.fold(0_u64, |number, digit| number.saturating_mul(10).saturating_add(digit)).saturating_add(more))
}

/// How the bytes of contents are written.
pub const REQUEST_BYTES: &str = "request.bytes";
/// As [`REQUEST_BYTES`].
pub const RESPONSE_BYTES: &str = "response.bytes";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authn::Principal;
    use crate::expression::with_facts;
    use crate::jose::Members;
    use http::HeaderValue;
    use proptest::prelude::*;
    use wasm_bindgen_test::wasm_bindgen_test;

    fn cost(of: Measure, per: u32) -> Cost {
        let n = |number| NonZeroU32::new(number).unwrap();
        Cost { of, per: n(per), reserve: n(5), most: Some(n(100)) }
    }

    fn n(number: u32) -> NonZeroU32 {
        NonZeroU32::new(number).unwrap()
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn numbers_are_rounded_up_and_anything_else_is_none() {
        for (text, want) in [
            ("0", Some(0)),
            ("7", Some(7)),
            (" 7\t", Some(7)),
            ("007", Some(7)),
            ("7.0", Some(7)),
            ("7.01", Some(8)),
            ("0.1", Some(1)),
            ("18446744073709551616", Some(u64::MAX)),
            ("99999999999999999999999999.5", Some(u64::MAX)),
            ("", None),
            (".5", None),
            ("7.", None),
            ("-1", None),
            ("+1", None),
            ("1e9", None),
            ("1 2", None),
            ("1,2", None),
            ("0x10", None),
            ("many", None),
            ("٣", None),
        ] {
            assert_eq!(number(text), want, "{text:?}");
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn an_amount_costs_its_units_within_the_bounds() {
        let kib = cost(Measure::ResponseBytes, 1024);
        for (amount, want) in [
            (Some(0), Priced::At(n(1))),
            (Some(1), Priced::At(n(1))),
            (Some(1024), Priced::At(n(1))),
            (Some(1025), Priced::At(n(2))),
            (Some(102_400), Priced::At(n(100))),
            (Some(102_401), Priced::Beyond(n(100))),
            (Some(u64::MAX), Priced::Beyond(n(100))),
            (None, Priced::Unknown(n(5))),
        ] {
            assert_eq!(kib.of(amount, n(200)), want, "{amount:?}");
            assert_eq!(Cost { most: None, ..kib.clone() }.of(amount, n(100)), want, "without a bound it is the burst");
        }
        assert_eq!(Cost { most: None, ..kib }.of(None, n(3)), Priced::Unknown(n(3)));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn it_is_charged_before_as_far_as_it_is_known() {
        let parameter = |name: &str| cost(Measure::Value(Source::Parameter(name.into())), 1);
        with_facts(None, |facts| {
            assert_eq!(parameter("id").before(facts, None, n(9)), Priced::At(n(7)));
            assert_eq!(parameter("absent").before(facts, None, n(9)), Priced::Unknown(n(5)));
            assert_eq!(cost(Measure::RequestBytes, 2).before(facts, Some(7), n(9)), Priced::At(n(4)));
            assert_eq!(cost(Measure::RequestBytes, 2).before(facts, None, n(9)), Priced::Later(n(5)));
            assert_eq!(cost(Measure::ResponseBytes, 2).before(facts, Some(7), n(9)), Priced::Later(n(5)));
        });
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_claim_is_a_number_however_it_is_written() {
        let members = br#"{"a":10,"b":10.0,"c":10.5,"d":"10.5","e":1e300,"f":-0.5,"g":-2.0,"h":true,"i":[1],"j":0.0}"#;
        let names = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k"];
        let paths = names.map(|name| vec![name.to_owned()]);
        let caller = Principal::new("acme".into(), "c".into(), None, vec![]);
        let caller = caller.with_claims(&paths, &Members::parse(members).unwrap());
        let (eleven, none) = (Priced::At(n(11)), Priced::Unknown(n(5)));
        let wants =
            [Priced::At(n(10)), Priced::At(n(10)), eleven, eleven, Priced::Beyond(n(100)), none, none, none, none];
        with_facts(Some(&caller), |facts| {
            let priced =
                |path: &[String]| cost(Measure::Value(Source::Claim(path.to_vec())), 1).before(facts, None, n(200));
            for (path, want) in paths.iter().zip(wants.into_iter().chain([Priced::At(n(1)), none])) {
                assert_eq!(priced(path), want, "{path:?}");
            }
            let text = |path: &[String]| facts.text(&Source::Claim(path.to_vec())).map(|text| text.into_owned());
            let as_text = [Some("10"), Some("10"), None].map(|text| text.map(str::to_owned));
            assert_eq!([text(&paths[0]), text(&paths[1]), text(&paths[2])], as_text);
        });
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_field_states_it_once() {
        let stated = |lines: &[&'static str]| {
            let mut fields = HeaderMap::new();
            for line in lines {
                fields.append("x-cost", HeaderValue::from_static(line));
            }
            cost(Measure::ResponseField("x-cost".into()), 1).stated(&fields, n(200))
        };
        assert_eq!(stated(&["12.5"]), Some(Priced::At(n(13))));
        assert_eq!(stated(&["101"]), Some(Priced::Beyond(n(100))));
        for lines in [&[][..], &["-3"], &["free"], &["1", "1"]] {
            assert_eq!(stated(lines), Some(Priced::Unknown(n(5))), "{lines:?}");
        }
        assert_eq!(cost(Measure::ResponseBytes, 1).stated(&HeaderMap::new(), n(9)), None);
    }

    proptest! {
        #[test]
        fn no_text_costs_less_than_one_or_more_than_allowed(text in "\\PC{0,40}", per in 1_u32..) {
            let priced = cost(Measure::ResponseBytes, per).of(number(&text), n(9));
            prop_assert!((1..=100).contains(&priced.cost().get()));
        }
    }
}
