//! Reads stored values in place.
//!
//! A bundle has many types, and a Worker's module has the code that reads each of them. So a value is read into its place, what
//! failed is kept in the reader, and a step only says whether it failed: a type's own code is a call for each of its members.

use minicbor::decode::{self, Decoder};

/// Reads CBOR (RFC 8949).
#[derive(Debug)]
pub struct Reader<'b> {
    decoder: Decoder<'b>,
    fault: Option<Fault>,
}

/// What is wrong with stored bytes. It quotes none of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} at byte {at}")]
pub struct Fault {
    /// What was expected.
    pub what: &'static str,
    /// Where it is not.
    pub at: usize,
}

/// A step has failed; the reader has the [`Fault`].
#[derive(Clone, Copy, Debug)]
pub struct Failed;

/// The members of a value that is read, by their numbers.
pub trait Members {
    /// Reads the member with a number; answers `false` if it knows none.
    ///
    /// # Errors
    /// If the member is not of its form.
    fn member(&mut self, number: u64, reader: &mut Reader<'_>) -> Result<bool, Failed>;
}

impl<'b> Reader<'b> {
    /// Begins with these bytes.
    #[must_use]
    pub fn new(bytes: &'b [u8]) -> Self {
        Self { decoder: Decoder::new(bytes), fault: None }
    }

    /// How many bytes were read.
    #[must_use]
    pub fn position(&self) -> usize {
        self.decoder.position()
    }

    /// Continues at a byte.
    pub(crate) fn set_position(&mut self, at: usize) {
        self.decoder.set_position(at);
    }

    /// The bytes that are left.
    pub(crate) fn left(&self) -> &'b [u8] {
        self.decoder.input().get(self.position()..).unwrap_or_default()
    }

    /// The first failure.
    #[must_use]
    pub fn fault(&self) -> Fault {
        self.fault.unwrap_or(Fault { what: "another form", at: self.position() })
    }

    /// Fails, because what was expected is not here.
    #[cold]
    pub fn fail<T>(&mut self, what: &'static str) -> Result<T, Failed> {
        let at = self.position();
        self.fail_at(at, what);
        Err(Failed)
    }

    #[cold]
    fn fail_at(&mut self, at: usize, what: &'static str) {
        self.fault.get_or_insert(Fault { what, at });
    }

    /// Reads a list: how many entries follow.
    ///
    /// # Errors
    /// If there is none, or its length is not written before it.
    pub fn list(&mut self) -> Result<usize, Failed> {
        let length = self.decoder.array();
        self.length(length)
    }

    pub(super) fn map(&mut self) -> Result<usize, Failed> {
        let length = self.decoder.map();
        self.length(length)
    }

    fn length(&mut self, length: Result<Option<u64>, decode::Error>) -> Result<usize, Failed> {
        match length.ok().flatten().and_then(|length| usize::try_from(length).ok()) {
            Some(length) => Ok(length),
            None => self.fail("a length"),
        }
    }

