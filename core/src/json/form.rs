//! Reads types from JSON values, in place.
//!
//! Records have many types, and a Worker's module has the code that reads each of them. Here the text is parsed by one function
//! for all of them, the loop over members is another, and a type lends only what its members are.

use std::net::IpAddr;

use super::{Members, Value};

/// A type that is read from a JSON value. The derived form has the names, defaults and rules of serde's attributes.
pub trait FromJson: Sized {
    /// Whether it may be absent.
    const OPTIONAL: bool = false;

    /// What it is before it is read. Nobody sees one that was not read, unless it may be absent.
    fn blank() -> Self;

    /// Reads it.
    ///
    /// # Errors
    /// If the value is not of its form.
    fn take(&mut self, value: Value) -> Result<(), Unfit>;

    /// Reads one.
    ///
    /// # Errors
    /// If the value is not of its form.
    fn from_json(value: Value) -> Result<Self, Unfit> {
        let mut read = Self::blank();
        read.take(value)?;
        Ok(read)
    }
}

/// A value does not have the form of a type. It is not quoted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unfit {
    /// The name of the innermost member that does not fit, or is missing; empty if the whole does not.
    pub member: &'static str,
}

impl Unfit {
    /// The value itself does not fit.
    pub const VALUE: Self = Self { member: "" };
}

/// The members of a type, in the order of their names.
pub trait Form {
    /// Reads the member at a position.
    ///
    /// # Errors
    /// If the value is not of its form.
    fn member(&mut self, at: usize, value: Value) -> Result<(), Unfit>;
}

/// The members that a type has.
#[derive(Clone, Copy, Debug)]
pub struct Names {
    /// Their names.
    pub all: &'static [&'static str],
    /// A bit for each that has to be there.
    pub required: u64,
    /// Whether there are no others; otherwise they are passed over.
    pub strict: bool,
}

/// Reads an object into what has these members.
///
/// # Errors
/// If it is no object, a member is missing, or does not fit.
#[inline(never)]
pub fn read_members(form: &mut dyn Form, names: &Names, value: Value) -> Result<(), Unfit> {
    let Value::Object(Members(members)) = value else { return Err(Unfit::VALUE) };
    let mut seen = 0_u64;
    for (name, value) in members {
        match names.all.iter().position(|known| *known == name) {
            Some(at) => {
                seen |= 1 << at;
                let named =
                    |unfit: Unfit| if unfit.member.is_empty() { Unfit { member: names.all[at] } } else { unfit };
                form.member(at, value).map_err(named)?;
            }
            None if names.strict => return Err(Unfit::VALUE),
            None => {}
        }
    }
    match names.required & !seen {
        0 => Ok(()),
        missing => Err(Unfit { member: names.all.get(missing.trailing_zeros() as usize).copied().unwrap_or_default() }),
    }
}

/// The position of a text in a list: that of a variant.
///
/// # Errors
/// If it is none of these.
pub fn variant(names: &[&str], value: &Value) -> Result<usize, Unfit> {
    let text = value.as_text().ok_or(Unfit::VALUE)?;
    names.iter().position(|name| *name == text).ok_or(Unfit::VALUE)
}

/// The text of a value.
///
/// # Errors
/// If it is none.
pub fn text(value: &Value) -> Result<&str, Unfit> {
    value.as_text().ok_or(Unfit::VALUE)
}

/// Reads a text into a place by its `FromStr`.
///
/// # Errors
/// If it is none, or its form is another one.
pub fn parse<T: std::str::FromStr>(place: &mut T, value: &Value) -> Result<(), Unfit> {
    *place = text(value)?.parse().map_err(|_| Unfit::VALUE)?;
    Ok(())
}

macro_rules! numbers {
    ($($Type:ty),*) => { $(
        impl FromJson for $Type {
            fn blank() -> Self {
                0
            }

            fn take(&mut self, value: Value) -> Result<(), Unfit> {
                *self = Self::try_from(number(&value)?).map_err(|_| Unfit::VALUE)?;
                Ok(())
            }
        }
    )* };
}

numbers!(u8, u16, u32, u64);

fn number(value: &Value) -> Result<u64, Unfit> {
    match value {
        Value::Integer(number) => u64::try_from(*number).map_err(|_| Unfit::VALUE),
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is a large whole number")]
        Value::Float(number) if *number >= 9_223_372_036_854_775_808.0 => Ok(*number as u64),
        _ => Err(Unfit::VALUE),
    }
}

/// Whatever it is.
impl FromJson for Value {
    fn blank() -> Self {
        Self::Null
    }

    fn take(&mut self, value: Value) -> Result<(), Unfit> {
        *self = value;
        Ok(())
    }
}

impl FromJson for bool {
    fn blank() -> Self {
        false
    }

    fn take(&mut self, value: Value) -> Result<(), Unfit> {
        let Value::Bool(read) = value else { return Err(Unfit::VALUE) };
        *self = read;
        Ok(())
    }
}

