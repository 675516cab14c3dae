//! The slots of a cluster.

/// The slot of a key: CRC-16 (XMODEM) of the key, or of its tag in braces.
#[must_use]
pub fn slot_of(key: &str) -> u16 {
    let tag = key.split_once('{').and_then(|(_, rest)| rest.split_once('}')).map(|(tag, _)| tag);
    let hashed = tag.filter(|tag| !tag.is_empty()).unwrap_or(key);
    let added = |crc: u16, byte: u8| {
        let shifted = |crc: u16, _| if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ POLYNOMIAL };
        (0..8).fold(crc ^ (u16::from(byte) << 8), shifted)
    };
    hashed.bytes().fold(0, added) % SLOTS
}

const POLYNOMIAL: u16 = 0x1021;
const SLOTS: u16 = 16_384;

#[cfg(test)]
mod tests {
    use super::*;

    /// As `CLUSTER KEYSLOT` answers.
    #[test]
    fn a_key_has_the_slot_that_the_cluster_says() {
        for (key, slot) in [
            ("123456789", 12_739),
            ("foo", 12_182),
            ("bar", 5_061),
            ("{user1000}.following", 3_443),
            ("{user1000}.followers", 3_443),
            ("foo{}{bar}", 8_363),
            ("foo{{bar}}zap", 4_015),
            ("foo{bar}{zap}", 5_061),
        ] {
            assert_eq!(slot_of(key), slot, "{key}");
        }
    }
}
