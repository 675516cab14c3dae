//! Passwords that people thought of: their slow hashes within bounds, and how often somebody may try.
//!
//! Nothing here computes a hash: that is a capability of the host (`Signatures` of the edge), which not every host has.

use std::num::NonZeroU32;

use base64ct::{Base64Unpadded, Encoding};
use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::cell::{CellKey, CellOperations, Charge, Operation, OperationId, Terms, Update};
use crate::hex;

/// What a slow hash of a password was made with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlowHash {
    /// argon2id, version 19 (RFC 9106).
    Argon2id {
        /// The memory, in KiB.
        memory_kib: u32,
        /// How often it is passed over.
        passes: u32,
        /// The lanes.
        lanes: u32,
    },
    /// bcrypt.
    Bcrypt {
        /// The binary logarithm of its rounds.
        cost: u32,
    },
}

/// Why a text is no hash of a password that the gateway verifies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SlowHashError {
    /// It has another form.
    #[error("it is neither `$argon2id$v=19$m=…,t=…,p=…$SALT$HASH` nor `$2b$COST$…`")]
    Form,
    /// Trying passwords would be too cheap.
    #[error(
        "its parameters are weaker than OWASP's: argon2id with `m` times `t` of at least 35,840 and `m` of at least 7,168, or bcrypt with a cost of at least 10"
    )]
    Weak,
    /// A request would take too long.
    #[error(
        "it costs more than a request may: argon2id with `m` of at most 65,536, `m` times `t` of at most 262,144 and `p` of at most 4, or bcrypt with a cost of at most 13"
    )]
    Costly,
}

impl SlowHash {
    /// Reads what a hash was made with.
    ///
    /// # Errors
    /// If it has another form, or is out of bounds.
    pub fn parse(text: &str) -> Result<Self, SlowHashError> {
        let hash = argon2id(text).or_else(|| bcrypt(text)).ok_or(SlowHashError::Form)?;
        let (is_strong, is_cheap) = match hash {
            Self::Argon2id { memory_kib, passes, lanes } => {
                let work = u64::from(memory_kib) * u64::from(passes);
                let is_cheap = memory_kib <= MEMORY_KIB_MAX && work <= WORK_KIB_MAX && lanes <= LANES_MAX;
                (memory_kib >= MEMORY_KIB_MIN && work >= WORK_KIB_MIN && lanes > 0, is_cheap)
            }
            Self::Bcrypt { cost } => (cost >= COST_MIN, cost <= COST_MAX),
        };
        match (is_strong, is_cheap) {
            (false, _) => Err(SlowHashError::Weak),
            (_, false) => Err(SlowHashError::Costly),
            _ => Ok(hash),
        }
    }

    /// About how long a core computes it, in microseconds: to compare two of them.
    #[must_use]
    pub const fn cost_us(&self) -> u64 {
        match self {
            Self::Argon2id { memory_kib, passes, .. } => *memory_kib as u64 * *passes as u64,
            Self::Bcrypt { cost } => 50 << *cost,
        }
    }
}

/// `$argon2id$v=19$m=19456,t=2,p=1$SALT$HASH`, both in base64 without padding.
fn argon2id(text: &str) -> Option<SlowHash> {
    let mut parts = text.strip_prefix("$argon2id$v=19$")?.split('$');
    let (parameters, salt, hash) = (parts.next()?, parts.next()?, parts.next()?);
    let mut numbers = parameters.split(',');
    let mut number = |name: &str| -> Option<u32> {
        let digits = numbers.next()?.strip_prefix(name)?.strip_prefix('=')?;
        if digits.bytes().all(|byte| byte.is_ascii_digit()) { digits.parse().ok() } else { None }
    };
    let (memory_kib, passes, lanes) = (number("m")?, number("t")?, number("p")?);
    let has_bytes = |text: &str, least: usize| {
        text.len() <= ENCODED_MAX && Base64Unpadded::decode_vec(text).is_ok_and(|bytes| bytes.len() >= least)
    };
    let is_whole = numbers.next().is_none() && parts.next().is_none() && has_bytes(salt, 8) && has_bytes(hash, 16);
    is_whole.then_some(SlowHash::Argon2id { memory_kib, passes, lanes })
}

/// `$2b$12$`, then 22 characters of the salt and 31 of the hash.
fn bcrypt(text: &str) -> Option<SlowHash> {
    let rest = ["$2a$", "$2b$", "$2y$"].iter().find_map(|prefix| text.strip_prefix(prefix))?;
    let (digits, rest) = rest.split_once('$')?;
    let is_plain = rest.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"./".contains(&byte));
    let is_number = digits.len() == 2 && digits.bytes().all(|byte| byte.is_ascii_digit());
    (is_number && is_plain && rest.len() == 53).then(|| SlowHash::Bcrypt { cost: digits.parse().unwrap_or_default() })
}

/// The update that charges a try, before the password is looked at: the tries of one address, and those of a name from addresses
/// that share its cell. What is right is released afterwards, so that only wrong ones count.
///
/// 256 cells hold the tries of a policy, so that their number does not grow with names and addresses; a cell that is full refuses.
/// Who tries a name from elsewhere does not lock out its person.
#[must_use]
pub fn try_charge(policy: &str, name: &str, client: &CellKey, id: OperationId) -> Update {
    let digests = [Sha256::digest(client.as_str()), Sha256::digest(name)];
    let cell = CellKey::partition("tries", &format!("{policy}.{}", hex::encode(&digests[0][..1])));
    let charge = |kind: &str, digest: &[u8], burst: NonZeroU32| {
        let quota = format!("{kind}{}", hex::encode(&digest[..8])).into();
        Operation::Charge(Charge {
            quota,
            rate: burst,
            period_ms: TRY_MS,
            burst,
            cost: NonZeroU32::MIN,
            algorithm: None,
            lease: None,
            tells: None,
        })
    };
    let operations = vec![charge("a", &digests[0], ADDRESS_TRIES), charge("n", &digests[1], NAME_TRIES)];
    Update {
        terms: Terms { id, hold_ms: Some(TRY_MS), refund_ms: None },
        cells: vec![CellOperations { cell, operations }],
    }
}

