//! The fields that tell an upstream who the caller is.

use std::fmt::{self, Write as _};

use http::HeaderName;
use minicbor::Encode;
use minicbor::encode::{self, Encoder, Write};
use serde::{Deserialize, Serialize};

use super::IdentityToken;
use crate::codec::{Decode, Failed, Reader};
use crate::field_name;
use crate::json::{self, Value};
use crate::text::escape;
use crate::x509::CertificateName;

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
    pub tells: Told,
}

/// What a field tells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Told {
    /// Something about the caller.
    Attribute(Attribute),
    /// A token of the gateway about the caller.
    Token(Box<IdentityToken>),
}

/// Something that is known about an authenticated caller.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Attribute {
    /// The name of the consumer.
    Consumer,
    /// The public id of the credential.
    Credential,
    /// The plan.
    Plan,
    /// The scopes.
    Scopes,
    /// The groups.
    Groups,
    /// The claim of the token at a path of members.
    Claim(Vec<String>),
    /// What the certificate of the client has of this kind.
    Certificate(CertificateName),
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
    /// What else was kept of the credential.
    pub facts: &'p [(Attribute, Value)],
}

impl Attribute {
    /// The attributes that every caller may have, in the order of their numbers in the stored form.
    pub const COMMON: [(&'static str, Self); 5] = [
        ("consumer", Self::Consumer),
        ("credential", Self::Credential),
        ("plan", Self::Plan),
        ("scopes", Self::Scopes),
        ("groups", Self::Groups),
    ];

    /// Whether policies keep it only if somebody asks for it.
    #[must_use]
    pub const fn is_kept(&self) -> bool {
        matches!(self, Self::Claim(_) | Self::Certificate(_))
    }

    /// Writes its value; returns whether the caller has one.
    ///
    /// Bytes outside printable ASCII, blanks and `%` are percent-encoded (RFC 3986, section 2.1), so that no value ends a
    /// line, and blanks separate the elements of a list. Numbers and truth values are written as in JSON; `null` and objects
    /// are no values.
    pub fn write(&self, caller: &Caller<'_>, out: &mut String) -> bool {
        let single = match self {
            Self::Consumer => caller.consumer,
            Self::Credential => caller.credential,
            Self::Plan => caller.plan.unwrap_or_default(),
            Self::Scopes => return write_list(caller.scopes, out),
            Self::Groups => return write_list(caller.groups, out),
            Self::Claim(_) | Self::Certificate(_) => {
                let fact = caller.facts.iter().find(|(own, _)| own == self);
                return fact.is_some_and(|(_, value)| write_value(value, out));
            }
        };
        write_encoded(single, out);
        !single.is_empty()
    }
}

impl Attribute {
    /// Adds a claim that tells it, if the caller has a value.
    pub(super) fn write_claim(&self, name: &str, caller: &Caller<'_>, claims: &mut json::Object<'_>) {
        let text = |claims: &mut json::Object<'_>, text: &str| {
            if !text.is_empty() {
                claims.text(name, text);
            }
        };
        let texts = |claims: &mut json::Object<'_>, all: &[String]| {
            if !all.is_empty() {
                claims.list(name, all, |out, one| json::string(out, one));
            }
        };
        match self {
            Self::Consumer => text(claims, caller.consumer),
            Self::Credential => text(claims, caller.credential),
            Self::Plan => text(claims, caller.plan.unwrap_or_default()),
            Self::Scopes => texts(claims, caller.scopes),
            Self::Groups => texts(claims, caller.groups),
            Self::Claim(_) | Self::Certificate(_) => {
                let fact = caller.facts.iter().find(|(own, _)| own == self);
                if let Some((_, value)) = fact.filter(|(_, value)| is_json(value)) {
                    claims.value(name, |out| write_json(value, out));
                }
            }
        }
    }
}

/// Whether a value can be written as JSON: of objects it is only known that they are there.
const fn is_json(value: &Value) -> bool {
    !matches!(value, Value::Null | Value::Object(_))
}

