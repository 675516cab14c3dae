//! Hexadecimal text.

/// Lower-case hexadecimal of `bytes`.
#[must_use]
pub fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    push(&mut text, bytes);
    text
}

/// Adds the lower-case hexadecimal of `bytes` to a text.
pub fn push(text: &mut String, bytes: &[u8]) {
    for chunk in bytes.chunks(CHUNK_BYTES) {
        let mut digits = [0; CHUNK_BYTES * 2];
        write(chunk, &mut digits);
        // Digits are always text.
        text.push_str(std::str::from_utf8(&digits[..chunk.len() * 2]).unwrap_or_default());
    }
}

/// Writes the digits of bytes; there must be room for them.
pub(crate) fn write(bytes: &[u8], digits: &mut [u8]) {
    let (pairs, _) = digits.as_chunks_mut::<2>();
    for (pair, byte) in pairs.iter_mut().zip(bytes) {
        *pair = PAIRS[usize::from(*byte)];
    }
}

/// Bytes that are written at once: a trace id.
const CHUNK_BYTES: usize = 16;

/// The digits of each byte.
const PAIRS: [[u8; 2]; 256] = {
    let mut pairs = [[0; 2]; 256];
    let mut byte = 0;
    while byte < 256 {
        pairs[byte] = [DIGITS[byte >> 4], DIGITS[byte & 15]];
        byte += 1;
    }
    pairs
};

/// Reads exactly as many bytes of lower-case hexadecimal as there is room for; false if the text is something else.
#[must_use]
pub fn read(text: &[u8], out: &mut [u8]) -> bool {
    let (pairs, []) = text.as_chunks::<2>() else { return false };
    if pairs.len() != out.len() {
        return false;
    }
    let mut seen = 0;
    for (byte, [high, low]) in out.iter_mut().zip(pairs) {
        let (high, low) = (LOWER_VALUES[usize::from(*high)], LOWER_VALUES[usize::from(*low)]);
        seen |= high | low;
        *byte = high << 4 | low & 15;
    }
    seen < 16
}

/// The values of digits in lower case; other bytes have a larger one.
const LOWER_VALUES: [u8; 256] = {
    let mut values = [0xff; 256];
    let mut digit = 0;
    while digit < 16 {
        values[DIGITS[digit as usize] as usize] = digit;
        digit += 1;
    }
    values
};

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// The value of one hexadecimal digit, either case.
#[must_use]
pub const fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn read_back_and_nothing_else() {
        let all: Vec<u8> = (0..=255).collect();
        let mut back = [0; 256];
        assert!(read(encode(&all).as_bytes(), &mut back));
        assert_eq!(back.as_slice(), all);
        for text in ["0A", "0g", "0", "000", "", "+1", "\u{e9}"] {
            assert!(!read(text.as_bytes(), &mut [0]), "{text}");
        }
    }
}