    /// Reads a text.
    ///
    /// # Errors
    /// If there is none.
    #[inline(never)]
    pub fn text(&mut self) -> Result<&'b str, Failed> {
        match self.decoder.str() {
            Ok(text) => Ok(text),
            Err(_) => self.fail("a text"),
        }
    }

    /// Reads bytes.
    ///
    /// # Errors
    /// If there are none.
    #[inline(never)]
    pub fn bytes(&mut self) -> Result<&'b [u8], Failed> {
        match self.decoder.bytes() {
            Ok(bytes) => Ok(bytes),
            Err(_) => self.fail("bytes"),
        }
    }

    /// Reads a number.
    ///
    /// # Errors
    /// If there is none, or it is negative.
    #[inline(never)]
    pub fn number(&mut self) -> Result<u64, Failed> {
        match self.decoder.u64() {
            Ok(number) => Ok(number),
            Err(_) => self.fail("a number"),
        }
    }

    /// Reads a number of at most `max`.
    pub(super) fn number_up_to(&mut self, max: u64) -> Result<u64, Failed> {
        match self.number()? {
            number if number <= max => Ok(number),
            _ => self.fail("a smaller number"),
        }
    }

    /// Reads a number with its sign.
    #[inline(never)]
    pub(super) fn signed(&mut self) -> Result<i64, Failed> {
        match self.decoder.i64() {
            Ok(number) => Ok(number),
            Err(_) => self.fail("a number"),
        }
    }

    #[inline(never)]
    pub(super) fn bool(&mut self) -> Result<bool, Failed> {
        match self.decoder.bool() {
            Ok(value) => Ok(value),
            Err(_) => self.fail("true or false"),
        }
    }

    /// Passes over a null; answers whether there was one.
    #[inline(never)]
    pub(crate) fn null(&mut self) -> bool {
        let is_null = self.decoder.datatype().is_ok_and(|found| found == minicbor::data::Type::Null);
        if is_null {
            self.decoder.set_position(self.position() + 1);
        }
        is_null
    }

    fn skip(&mut self) -> Result<(), Failed> {
        match self.decoder.skip() {
            Ok(()) => Ok(()),
            Err(_) => self.fail("a value"),
        }
    }

    /// Reads a map from numbers to values into the value that has these members. Unknown ones are passed over; `required` has the
    /// bit of each number that has to be there.
    ///
    /// # Errors
    /// If it is no such map, a member is missing, there twice, or not of its form.
    #[inline(never)]
    pub fn members(&mut self, value: &mut dyn Members, required: u64) -> Result<(), Failed> {
        let length = self.map()?;
        let mut seen = 0;
        for _ in 0..length {
            let number = self.number()?;
            self.member(value, number, &mut seen)?;
        }
        self.all(required, seen)
    }

    /// The same for a list, in which the member's number is its place.
    ///
    /// # Errors
    /// If it is no list, a member is missing, or not of its form.
    #[inline(never)]
    pub fn entries(&mut self, value: &mut dyn Members, required: u64) -> Result<(), Failed> {
        let length = self.list()?;
        let mut seen = 0;
        for number in 0..length as u64 {
            self.member(value, number, &mut seen)?;
        }
        self.all(required, seen)
    }

    fn member(&mut self, value: &mut dyn Members, number: u64, seen: &mut u64) -> Result<(), Failed> {
        let bit = 1_u64.checked_shl(u32::try_from(number).unwrap_or(u32::MAX)).unwrap_or(0);
        if *seen & bit != 0 {
            return self.fail("another member");
        }
        *seen |= bit;
        if value.member(number, self)? { Ok(()) } else { self.skip() }
    }

    fn all(&mut self, required: u64, seen: u64) -> Result<(), Failed> {
        if required & !seen == 0 { Ok(()) } else { self.fail("a member that is missing") }
    }

    /// Reads the beginning of a variant with fields: its number, and how many fields follow.
    ///
    /// # Errors
    /// If it has no such form.
    #[inline(never)]
    pub fn variant(&mut self, flat: bool) -> Result<(u64, usize), Failed> {
        let length = self.list()?;
        if flat {
            let Some(fields) = length.checked_sub(1) else { return self.fail("a variant") };
            return Ok((self.number()?, fields));
        }
        if length != 2 {
            return self.fail("a variant");
        }
        Ok((self.number()?, self.list()?))
    }

    /// Whether a further field of a variant follows, of `left`; one that is not optional has to.
    ///
    /// # Errors
    /// If one that has to is missing.
    pub fn field(&mut self, left: &mut usize, optional: bool) -> Result<bool, Failed> {
        match left.checked_sub(1) {
            Some(fewer) => *left = fewer,
            None if optional => return Ok(false),
            None => return self.fail("a field of a variant"),
        }
        Ok(true)
    }

    /// Passes over the fields of a variant that are not known.
    ///
    /// # Errors
    /// If they are no values.
    pub fn rest(&mut self, left: usize) -> Result<(), Failed> {
        (0..left).try_for_each(|_| self.skip())
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Decode, decode};
    use minicbor::Encode;
    use wasm_bindgen_test::wasm_bindgen_test;

    #[derive(Debug, PartialEq, Eq, Encode, Decode)]
    #[cbor(map)]
    struct Map {
        #[n(0)]
        name: String,
        #[n(2)]
        note: Option<String>,
        #[cbor(n(3), skip_if = "Vec::is_empty")]
        list: Vec<(u8, Variant)>,
    }

    #[derive(Debug, PartialEq, Eq, Encode, Decode)]
    struct List(#[n(0)] bool, #[n(1)] Option<i16>, #[n(2)] Plain);

    #[derive(Debug, PartialEq, Eq, Encode, Decode)]
    #[cbor(flat)]
    enum Variant {
        #[n(0)]
        None,
        #[n(7)]
        Two {
            #[n(0)]
            first: u64,
            #[n(1)]
            second: Option<u64>,
        },
    }

    #[derive(Debug, PartialEq, Eq, Encode, Decode)]
    enum Plain {
        #[n(1)]
        One(#[n(0)] Word),
    }

    #[derive(Debug, PartialEq, Eq, Encode, Decode)]
    #[cbor(index_only)]
    enum Word {
        #[n(4)]
        Four,
        #[n(5)]
        Five,
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn what_is_written_is_read() {
        for second in [None, Some(9)] {
            let list = vec![(0, Variant::None), (255, Variant::Two { first: u64::MAX, second })];
            let map = Map { name: "a".into(), note: second.map(|_| "b".into()), list };
            assert_eq!(decode::<Map>(&minicbor::to_vec(&map).unwrap()), Ok(map));
            let list = List(true, second.map(|_| -300), Plain::One(Word::Five));
            assert_eq!(decode::<List>(&minicbor::to_vec(&list).unwrap()), Ok(list));
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn what_has_another_form_is_refused_where_it_is() {
        let empty = Map { name: "a".into(), note: None, list: Vec::new() };
        // The name; further members, which are passed over; a null for one that may be absent.
        assert_eq!(decode::<Map>(&[0xa1, 0, 0x61, b'a']), Ok(empty));
        assert!(decode::<Map>(&[0xa3, 0, 0x61, b'a', 0x18, 99, 0x82, 1, 0xf6, 2, 0xf6]).is_ok());
        let faults = [
            (&[0xa0][..], "a member that is missing", 1),
            (&[0xa2, 0, 0x61, b'a', 0, 0x61, b'b'], "another member", 5),
            (&[0xbf, 0, 0x61, b'a', 0xff], "a length", 1),
            (&[0xa1, 0x20, 0x61, b'a'], "a number", 2),
            (&[0xa1, 0, 0x62, b'a'], "a text", 2),
            (&[0xa1, 0, 0x61, b'a', 0], "another form", 4),
            (&[0xa1, 1, 0x62, b'a'], "a value", 2),
            (&[0x80], "a length", 1),
            (&[], "a length", 0),
        ];
        for (bytes, what, at) in faults {
            let fault = decode::<Map>(bytes).unwrap_err();
            assert_eq!(fault.what, what, "{bytes:x?}");
            assert!(fault.at.abs_diff(at) <= 2, "{bytes:x?}: {fault}");
        }
        let entry = |variant: &[u8]| {
            let bytes = [&[0xa2, 0, 0x61, b'a', 3, 0x81, 0x82, 1], variant].concat();
            decode::<Map>(&bytes).map(|map| map.list).map_err(|fault| fault.what)
        };
        assert_eq!(entry(&[0x82, 7, 1]), Ok(vec![(1, Variant::Two { first: 1, second: None })]));
        assert_eq!(entry(&[0x84, 7, 1, 2, 0xf4]), Ok(vec![(1, Variant::Two { first: 1, second: Some(2) })]));
        assert_eq!(entry(&[0x81, 7]), Err("a field of a variant"));
        assert_eq!(entry(&[0x81, 1]), Err("a known variant"));
        assert_eq!(entry(&[0x80]), Err("a variant"));
        assert_eq!(decode::<u8>(&[0x19, 1, 0]).map_err(|fault| fault.what), Err("a smaller number"));
        assert_eq!(decode::<i16>(&[0x39, 0x80, 0]).map_err(|fault| fault.what), Err("a smaller number"));
        assert_eq!(decode::<std::num::NonZeroU8>(&[0]).map_err(|fault| fault.what), Err("a number above zero"));
    }
}