fn write_json(value: &Value, out: &mut String) {
    match value {
        Value::Text(text) => json::string(out, text),
        Value::List(all) => json::list(out, all.iter().filter(|one| is_json(one)), |out, one| write_json(one, out)),
        scalar => {
            write_scalar(scalar, out);
        }
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

/// Writes a value, or the elements of a list that are no lists.
fn write_value(value: &Value, out: &mut String) -> bool {
    let Value::List(all) = value else { return write_scalar(value, out) };
    let start = out.len();
    for one in all {
        let end = out.len();
        if end > start {
            out.push(' ');
        }
        if !write_scalar(one, out) {
            out.truncate(end);
        }
    }
    out.len() > start
}

fn write_scalar(value: &Value, out: &mut String) -> bool {
    let start = out.len();
    match value {
        Value::Text(text) => write_encoded(text, out),
        Value::Integer(number) => write_display(out, number),
        Value::Float(number) => json::float(out, *number),
        Value::Bool(is) => out.push_str(if *is { "true" } else { "false" }),
        Value::Null | Value::List(_) | Value::Object(_) => {}
    }
    out.len() > start
}

fn write_display(out: &mut String, value: &dyn fmt::Display) {
    // Writing to a text does not fail.
    let _ = write!(out, "{value}");
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

impl IdentityField {
    /// Whether readers of the first form of these fields do not know it.
    pub(super) fn is_new(&self) -> bool {
        matches!(self.tells, Told::Token(_)) || self.tells.attributes().any(Attribute::is_kept)
    }
}

impl Told {
    /// What is told about the caller.
    pub fn attributes(&self) -> impl Iterator<Item = &Attribute> {
        let (own, claims) = match self {
            Self::Attribute(attribute) => (Some(attribute), &[][..]),
            Self::Token(token) => (None, token.claims.as_slice()),
        };
        own.into_iter().chain(claims.iter().map(|claim| &claim.tells))
    }
}

impl From<Attribute> for Told {
    fn from(attribute: Attribute) -> Self {
        Self::Attribute(attribute)
    }
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Attribute(attribute) => attribute.fmt(f),
            Self::Token(token) => {
                let claims: Vec<String> =
                    token.claims.iter().map(|claim| format!("{}: {}", claim.name, claim.tells)).collect();
                write!(f, "{{audience: {}, claims: {{{}}}}}", token.audience, claims.join(", "))
            }
        }
    }
}

impl<C> Encode<C> for Told {
    fn encode<W: Write>(&self, encoder: &mut Encoder<W>, context: &mut C) -> Result<(), encode::Error<W::Error>> {
        match self {
            Self::Attribute(attribute) => attribute.encode(encoder, context),
            Self::Token(token) => {
                encoder.array(2)?.u8(TOKEN)?;
                token.encode(encoder, context)
            }
        }
    }
}

impl Decode for Told {
    fn blank() -> Self {
        Self::Attribute(Attribute::blank())
    }

    fn decode(&mut self, reader: &mut Reader<'_>) -> Result<(), Failed> {
        *self = if reader.left().get(1) == Some(&TOKEN) && reader.left().first() == Some(&TWO) {
            reader.variant(true)?;
            Self::Token(Decode::read_from(reader)?)
        } else {
            Self::Attribute(Decode::read_from(reader)?)
        };
        Ok(())
    }
}

/// As it is written in configuration, in most cases.
impl fmt::Display for Attribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Claim(path) => write!(f, "claims.{}", path.join(".")),
            Self::Certificate(name) => write!(f, "certificate.{name}"),
            common => {
                let known = Self::COMMON.iter().find(|(_, own)| own == common);
                f.write_str(known.map_or("", |(word, _)| word))
            }
        }
    }
}

/// The attributes that every caller may have are numbers, as they were before there were others, which have fields.
impl<C> Encode<C> for Attribute {
    fn encode<W: Write>(&self, encoder: &mut Encoder<W>, context: &mut C) -> Result<(), encode::Error<W::Error>> {
        match self {
            Self::Claim(path) => {
                encoder.array(2)?.u8(CLAIM)?;
                path.encode(encoder, context)
            }
            Self::Certificate(name) => {
                encoder.array(2)?.u8(CERTIFICATE)?;
                name.encode(encoder, context)
            }
            common => {
                let at = Self::COMMON.iter().position(|(_, own)| own == common).unwrap_or_default();
                encoder.u64(at as u64)?.ok()
            }
        }
    }
}

impl Decode for Attribute {
    fn blank() -> Self {
        Self::Consumer
    }

    fn decode(&mut self, reader: &mut Reader<'_>) -> Result<(), Failed> {
        let is_number = reader.left().first().is_some_and(|byte| byte >> 5 == 0);
        if is_number {
            let at = usize::try_from(reader.number()?).unwrap_or(usize::MAX);
            match Self::COMMON.get(at) {
                Some((_, common)) => self.clone_from(common),
                None => return reader.fail("an attribute"),
            }
            return Ok(());
        }
        *self = match reader.variant(true)? {
            (number, 1) if number == u64::from(CLAIM) => Self::Claim(Decode::read_from(reader)?),
            (number, 1) if number == u64::from(CERTIFICATE) => Self::Certificate(Decode::read_from(reader)?),
            _ => return reader.fail("an attribute"),
        };
        Ok(())
    }
}

const CLAIM: u8 = 5;
const CERTIFICATE: u8 = 6;
const TOKEN: u8 = 7;

/// The beginning of a list of two.
const TWO: u8 = 0x82;

#[cfg(test)]
mod tests {
    use super::super::TokenClaim;
    use super::*;
    use crate::codec;
    use http::HeaderValue;
    use proptest::prelude::*;
    use wasm_bindgen_test::wasm_bindgen_test;

