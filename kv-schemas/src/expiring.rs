//! Records with an expiry, for stores without a built-in expiry: the expiry is stored in front of the record.

use tollgate_core::time::Timestamp;

/// The stored value of a record with an expiry.
///
/// It also contains the key, so that a store with a fixed number of slots for such records can distinguish them.
#[must_use]
pub fn wrap(key: &str, expires_at: Timestamp, bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(key.len()).unwrap_or(u32::MAX).to_be_bytes();
    [&MAGIC[..], &expires_at.as_micros().to_be_bytes(), &length, key.as_bytes(), bytes].concat()
}

/// The record of a value of [`wrap`]; `None` if it has expired, and for any other value.
#[must_use]
pub fn unwrap(key: &str, mut value: Vec<u8>, now: Timestamp) -> Option<Vec<u8>> {
    let (of, end) = key_and_end(&value)?;
    if of != key.as_bytes() || now >= end {
        return None;
    }
    Some(value.split_off(MAGIC.len() + 12 + key.len()))
}

/// The key and the expiry of a value of [`wrap`]; `None` for any other value.
#[must_use]
pub fn key_and_end(value: &[u8]) -> Option<(&[u8], Timestamp)> {
    let rest = value.strip_prefix(MAGIC)?;
    let (end, rest) = rest.split_first_chunk::<8>()?;
    let (length, rest) = rest.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    Some((rest.get(..length)?, Timestamp::from_micros(u64::from_be_bytes(*end))))
}

/// No other record begins like this: JSON records begin with a brace.
const MAGIC: &[u8; 4] = b"TGx\x01";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_found_until_its_expiry_and_under_its_key_only() {
        let at = Timestamp::from_millis;
        let value = wrap("g:fetched:a", at(10), b"content");
        let read = |key, ms| unwrap(key, value.clone(), at(ms));
        assert_eq!(read("g:fetched:a", 9).as_deref(), Some(&b"content"[..]));
        assert_eq!(read("g:fetched:a", 10), None);
        assert_eq!((read("g:fetched:", 9), read("g:fetched:b", 9)), (None, None));
        assert_eq!(unwrap("k", wrap("k", at(1), b""), at(0)).as_deref(), Some(&b""[..]));
    }

    #[test]
    fn other_values_are_none() {
        let now = Timestamp::EPOCH;
        let value = wrap("key", Timestamp::MAX, b"content");
        for end in 0..value.len() - b"content".len() {
            assert_eq!(unwrap("key", value[..end].to_vec(), now), None, "{end}");
        }
        assert_eq!(unwrap("key", b"{\"kind\":\"pointer\"}".to_vec(), now), None);
    }
}