/// The update that takes back a try.
#[must_use]
pub fn try_release(charge: &Update) -> Update {
    let cells = charge.cells.iter().map(|part| &part.cell).cloned();
    let release = |cell| CellOperations { cell, operations: vec![Operation::Release] };
    Update { terms: Terms { hold_ms: None, ..charge.terms }, cells: cells.map(release).collect() }
}

/// The weakest parameters of OWASP's Password Storage Cheat Sheet: 7,168 KiB in 5 passes, and as much work with more memory.
const MEMORY_KIB_MIN: u32 = 7_168;
const WORK_KIB_MIN: u64 = 35_840;

/// 64 MiB: a Spin instance has some hundreds, and some hashes at once have to fit.
const MEMORY_KIB_MAX: u32 = 65_536;

/// About 300 ms of a core.
const WORK_KIB_MAX: u64 = 262_144;

const LANES_MAX: u32 = 4;

/// OWASP's least cost, and about 400 ms.
const COST_MIN: u32 = 10;
const COST_MAX: u32 = 13;

/// 64 bytes in base64, and some more.
const ENCODED_MAX: usize = 88;

/// Wrong passwords within ten minutes: those that a person mistypes, and those of an office behind one address.
const TRY_MS: NonZeroU32 = NonZeroU32::new(600_000).unwrap();
const NAME_TRIES: NonZeroU32 = NonZeroU32::new(10).unwrap();
const ADDRESS_TRIES: NonZeroU32 = NonZeroU32::new(30).unwrap();

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cell::Cell;
    use crate::time::Timestamp;
    use wasm_bindgen_test::wasm_bindgen_test;

    const BCRYPT: &str = "k87L/MF28Q673VKh8/cPi.SUl7MU/rWuSiIDDFayrKk/1tBsSQu4u";

    #[wasm_bindgen_test(unsupported = test)]
    fn hashes_are_read_within_bounds() {
        let argon = |parameters: &str| {
            SlowHash::parse(&format!(
                "$argon2id$v=19${parameters}$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"
            ))
        };
        let bcrypt = |start: &str| SlowHash::parse(&format!("{start}{BCRYPT}"));
        assert_eq!(argon("m=19456,t=2,p=1"), Ok(SlowHash::Argon2id { memory_kib: 19_456, passes: 2, lanes: 1 }));
        assert_eq!(bcrypt("$2b$12$"), Ok(SlowHash::Bcrypt { cost: 12 }));
        assert!(argon("m=7168,t=5,p=1").is_ok() && bcrypt("$2y$10$").is_ok() && bcrypt("$2a$13$").is_ok());
        for weak in ["m=7167,t=5,p=1", "m=7168,t=4,p=1", "m=19456,t=2,p=0", "m=0,t=0,p=0"] {
            assert_eq!(argon(weak), Err(SlowHashError::Weak), "{weak}");
        }
        for costly in ["m=65537,t=1,p=1", "m=65536,t=5,p=1", "m=19456,t=2,p=5", "m=4294967295,t=4294967295,p=1"] {
            assert_eq!(argon(costly), Err(SlowHashError::Costly), "{costly}");
        }
        assert_eq!([bcrypt("$2b$09$"), bcrypt("$2b$14$")], [Err(SlowHashError::Weak), Err(SlowHashError::Costly)]);
        for form in ["m=19456,t=2", "t=2,m=19456,p=1", "m=19456,t=2,p=1,x=1", "m=+9456,t=2,p=1", "m=,t=2,p=1"] {
            assert_eq!(argon(form), Err(SlowHashError::Form), "{form}");
        }
        for form in ["", "$2b$1$", "$2x$12$", "$2b$1a$", "$2b$12"] {
            assert_eq!(bcrypt(form), Err(SlowHashError::Form), "{form}");
        }
        for text in [
            "",
            "password",
            "$argon2i$v=19$m=19456,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
            "$argon2id$v=16$m=19456,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
            "$argon2id$v=19$m=19456,t=2,p=1$c2Fs$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
            "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHQ$CTFh",
            "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHQ",
        ] {
            assert_eq!(SlowHash::parse(text), Err(SlowHashError::Form), "{text}");
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn wrong_passwords_are_counted_by_name_and_address_and_right_ones_are_not() {
        let (mut cell, mut step, now) = (Cell::default(), 0, Timestamp::from_millis(1_000_000));
        let client = CellKey::partition("address", "192.0.2.1");
        let mut tried = |name: &str, is_right: bool, at_ms: u64| {
            step += 1;
            let charge = try_charge("staff", name, &client, OperationId::new([step; 16]));
            let at = now.plus_millis(at_ms);
            let granted = cell.update(charge.terms, &charge.cells[0].operations, at).unwrap().0.granted;
            if is_right && granted {
                let release = try_release(&charge);
                assert!(cell.update(release.terms, &release.cells[0].operations, at).unwrap().0.granted);
            }
            granted
        };
        assert!((0..20).all(|_| tried("ada", true, 0)), "right passwords do not count");
        assert!((0..10).all(|_| tried("ada", false, 0)) && !tried("ada", false, 0));
        assert!(tried("bob", false, 0), "another name");
        assert!((0..19).all(|number| tried(&format!("eve-{number}"), false, 0)) && !tried("joe", false, 0));
        assert!(tried("ada", false, 600_000));
    }
}
