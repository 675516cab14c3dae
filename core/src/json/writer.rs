//! Writes what serde serialises as JSON, as serde_json does (fractions with 15 digits at most), with code that is small in a Worker's
//! module: numbers and texts are written by the same functions as telemetry, and what cannot be written has no error with memory.

use std::fmt::{self, Display};

use serde::Serialize;
use serde::ser::{
    self, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple, SerializeTupleStruct,
    SerializeTupleVariant, Serializer,
};

use super::{float, string};
use crate::text::decimal;

/// The value as JSON; empty if its type refuses to be serialised.
#[must_use]
pub fn to_text(value: &(impl Serialize + ?Sized)) -> String {
    let mut out = String::new();
    match value.serialize(Writer { out: &mut out }) {
        Ok(()) => out,
        Err(Unwritable) => String::new(),
    }
}

/// A type refuses to be serialised.
#[derive(Clone, Copy, Debug)]
struct Unwritable;

impl Display for Unwritable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the value cannot be written as JSON")
    }
}

impl std::error::Error for Unwritable {}

impl ser::Error for Unwritable {
    fn custom<T: Display>(_: T) -> Self {
        Self
    }
}

type Done = Result<(), Unwritable>;

/// Writes one value.
struct Writer<'w> {
    out: &'w mut String,
}

/// Writes the parts of a list or an object.
struct Parts<'w> {
    out: &'w mut String,
    is_empty: bool,
    end: &'static str,
}

impl<'w> Writer<'w> {
    fn word(self, word: &str) -> Done {
        self.out.push_str(word);
        Ok(())
    }

    fn parts(self, begin: char, end: &'static str) -> Result<Parts<'w>, Unwritable> {
        self.out.push(begin);
        Ok(Parts { out: self.out, is_empty: true, end })
    }

    /// An object whose only member has the name of a variant.
    fn variant(&mut self, name: &str) {
        self.out.push('{');
        string(self.out, name);
        self.out.push(':');
    }

    #[inline(never)]
    fn unsigned(self, number: u64) -> Done {
        decimal(self.out, number);
        Ok(())
    }

    #[inline(never)]
    fn signed(self, number: i64) -> Done {
        self.out.push_str(if number < 0 { "-" } else { "" });
        decimal(self.out, number.unsigned_abs());
        Ok(())
    }
}

macro_rules! numbers {
    ($($name:ident $Type:ty => $as:ident),*) => {
        $( fn $name(self, number: $Type) -> Done {
            self.$as(number.into())
        } )*
    };
}

impl<'w> Serializer for Writer<'w> {
    type Ok = ();
    type Error = Unwritable;
    type SerializeSeq = Parts<'w>;
    type SerializeTuple = Parts<'w>;
    type SerializeTupleStruct = Parts<'w>;
    type SerializeTupleVariant = Parts<'w>;
    type SerializeMap = Parts<'w>;
    type SerializeStruct = Parts<'w>;
    type SerializeStructVariant = Parts<'w>;

    numbers!(
        serialize_u8 u8 => unsigned, serialize_u16 u16 => unsigned, serialize_u32 u32 => unsigned, serialize_u64 u64 => unsigned,
        serialize_i8 i8 => signed, serialize_i16 i16 => signed, serialize_i32 i32 => signed, serialize_i64 i64 => signed
    );

    fn serialize_bool(self, value: bool) -> Done {
        self.word(if value { "true" } else { "false" })
    }

    fn serialize_f32(self, value: f32) -> Done {
        self.serialize_f64(value.into())
    }

    fn serialize_f64(self, value: f64) -> Done {
        float(self.out, value);
        Ok(())
    }

    fn serialize_char(self, value: char) -> Done {
        self.serialize_str(value.encode_utf8(&mut [0; 4]))
    }

    fn serialize_str(self, value: &str) -> Done {
        string(self.out, value);
        Ok(())
    }

    fn serialize_bytes(self, value: &[u8]) -> Done {
        self.collect_seq(value)
    }

