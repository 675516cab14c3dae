//! The values of fields that the gateway writes.

use bytes::BytesMut;
use http::HeaderValue;

/// Writes the values of fields of one exchange, as parts of one buffer: two allocations for all of them, and none for a copy.
#[derive(Debug)]
pub struct Texts {
    text: String,
    buffer: BytesMut,
}

impl Default for Texts {
    fn default() -> Self {
        Self { text: String::with_capacity(TEXT_BYTES_USUAL), buffer: BytesMut::with_capacity(BYTES_USUAL) }
    }
}

impl Texts {
    /// The value that is written; `None` if it contains characters that a value must not have.
    pub fn value(&mut self, write: impl FnOnce(&mut String)) -> Option<HeaderValue> {
        self.text.clear();
        write(&mut self.text);
        self.buffer.extend_from_slice(self.text.as_bytes());
        HeaderValue::from_maybe_shared(self.buffer.split().freeze()).ok()
    }

    /// A value with this text.
    pub fn of(&mut self, text: &str) -> Option<HeaderValue> {
        self.buffer.extend_from_slice(text.as_bytes());
        HeaderValue::from_maybe_shared(self.buffer.split().freeze()).ok()
    }
}

/// Capacity: `Forwarded` with two hops.
const TEXT_BYTES_USUAL: usize = 128;

/// Capacity: the fields that tell the upstream about the client, two ids, and those that tell the client about a limit.
const BYTES_USUAL: usize = 320;

#[cfg(test)]
mod tests {
    use super::*;
    use wasm_bindgen_test::wasm_bindgen_test;

    #[wasm_bindgen_test(unsupported = test)]
    fn values_do_not_disturb_each_other_and_broken_ones_are_none() {
        let mut texts = Texts::default();
        let long = "x".repeat(BYTES_USUAL);
        let first = texts.value(|text| text.push_str("one"));
        assert_eq!(texts.of("line\nbreak"), None);
        let (second, third) = (texts.of(&long), texts.value(|_| {}));
        let read = [first, second, third].map(|value| value.unwrap().to_str().unwrap().to_owned());
        assert_eq!(read, ["one", &long, ""]);
    }
}
