//! The fields that tell an upstream who the caller is.

use std::fmt;
use std::str::FromStr;

use http::HeaderName;
use minicbor::Encode;
use serde::{Deserialize, Serialize};

use crate::codec::Decode;
use crate::field_name;
use crate::text::escape;

/// A field that tells an upstream something about the caller. What clients send under its name is never forwarded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[serde(deny_unknown_fields)]
#[cbor(map)]
pub struct IdentityField {
    /// Its name.
    #[serde(with = "field_name")]
    #[cbor(n(0), with = "field_name")]
    pub name: HeaderName,
    /// What it tells.
    #[n(1)]
    pub tells: Attribute,
}

/// Something that is known about an authenticated caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[serde(rename_all = "kebab-case")]
#[cbor(index_only)]
pub enum Attribute {
    /// The name of the consumer.
    #[n(0)]
    Consumer,
    /// The public id of the credential.
    #[n(1)]
    Credential,
    /// The plan.
    #[n(2)]
    Plan,
    /// The scopes.
    #[n(3)]
    Scopes,
    /// The groups.
    #[n(4)]
    Groups,
}

/// What is known about an authenticated caller.
#[derive(Clone, Copy, Debug)]
pub struct Caller<'p> {
    /// The name of the consumer.
    pub consumer: &'p str,
    /// The public id of the credential.
    pub credential: &'p str,
    /// The plan, if there is one.
    pub plan: Option<&'p str>,
    /// The scopes.
    pub scopes: &'p [String],
    /// The groups.
    pub groups: &'p [String],
}

/// The text is not one of the attributes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownAttribute;

impl Attribute {
    /// All attributes.
    pub const ALL: [Self; 5] = [Self::Consumer, Self::Credential, Self::Plan, Self::Scopes, Self::Groups];

    /// The word in configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Consumer => "consumer",
            Self::Credential => "credential",
            Self::Plan => "plan",
            Self::Scopes => "scopes",
            Self::Groups => "groups",
        }
    }

    /// Writes its value; returns whether the caller has one.
    ///
    /// Bytes outside printable ASCII, blanks and `%` are percent-encoded (RFC 3986, section 2.1), so that no value ends a
    /// line, and blanks separate the elements of a list.
    pub fn write(self, caller: &Caller<'_>, out: &mut String) -> bool {
        let single = match self {
            Self::Consumer => caller.consumer,
            Self::Credential => caller.credential,
            Self::Plan => caller.plan.unwrap_or_default(),
            Self::Scopes => return write_list(caller.scopes, out),
            Self::Groups => return write_list(caller.groups, out),
        };
        write_encoded(single, out);
        !single.is_empty()
    }
}

fn write_list(all: &[String], out: &mut String) -> bool {
    for (at, one) in all.iter().enumerate() {
        if at > 0 {
            out.push(' ');
        }
        write_encoded(one, out);
    }
    !all.is_empty()
}

fn write_encoded(text: &str, out: &mut String) {
    for byte in text.bytes() {
        if byte.is_ascii_graphic() && byte != b'%' {
            out.push(char::from(byte));
        } else {
            escape(out, byte);
        }
    }
}

impl FromStr for Attribute {
    type Err = UnknownAttribute;

    fn from_str(text: &str) -> Result<Self, UnknownAttribute> {
        Self::ALL.into_iter().find(|attribute| attribute.as_str() == text).ok_or(UnknownAttribute)
    }
}

impl fmt::Display for Attribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;
    use proptest::prelude::*;
    use wasm_bindgen_test::wasm_bindgen_test;

    fn caller<'p>(consumer: &'p str, plan: Option<&'p str>, scopes: &'p [String]) -> Caller<'p> {
        Caller { consumer, credential: "key-1", plan, scopes, groups: scopes }
    }

    fn written(attribute: Attribute, caller: &Caller<'_>) -> Option<String> {
        let mut out = String::new();
        attribute.write(caller, &mut out).then_some(out)
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn what_the_caller_does_not_have_is_absent() {
        let nothing = caller("acme", None, &[]);
        let values = Attribute::ALL.map(|attribute| written(attribute, &nothing));
        assert_eq!(values, [Some("acme".into()), Some("key-1".into()), None, None, None]);
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn elements_are_separated_by_blanks_that_no_element_has() {
        let scopes = ["pets.read".to_owned(), "two words".to_owned(), "50%,a".to_owned()];
        let caller = caller("staff:Zo\u{eb} \r\nX-Admin: 1", Some("gold"), &scopes);
        assert_eq!(written(Attribute::Scopes, &caller).as_deref(), Some("pets.read two%20words 50%25,a"));
        let consumer = written(Attribute::Consumer, &caller);
        assert_eq!(consumer.as_deref(), Some("staff:Zo%C3%AB%20%0D%0AX-Admin:%201"));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn words_in_configuration_are_those_of_the_attributes() {
        for attribute in Attribute::ALL {
            assert_eq!(attribute.to_string().parse(), Ok(attribute));
        }
        assert_eq!("Consumer".parse::<Attribute>(), Err(UnknownAttribute));
    }

    proptest! {
        #[test]
        fn every_value_is_one_line_and_is_decoded_to_what_it_was(text in ".{1,40}") {
            let value = written(Attribute::Consumer, &caller(&text, None, &[])).unwrap();
            prop_assert!(HeaderValue::from_str(&value).is_ok_and(|value| value.to_str().is_ok()));
            let value = value.replace('+', "%2B");
            prop_assert_eq!(&*crate::query::decoded(&value), text.as_bytes());
        }
    }
}
