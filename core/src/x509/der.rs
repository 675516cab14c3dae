//! DER (X.690, section 10): elements with a tag, a length in its one shortest form, and their content.

/// The elements that follow each other in some bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Der<'d> {
    rest: &'d [u8],
}

/// One element.
#[derive(Clone, Copy, Debug)]
pub(super) struct Element<'d> {
    pub(super) tag: u8,
    pub(super) content: &'d [u8],
    /// Tag, length and content.
    pub(super) whole: &'d [u8],
}

/// It is not DER, or not what was expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NotDer;

impl<'d> Der<'d> {
    pub(super) const fn new(bytes: &'d [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next element.
    pub(super) fn next(&mut self) -> Result<Element<'d>, NotDer> {
        let [tag, first, rest @ ..] = self.rest else { return Err(NotDer) };
        // Tags above 30 take several bytes; certificates have none.
        if tag & 0x1f == 0x1f {
            return Err(NotDer);
        }
        let (length, rest) = match usize::from(*first) {
            short @ 0..0x80 => (short, rest),
            long => {
                // At most three bytes: 16 MiB, far more than is read. `0x80` would be a length that is not known.
                let count = long - 0x80;
                let (bytes, rest) = rest.split_at_checked(count).ok_or(NotDer)?;
                let length = bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte));
                let is_shortest = matches!((bytes, length), ([_], 0x80..) | ([(1..), _] | [(1..), _, _], _));
                if !is_shortest {
                    return Err(NotDer);
                }
                (length, rest)
            }
        };
        let (content, rest) = rest.split_at_checked(length).ok_or(NotDer)?;
        let whole = &self.rest[..self.rest.len() - rest.len()];
        self.rest = rest;
        Ok(Element { tag: *tag, content, whole })
    }

    /// The next element, which must have this tag.
    pub(super) fn expect(&mut self, tag: u8) -> Result<Element<'d>, NotDer> {
        self.next().and_then(|element| if element.tag == tag { Ok(element) } else { Err(NotDer) })
    }

    /// The next element if it has this tag.
    pub(super) fn optional(&mut self, tag: u8) -> Result<Option<Element<'d>>, NotDer> {
        if self.rest.first() == Some(&tag) { self.next().map(Some) } else { Ok(None) }
    }

    /// The elements in the next one, which must have this tag.
    pub(super) fn within(&mut self, tag: u8) -> Result<Self, NotDer> {
        self.expect(tag).map(|element| Self::new(element.content))
    }

    /// Nothing may be left.
    pub(super) fn end(self) -> Result<(), NotDer> {
        if self.is_empty() { Ok(()) } else { Err(NotDer) }
    }
}

pub(super) const BOOLEAN: u8 = 0x01;
pub(super) const INTEGER: u8 = 0x02;
pub(super) const BIT_STRING: u8 = 0x03;
pub(super) const OCTET_STRING: u8 = 0x04;
pub(super) const OBJECT_IDENTIFIER: u8 = 0x06;
pub(super) const UTF8_STRING: u8 = 0x0c;
pub(super) const PRINTABLE_STRING: u8 = 0x13;
pub(super) const IA5_STRING: u8 = 0x16;
pub(super) const UTC_TIME: u8 = 0x17;
pub(super) const GENERALIZED_TIME: u8 = 0x18;
pub(super) const SEQUENCE: u8 = 0x30;
pub(super) const SET: u8 = 0x31;

/// An element that is named by its number instead of its type, and has elements in it.
pub(super) const fn constructed(number: u8) -> u8 {
    0xa0 | number
}

/// The same with a value in it.
pub(super) const fn primitive(number: u8) -> u8 {
    0x80 | number
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasm_bindgen_test::wasm_bindgen_test;

    #[track_caller]
    fn check(bytes: &[u8], want: Result<(u8, usize), NotDer>) {
        assert_eq!(Der::new(bytes).next().map(|element| (element.tag, element.content.len())), want, "{bytes:?}");
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_length_has_one_form() {
        check(&[4, 0], Ok((4, 0)));
        check(&[4, 2, 7, 7, 9], Ok((4, 2)));
        check(&[[4, 0x81, 0x80].as_slice(), &[0; 0x80]].concat(), Ok((4, 0x80)));
        check(&[[4, 0x82, 1, 0].as_slice(), &[0; 0x100]].concat(), Ok((4, 0x100)));
        check(&[[4, 0x83, 1, 0, 0].as_slice(), &[0; 0x1_0000]].concat(), Ok((4, 0x1_0000)));
        for longer in [&[4, 0x81, 1, 0][..], &[4, 0x82, 0, 1, 0], &[4, 0x83, 0, 0, 1, 0], &[4, 0x80, 0, 0]] {
            check(longer, Err(NotDer));
        }
        check(&[[4, 0x81, 0x7f].as_slice(), &[0; 0x7f]].concat(), Err(NotDer));
        check(&[[4, 0x84, 0, 0, 0, 1].as_slice(), &[0; 4]].concat(), Err(NotDer));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn what_is_cut_off_is_refused() {
        for cut in [&[][..], &[4], &[4, 1], &[4, 0x81], &[4, 0x82, 1], &[0x1f, 0x81, 1, 0], &[4, 0xff]] {
            check(cut, Err(NotDer));
        }
    }
}