    fn serialize_none(self) -> Done {
        self.word("null")
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Done {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Done {
        self.word("null")
    }

    fn serialize_unit_struct(self, _: &'static str) -> Done {
        self.word("null")
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Done {
        self.serialize_str(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Done {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        mut self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Done {
        self.variant(variant);
        value.serialize(Writer { out: self.out })?;
        self.word("}")
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Parts<'w>, Unwritable> {
        self.parts('[', "]")
    }

    fn serialize_tuple(self, _: usize) -> Result<Parts<'w>, Unwritable> {
        self.parts('[', "]")
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Parts<'w>, Unwritable> {
        self.parts('[', "]")
    }

    fn serialize_tuple_variant(
        mut self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Parts<'w>, Unwritable> {
        self.variant(variant);
        self.parts('[', "]}")
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Parts<'w>, Unwritable> {
        self.parts('{', "}")
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Parts<'w>, Unwritable> {
        self.parts('{', "}")
    }

    fn serialize_struct_variant(
        mut self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Parts<'w>, Unwritable> {
        self.variant(variant);
        self.parts('{', "}}")
    }
}

impl Parts<'_> {
    fn separate(&mut self) {
        self.out.push_str(if self.is_empty { "" } else { "," });
        self.is_empty = false;
    }

    fn item<T: Serialize + ?Sized>(&mut self, value: &T) -> Done {
        self.separate();
        value.serialize(Writer { out: self.out })
    }

    fn member<T: Serialize + ?Sized>(&mut self, name: &str, value: &T) -> Done {
        self.name(name);
        value.serialize(Writer { out: self.out })
    }

    #[inline(never)]
    fn name(&mut self, name: &str) {
        self.separate();
        string(self.out, name);
        self.out.push(':');
    }

    fn finish(self) -> Done {
        self.out.push_str(self.end);
        Ok(())
    }
}

macro_rules! items {
    ($($Kind:ident $part:ident),*) => {
        $( impl $Kind for Parts<'_> {
            type Ok = ();
            type Error = Unwritable;

            fn $part<T: Serialize + ?Sized>(&mut self, value: &T) -> Done {
                self.item(value)
            }

            fn end(self) -> Done {
                self.finish()
            }
        } )*
    };
}

macro_rules! members {
    ($($Kind:ident),*) => {
        $( impl $Kind for Parts<'_> {
            type Ok = ();
            type Error = Unwritable;

            fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Done {
                self.member(name, value)
            }

            fn end(self) -> Done {
                self.finish()
            }
        } )*
    };
}

items!(
    SerializeSeq serialize_element, SerializeTuple serialize_element, SerializeTupleStruct serialize_field,
    SerializeTupleVariant serialize_field
);
members!(SerializeStruct, SerializeStructVariant);

impl SerializeMap for Parts<'_> {
    type Ok = ();
    type Error = Unwritable;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Done {
        self.separate();
        let from = self.out.len();
        key.serialize(Writer { out: self.out })?;
        // Names are texts: numbers as names are quoted.
        if !self.out[from..].starts_with('"') {
            self.out.insert(from, '"');
            self.out.push('"');
        }
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Done {
        self.out.push(':');
        value.serialize(Writer { out: self.out })
    }

    fn end(self) -> Done {
        self.finish()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use proptest::prelude::*;

    #[derive(Debug, Clone, Serialize)]
    struct Record {
        name: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        number: Option<i64>,
        count: u32,
        is_set: bool,
        nothing: (),
        kinds: Vec<Kind>,
        #[serde(flatten)]
        more: BTreeMap<String, (u8, Option<char>)>,
        numbered: BTreeMap<u16, String>,
    }

    #[derive(Debug, Clone, Serialize)]
    #[serde(rename_all = "kebab-case")]
    enum Kind {
        PlainOne,
        New(String),
        Pair(i8, bool),
        Struct { at: u64, of: Vec<String> },
    }

    fn kind() -> impl Strategy<Value = Kind> {
        prop_oneof![
            Just(Kind::PlainOne),
            any::<String>().prop_map(Kind::New),
            any::<(i8, bool)>().prop_map(|(one, two)| Kind::Pair(one, two)),
            any::<(u64, Vec<String>)>().prop_map(|(at, of)| Kind::Struct { at, of }),
        ]
    }

    proptest! {
        #[test]
        fn what_is_written_is_what_serde_json_writes(
            (name, number, count, is_set) in any::<(String, Option<i64>, u32, bool)>(),
            kinds in prop::collection::vec(kind(), 0..4),
            more in prop::collection::btree_map(any::<String>(), any::<(u8, Option<char>)>(), 0..3),
            numbered in prop::collection::btree_map(any::<u16>(), any::<String>(), 0..3),
        ) {
            let record = Record { name, number, count, is_set, nothing: (), kinds, more, numbered };
            prop_assert_eq!(to_text(&record), serde_json::to_string(&record).unwrap());
        }
    }
}
