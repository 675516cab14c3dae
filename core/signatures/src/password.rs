//! Slow hashes of passwords that people thought of: argon2id (RFC 9106) and bcrypt.

use argon2::password_hash::{PasswordHash, Salt, SaltString};
use argon2::{Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version};

/// Whether a password has this hash. The caller has bounded its parameters.
#[must_use]
pub fn is_password(hash: &str, password: &str) -> bool {
    if hash.starts_with("$2") {
        // bcrypt reads 72 bytes: of two longer passwords that begin alike, one would be as good as the other.
        return bcrypt::verify(password, hash).unwrap_or(false) && password.len() <= BCRYPT_BYTES_MAX;
    }
    let verifier = Argon2::default();
    PasswordHash::new(hash).is_ok_and(|hash| verifier.verify_password(password.as_bytes(), &hash).is_ok())
}

/// The argon2id hash of a password, with the parameters that OWASP recommends; `None` if it cannot be computed.
#[must_use]
pub fn hash_password(password: &str, salt: &[u8; 16]) -> Option<String> {
    let params = Params::new(MEMORY_KIB, PASSES, 1, None).ok()?;
    let salt = SaltString::encode_b64(salt).ok()?;
    let hasher = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    Some(hasher.hash_password(password.as_bytes(), Salt::from(&salt)).ok()?.to_string())
}

/// What bcrypt reads of a password.
pub const BCRYPT_BYTES_MAX: usize = 72;

/// OWASP, Password Storage Cheat Sheet.
const MEMORY_KIB: u32 = 19_456;
const PASSES: u32 = 2;

#[cfg(test)]
mod tests {
    use super::*;

    /// Of the reference implementation of argon2, and of jBCrypt.
    #[test]
    fn known_hashes_are_those_of_their_passwords() {
        for (hash, password) in [
            ("$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc", "password"),
            ("$2a$10$k87L/MF28Q673VKh8/cPi.SUl7MU/rWuSiIDDFayrKk/1tBsSQu4u", "a"),
            ("$2a$10$WvvTPHKwdBJ3uk0Z37EMR.hLA2W6N9AEBhEgrAOljy2Ae5MtaSIUi", "abc"),
        ] {
            assert!(is_password(hash, password), "{hash}");
            for other in ["", "Password", "ab", "abcd"] {
                assert!(!is_password(hash, other), "{hash} {other}");
            }
            assert!(!is_password(&hash[..hash.len() - 1], password));
        }
        for none in ["", "$2b$", "$argon2id$", "password"] {
            assert!(!is_password(none, "password"), "{none}");
        }
    }

    #[test]
    fn a_hash_that_is_made_here_is_verified_here_and_accepted_in_a_project() {
        let hash = hash_password("correct horse battery staple", &[7; 16]).unwrap();
        assert!(is_password(&hash, "correct horse battery staple") && !is_password(&hash, "correct horse"));
        assert!(tollgate_core::authn::SlowHash::parse(&hash).is_ok(), "{hash}");
        assert_ne!(Some(hash), hash_password("correct horse battery staple", &[8; 16]));
    }

    #[test]
    fn nothing_is_left_out_of_a_long_password() {
        let (long, hash) = ("a".repeat(72), bcrypt::hash("a".repeat(72), 4).unwrap());
        assert!(is_password(&hash, &long) && !is_password(&hash, &format!("{long}b")));
        let (long, hash) = ("a".repeat(200), hash_password(&"a".repeat(200), &[7; 16]).unwrap());
        assert!(is_password(&hash, &long) && !is_password(&hash, &long[1..]));
    }
}