    fn caller<'p>(consumer: &'p str, plan: Option<&'p str>, scopes: &'p [String]) -> Caller<'p> {
        Caller { consumer, credential: "key-1", plan, scopes, groups: scopes, facts: &[] }
    }

    fn written(attribute: &Attribute, caller: &Caller<'_>) -> Option<String> {
        let mut out = String::new();
        attribute.write(caller, &mut out).then_some(out)
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn what_the_caller_does_not_have_is_absent() {
        let nothing = caller("acme", None, &[]);
        let values = Attribute::COMMON.map(|(_, attribute)| written(&attribute, &nothing));
        assert_eq!(values, [Some("acme".into()), Some("key-1".into()), None, None, None]);
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn elements_are_separated_by_blanks_that_no_element_has() {
        let scopes = ["pets.read".to_owned(), "two words".to_owned(), "50%,a".to_owned()];
        let caller = caller("staff:Zo\u{eb} \r\nX-Admin: 1", Some("gold"), &scopes);
        assert_eq!(written(&Attribute::Scopes, &caller).as_deref(), Some("pets.read two%20words 50%25,a"));
        let consumer = written(&Attribute::Consumer, &caller);
        assert_eq!(consumer.as_deref(), Some("staff:Zo%C3%AB%20%0D%0AX-Admin:%201"));
    }

    fn claim(text: &str) -> Option<String> {
        let attribute = Attribute::Claim(vec!["a".into(), "b".into()]);
        let facts = [(attribute.clone(), Value::parse(text.as_bytes()).unwrap())];
        written(&attribute, &Caller { facts: &facts, ..caller("acme", None, &[]) })
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_claim_is_one_line_whatever_the_token_says() {
        for (text, want) in [
            (r#""ada@example.com""#, "ada@example.com"),
            (r#""a\r\nX-Admin: 1 %""#, "a%0D%0AX-Admin:%201%20%25"),
            ("7", "7"),
            ("-1.5", "-1.5"),
            ("true", "true"),
            (r#"["a b",7,false,null,{"c":1},["d"],"","e"]"#, "a%20b 7 false e"),
        ] {
            assert_eq!(claim(text).as_deref(), Some(want), "{text}");
        }
        for text in ["null", "{}", r#"{"c":1}"#, "[]", "[null]", r#""""#] {
            assert_eq!(claim(text), None, "{text}");
        }
        let other = Attribute::Certificate(CertificateName::Subject);
        let facts = [(Attribute::Claim(vec!["subject".into()]), Value::Bool(true))];
        assert_eq!(written(&other, &Caller { facts: &facts, ..caller("acme", None, &[]) }), None);
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn attributes_are_stored_as_before_and_written_as_in_configuration() {
        let claim = Attribute::Claim(vec!["org".into(), "id".into()]);
        let all = Attribute::COMMON.into_iter().map(|(_, attribute)| attribute);
        let all: Vec<_> = all.chain([claim, Attribute::Certificate(CertificateName::Dns)]).collect();
        for (number, attribute) in all.iter().enumerate() {
            let stored = minicbor::to_vec(attribute).unwrap();
            assert!(number > 4 || stored == [u8::try_from(number).unwrap()], "{attribute}: {stored:?}");
            assert_eq!(codec::decode::<Attribute>(&stored).unwrap(), *attribute);
        }
        let words = all.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(words.join(" "), "consumer credential plan scopes groups claims.org.id certificate.dns");
        let claims = vec![TokenClaim { name: "email".into(), tells: Attribute::Claim(vec!["email".into()]) }];
        let token = Told::Token(Box::new(IdentityToken { audience: "pets".into(), claims }));
        for told in [token, Told::from(Attribute::Plan), Told::from(all[5].clone())] {
            assert_eq!(codec::decode::<Told>(&minicbor::to_vec(&told).unwrap()).unwrap(), told);
        }
        let nested = [0x82, 7, 0xa2, 0, 0x60, 1, 0x81, 0xa2, 0, 0x60, 1, 0x82, 7, 0xa1, 0, 0x60];
        assert!(codec::decode::<Told>(&nested).is_err(), "a token in a token");
        for broken in
            [&[5][..], &[0x60], &[0xa0], &[0x82, 5, 0], &[0x82, 6, 99], &[0x82, 9, 0], &[0x81, 5], &[0x9f, 0xff]]
        {
            assert!(codec::decode::<Attribute>(broken).is_err(), "{broken:?}");
        }
    }

    proptest! {
        #[test]
        fn every_value_is_one_line_and_is_decoded_to_what_it_was(text in ".{1,40}") {
            let value = written(&Attribute::Consumer, &caller(&text, None, &[])).unwrap();
            prop_assert!(HeaderValue::from_str(&value).is_ok_and(|value| value.to_str().is_ok()));
            let value = value.replace('+', "%2B");
            prop_assert_eq!(&*crate::query::decoded(&value), text.as_bytes());
        }
    }
}