impl FromJson for String {
    fn blank() -> Self {
        Self::new()
    }

    fn take(&mut self, value: Value) -> Result<(), Unfit> {
        let Value::Text(read) = value else { return Err(Unfit::VALUE) };
        *self = read;
        Ok(())
    }
}

impl FromJson for IpAddr {
    fn blank() -> Self {
        Self::V4(std::net::Ipv4Addr::UNSPECIFIED)
    }

    fn take(&mut self, value: Value) -> Result<(), Unfit> {
        parse(self, &value)
    }
}

impl<T: FromJson> FromJson for Option<T> {
    const OPTIONAL: bool = true;

    fn blank() -> Self {
        None
    }

    fn take(&mut self, value: Value) -> Result<(), Unfit> {
        match value {
            Value::Null => Ok(()),
            value => self.insert(T::blank()).take(value),
        }
    }
}

impl<T: FromJson> FromJson for Box<T> {
    fn blank() -> Self {
        Self::new(T::blank())
    }

    fn take(&mut self, value: Value) -> Result<(), Unfit> {
        (**self).take(value)
    }
}

impl<T: FromJson> FromJson for Vec<T> {
    fn blank() -> Self {
        Self::new()
    }

    fn take(&mut self, value: Value) -> Result<(), Unfit> {
        let Value::List(elements) = value else { return Err(Unfit::VALUE) };
        self.reserve_exact(elements.len());
        elements.into_iter().try_for_each(|element| {
            self.push(T::from_json(element)?);
            Ok(())
        })
    }
}

impl<A: FromJson, B: FromJson> FromJson for (A, B) {
    fn blank() -> Self {
        (A::blank(), B::blank())
    }

    fn take(&mut self, value: Value) -> Result<(), Unfit> {
        let Value::List(elements) = value else { return Err(Unfit::VALUE) };
        let [first, second] = <[Value; 2]>::try_from(elements).map_err(|_| Unfit::VALUE)?;
        self.0.take(first)?;
        self.1.take(second)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::FromJson;
    use serde::Serialize;
    use wasm_bindgen_test::wasm_bindgen_test;

    #[derive(Debug, PartialEq, Eq, Serialize, FromJson)]
    #[serde(rename_all = "kebab-case", deny_unknown_fields)]
    struct Strict {
        given_name: String,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        pairs: Vec<(u8, Colour)>,
        inner: Option<Box<Open>>,
    }

    #[derive(Debug, PartialEq, Eq, Serialize, FromJson)]
    struct Open {
        large: u64,
        #[serde(default)]
        is_on: bool,
    }

    #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, FromJson)]
    #[serde(rename_all = "kebab-case")]
    enum Colour {
        Red,
        DarkBlue,
    }

    fn read<T: FromJson>(text: &str) -> Result<T, &'static str> {
        T::from_json(Value::parse(text.as_bytes()).unwrap()).map_err(|unfit| unfit.member)
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn what_is_written_is_read() {
        for (pairs, large) in [(vec![], 0), (vec![(0, Colour::Red), (255, Colour::DarkBlue)], u64::MAX)] {
            let inner = Some(Box::new(Open { large, is_on: large > 0 }));
            let strict = Strict { given_name: "é\"".into(), pairs, inner };
            assert_eq!(read::<Strict>(&serde_json::to_string(&strict).unwrap()), Ok(strict));
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn what_is_absent_has_its_default_and_unknown_members_are_passed_over_unless_none_are_allowed() {
        let nobody = Strict { given_name: String::new(), pairs: vec![], inner: None };
        assert_eq!(read(r#"{"given-name":"","inner":null}"#), Ok(nobody));
        assert_eq!(read(r#"{"large":1,"x":[{}]}"#), Ok(Open { large: 1, is_on: false }));
        assert_eq!(read::<Strict>(r#"{"given-name":"","x":1}"#), Err(""));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn the_innermost_member_that_does_not_fit_is_named() {
        let faults = [
            ("[]", ""),
            ("{}", "given-name"),
            (r#"{"given_name":""}"#, ""),
            (r#"{"given-name":1}"#, "given-name"),
            (r#"{"given-name":null}"#, "given-name"),
            (r#"{"given-name":"","pairs":null}"#, "pairs"),
            (r#"{"given-name":"","pairs":[[1]]}"#, "pairs"),
            (r#"{"given-name":"","pairs":[[256,"red"]]}"#, "pairs"),
            (r#"{"given-name":"","pairs":[[1,"Red"]]}"#, "pairs"),
            (r#"{"given-name":"","inner":{}}"#, "large"),
            (r#"{"given-name":"","inner":{"large":-1}}"#, "large"),
            (r#"{"given-name":"","inner":{"large":1.5}}"#, "large"),
            (r#"{"given-name":"","inner":{"large":1,"is_on":0}}"#, "is_on"),
            (r#"{"given-name":"","inner":7}"#, "inner"),
        ];
        for (text, member) in faults {
            assert_eq!(read::<Strict>(text), Err(member), "{text}");
        }
    }
}
