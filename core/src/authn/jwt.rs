//! The `jwt` policy: a signed token (RFC 7519) whose issuer the policy trusts.
//!
//! The policy lists algorithms, issuers and audiences; the token only selects among them (RFC 8725). Whether its signature
//! is that of a key of the issuer is verified before its claims are read for anything.

mod settings;

pub use settings::{JwtSettings, KeySource};

use super::{ClaimError, Identity};
use crate::jose::{Members, Token};
use crate::time::Timestamp;

impl JwtSettings {
    /// The identity of the bearer of a token whose signature was verified, for the policy of this name.
    ///
    /// # Errors
    /// If the policy does not accept the token now.
    pub fn identity(
        &self,
        policy: &str,
        token: &Token<'_>,
        claims: &Members,
        now: Timestamp,
    ) -> Result<Identity, ClaimError> {
        self.late_identity(policy, token, claims, now, 0)
    }

    /// The same of a token that is accepted for so many seconds after its end.
    ///
    /// # Errors
    /// If the policy does not accept the token now.
    pub fn late_identity(
        &self,
        policy: &str,
        token: &Token<'_>,
        claims: &Members,
        now: Timestamp,
        late_s: u32,
    ) -> Result<Identity, ClaimError> {
        if self.kind.is_some() && self.kind != token.kind {
            return Err(ClaimError::Kind);
        }
        self.rules.of_late_token(policy, claims, now, late_s)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authn::IdentityRules;
    use crate::jose::Algorithm;
    use crate::kinds::PolicyKind;
    use base64ct::{Base64UrlUnpadded, Encoding};
    use wasm_bindgen_test::wasm_bindgen_test;

    fn settings() -> JwtSettings {
        JwtSettings::new("https://id.example.com", "pets", KeySource::Discovery(false), Algorithm::Rs256)
    }

    /// RFC 8725, section 3.11; RFC 9068, section 2.1.
    #[wasm_bindgen_test(unsupported = test)]
    fn rfc_8725_3_11_a_required_type_is_the_one_of_the_header() {
        let access = JwtSettings { kind: Some("at+jwt".into()), ..settings() };
        let kind = |header: &str| {
            let claims = r#"{"iss":"https://id.example.com","aud":"pets","sub":"ada","exp":4000000000}"#;
            let part = |text: &str| Base64UrlUnpadded::encode_string(text.as_bytes());
            let text = format!("{}.{}.AA", part(header), part(claims));
            let token = Token::parse(&text).unwrap();
            access.identity("staff", &token, &token.claims().unwrap(), Timestamp::from_millis(1)).map(drop)
        };
        assert_eq!(kind(r#"{"alg":"RS256","typ":"at+JWT"}"#), Ok(()));
        assert_eq!(kind(r#"{"alg":"RS256","typ":"application/at+jwt"}"#), Ok(()));
        for header in [r#"{"alg":"RS256","typ":"JWT"}"#, r#"{"alg":"RS256"}"#, r#"{"alg":"RS256","typ":"logout+jwt"}"#]
        {
            assert_eq!(kind(header), Err(ClaimError::Kind), "{header}");
        }
    }

    /// RFC 8725, section 3.1: a policy for shared secrets has no public keys, and the other way round.
    #[wasm_bindgen_test(unsupported = test)]
    fn rfc_8725_3_1_settings_do_not_mix_types_of_keys() {
        let with = |keys, algorithms: &[Algorithm]| {
            JwtSettings { keys, algorithms: algorithms.iter().copied().collect(), ..settings() }.is_coherent()
        };
        let secret = || KeySource::Secret(crate::secret::SecretText::parse("${secret.A}").unwrap());
        assert!(with(secret(), &[Algorithm::Hs256]) && !with(secret(), &[Algorithm::Rs256, Algorithm::Hs256]));
        assert!(with(KeySource::Discovery(false), &[Algorithm::EdDsa]));
        assert!(!with(KeySource::Discovery(false), &[Algorithm::EdDsa, Algorithm::Hs512]));
        assert!(!with(KeySource::Static("{}".into()), &[]));
        let rules = || settings().rules;
        let ruled = |rules| JwtSettings { rules, ..settings() }.is_coherent();
        assert!(ruled(rules()) && !ruled(IdentityRules { issuers: vec!["a".into(), "b".into()], ..rules() }));
        assert!(!ruled(IdentityRules { audiences: vec![], ..rules() }));
    }
}
