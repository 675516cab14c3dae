//! The proof that a client has the key of a token (RFC 9449, section 4): a token of its own for one request.

use http::HeaderMap;
use sha2::{Digest, Sha256};

use super::target::is_url_of;
use super::{BindingError, DpopRules};
use crate::authn::claims::date;
use crate::jose::{Jwk, Members, SignatureCheck, Thumbprint, Token};
use crate::time::Timestamp;

/// A proof, whose signature is not verified yet.
#[derive(Debug)]
pub struct Proof<'p> {
    token: Token<'p>,
    key: Jwk,
    thumbprint: Thumbprint,
    claims: Members,
}

/// The request for which a proof must be.
#[derive(Clone, Copy, Debug)]
pub struct ProvedRequest<'r> {
    /// The method.
    pub method: &'r str,
    /// Whether its client sent it to an `https` URL.
    pub https: bool,
    /// Host and port, as its client sees them.
    pub authority: &'r str,
    /// The path with its escapes.
    pub path: &'r str,
    /// The access token.
    pub token: &'r str,
}

impl<'p> Proof<'p> {
    /// The proof of a request: one, signed with an algorithm that is accepted and the public key in its header (section 4.3, points
    /// 1 to 5 and 7).
    ///
    /// # Errors
    /// If there is none, or it has another form.
    pub fn presented(fields: &'p HeaderMap, rules: &DpopRules) -> Result<Self, BindingError> {
        let mut lines = fields.get_all(DPOP).iter();
        let line = lines.next().ok_or(BindingError::NoProof)?;
        // Some platforms join the lines of a field, and no proof has a comma in it.
        if lines.next().is_some() || line.as_bytes().contains(&b',') {
            return Err(BindingError::Several);
        }
        let text = line.to_str().map_err(|_| BindingError::Form)?;
        let token = Token::parse(text.trim_ascii()).map_err(|_| BindingError::Form)?;
        if token.kind.as_deref() != Some(KIND) {
            return Err(BindingError::Type);
        }
        if !rules.algorithms.contains(token.algorithm) {
            return Err(BindingError::Algorithm);
        }
        let members = token.embedded_key().ok_or(BindingError::Key)?;
        if PRIVATE.iter().any(|name| members.get(name).is_some()) {
            return Err(BindingError::PrivateKey);
        }
        let key = Jwk::of(&members).ok().filter(|key| key.is_for(token.algorithm)).ok_or(BindingError::Key)?;
        let thumbprint = key.material.thumbprint().ok_or(BindingError::Key)?;
        let claims = token.claims().map_err(|_| BindingError::Form)?;
        Ok(Self { token, key, thumbprint, claims })
    }

    /// Checks that the proof is for this request with a token that is bound to `key` (section 4.3, points 3, 8, 9, 11 and 12).
    ///
    /// # Errors
    /// If it is not.
    pub fn check(
        &self,
        key: &Thumbprint,
        request: &ProvedRequest<'_>,
        rules: &DpopRules,
        now: Timestamp,
    ) -> Result<(), BindingError> {
        if self.thumbprint != *key {
            return Err(BindingError::OtherKey);
        }
        let text = |name| self.claims.text(name).ok_or(BindingError::Claim);
        if !(1..=ID_BYTES_MAX).contains(&text("jti")?.len()) {
            return Err(BindingError::Claim);
        }
        if text("htm")? != request.method {
            return Err(BindingError::Method);
        }
        if !is_url_of(text("htu")?, request.https, request.authority, request.path) {
            return Err(BindingError::Url);
        }
        if Thumbprint::parse(text("ath")?) != Some(Thumbprint::of(request.token)) {
            return Err(BindingError::Token);
        }
        let made = date(&self.claims, "iat").ok().flatten().ok_or(BindingError::Claim)?;
        let window_ms = u64::from(rules.age_max_s) * 1_000;
        if made.plus_millis(window_ms) < now {
            return Err(BindingError::Late);
        }
        if now.plus_millis(window_ms) < made { Err(BindingError::Early) } else { Ok(()) }
    }

    /// The nonce in it.
    #[must_use]
    pub fn nonce(&self) -> Option<&str> {
        self.claims.text("nonce")
    }

    /// What has to be verified with the key in it (section 4.3, point 6).
    #[must_use]
    pub fn signature(&self) -> SignatureCheck<'_> {
        let (algorithm, message) = (self.token.algorithm, self.token.signed.as_bytes());
        SignatureCheck { algorithm, key: &self.key, message, signature: &self.token.signature }
    }

    /// Who made it.
    #[must_use]
    pub const fn signer(&self) -> &[u8] {
        self.thumbprint.as_bytes().as_slice()
    }

    /// What no other request may have: the id of the proof, which is one of its key (section 11.1).
    #[must_use]
    pub fn used(&self) -> Vec<u8> {
        let id = self.claims.text("jti").unwrap_or_default();
        let digest = Sha256::digest(id.as_bytes());
        [self.thumbprint.as_bytes().as_slice(), &digest].concat()
    }
}

impl DpopRules {
    /// For how long the use of a proof has to be remembered: from when it is accepted first until it is accepted last.
    #[must_use]
    pub const fn once_ms(&self) -> u32 {
        self.age_max_s.saturating_mul(2_000).saturating_add(1_000)
    }
}

/// The field of proofs.
pub(super) const DPOP: &str = "dpop";

/// The type of proofs (section 4.2).
const KIND: &str = "dpop+jwt";

/// The members of private keys (RFC 7518, sections 6.2.2, 6.3.2 and 6.4.1).
const PRIVATE: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

/// The id is random, such as a UUID.
const ID_BYTES_MAX: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jose::Algorithm;
    use base64ct::{Base64UrlUnpadded, Encoding};
    use http::HeaderValue;
    use proptest::prelude::*;
    use wasm_bindgen_test::wasm_bindgen_test;

    /// RFC 9449, section 7.1: the proof and the token of the example request.
    const TOKEN: &str = "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU";
    const JWK: &str = r#"{"kty":"EC","x":"l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs","y":"9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA","crv":"P-256"}"#;
    const JKT: &str = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I";
    const CLAIMS: &str = r#"{"jti":"e1j3V_bKic8-LAEB","htm":"GET","htu":"https://resource.example.org/protectedresource","iat":1562262618,"ath":"fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo"}"#;

    fn rules() -> DpopRules {
        let algorithms = [Algorithm::Es256, Algorithm::Rs256].into_iter().collect();
        DpopRules { algorithms, age_max_s: 60, nonce: None, once: true }
    }

    fn header(more: &str) -> String {
        format!(r#"{{"typ":"dpop+jwt","alg":"ES256","jwk":{JWK}{more}}}"#)
    }

    fn proof(header: &str, claims: &str) -> String {
        let part = |text: &str| Base64UrlUnpadded::encode_string(text.as_bytes());
        format!("{}.{}.AAAA", part(header), part(claims))
    }

    fn fields(lines: &[&str]) -> HeaderMap {
        lines.iter().map(|line| (DPOP.parse().unwrap(), HeaderValue::from_str(line).unwrap())).collect()
    }

    fn request() -> ProvedRequest<'static> {
        ProvedRequest {
            method: "GET",
            https: true,
            authority: "resource.example.org",
            path: "/protectedresource",
            token: TOKEN,
        }
    }

    #[track_caller]
    fn check_at(header: &str, claims: &str, s: u64) -> Result<(), BindingError> {
        let fields = fields(&[&proof(header, claims)]);
        let proof = Proof::presented(&fields, &rules())?;
        proof.check(&Thumbprint::parse(JKT).unwrap(), &request(), &rules(), Timestamp::from_millis(s * 1_000))
    }

    #[track_caller]
    fn check(header: &str, claims: &str, want: Result<(), BindingError>) {
        assert_eq!(check_at(header, claims, NOW_S), want, "{header} {claims}");
    }

    const NOW_S: u64 = 1_562_262_620;

    #[wasm_bindgen_test(unsupported = test)]
    fn rfc_9449_7_1_the_example_is_accepted() {
        check(&header(""), CLAIMS, Ok(()));
        let text = proof(&header(""), CLAIMS);
        let fields = fields(&[&text]);
        let proof = Proof::presented(&fields, &rules()).unwrap();
        let signature = proof.signature();
        assert_eq!(signature.algorithm, Algorithm::Es256);
        assert!(text.as_bytes().starts_with(signature.message) && proof.nonce().is_none());
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn rfc_9449_4_3_there_is_one_proof() {
        let text = proof(&header(""), CLAIMS);
        let joined = format!("{text}, {text}");
        for (lines, want) in [
            (vec![], BindingError::NoProof),
            (vec![text.as_str(), &text], BindingError::Several),
            (vec![joined.as_str()], BindingError::Several),
            (vec![""], BindingError::Form),
            (vec!["a.b.c.d.e"], BindingError::Form),
        ] {
            assert_eq!(Proof::presented(&fields(&lines), &rules()).err(), Some(want), "{lines:?}");
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn rfc_9449_4_3_the_header_has_the_type_an_accepted_algorithm_and_a_public_key() {
        let with = |typ: &str, alg: &str, jwk: &str| format!(r#"{{"typ":"{typ}","alg":"{alg}","jwk":{jwk}}}"#);
        check(&with("jwt", "ES256", JWK), CLAIMS, Err(BindingError::Type));
        check(&format!(r#"{{"alg":"ES256","jwk":{JWK}}}"#), CLAIMS, Err(BindingError::Type));
        check(&with("dpop+jwt", "ES384", JWK), CLAIMS, Err(BindingError::Algorithm));
        check(&with("dpop+jwt", "HS256", r#"{"kty":"oct","k":"AAAA"}"#), CLAIMS, Err(BindingError::Algorithm));
        check(&with("dpop+jwt", "none", JWK), CLAIMS, Err(BindingError::Form));
        check(&with("dpop+jwt", "RS256", JWK), CLAIMS, Err(BindingError::Key));
        check(&with("dpop+jwt", "ES256", "\"a\""), CLAIMS, Err(BindingError::Key));
        check(&with("dpop+jwt", "ES256", "{}"), CLAIMS, Err(BindingError::Key));
        check(r#"{"typ":"dpop+jwt","alg":"ES256"}"#, CLAIMS, Err(BindingError::Key));
        check(&with("dpop+jwt", "ES256", r#"{"kty":"oct","k":"AAAA"}"#), CLAIMS, Err(BindingError::PrivateKey));
        let private = JWK.replacen('{', r#"{"d":"AAAA","#, 1);
        check(&with("dpop+jwt", "ES256", &private), CLAIMS, Err(BindingError::PrivateKey));
        check(&header(r#","crit":["a"]"#), CLAIMS, Err(BindingError::Form));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn rfc_9449_4_3_the_claims_are_those_of_the_request() {
        let with = |from: &str, to: &str| {
            let changed = CLAIMS.replacen(from, to, 1);
            assert_ne!(changed, CLAIMS, "{from}");
            changed
        };
        let header = header("");
        for (claims, want) in [
            (with(r#""jti":"e1j3V_bKic8-LAEB","#, ""), BindingError::Claim),
            (with("e1j3V_bKic8-LAEB", ""), BindingError::Claim),
            (with("e1j3V_bKic8-LAEB", &"a".repeat(257)), BindingError::Claim),
            (with(r#""htm":"GET","#, ""), BindingError::Claim),
            (with("GET", "POST"), BindingError::Method),
            (with("GET", "get"), BindingError::Method),
            (with("/protectedresource", "/other"), BindingError::Url),
            (with("https://", "http://"), BindingError::Url),
            (with(r#","ath":"fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo""#, ""), BindingError::Claim),
            (with("fUHy", "fUHz"), BindingError::Token),
            (with(r#""iat":1562262618,"#, ""), BindingError::Claim),
            (with("1562262618", "\"1562262618\""), BindingError::Claim),
            ("[]".to_owned(), BindingError::Form),
        ] {
            check(&header, &claims, Err(want));
        }
        check(&header, &with("/protectedresource", "/protectedresource?a=b#c"), Ok(()));
        let made = 1_562_262_618;
        let late = [made - 61, made - 60, made + 60, made + 61].map(|s| check_at(&header, CLAIMS, s).err());
        assert_eq!(late, [Some(BindingError::Early), None, None, Some(BindingError::Late)]);
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn rfc_9449_4_3_the_proof_is_that_of_the_key_of_the_token() {
        let fields = fields(&[&proof(&header(""), CLAIMS)]);
        let proof = Proof::presented(&fields, &rules()).unwrap();
        let now = Timestamp::from_millis(NOW_S * 1_000);
        let other = proof.check(&Thumbprint::new([1; 32]), &request(), &rules(), now);
        assert_eq!(other, Err(BindingError::OtherKey));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn rfc_9449_11_1_a_proof_is_known_by_its_id_and_key() {
        let used = |claims: &str| Proof::presented(&fields(&[&proof(&header(""), claims)]), &rules()).unwrap().used();
        assert_eq!(used(CLAIMS), used(&CLAIMS.replace("GET", "PUT")));
        assert_ne!(used(CLAIMS), used(&CLAIMS.replace("LAEB", "LAEC")));
        assert_eq!(rules().once_ms(), 121_000);
    }

    proptest! {
        #[test]
        fn no_proof_panics(text in r#"[A-Za-z0-9_.=-]{0,60}"#, claims in r#"\{"(jti|htm|iat)":("a"|1|-1|1e99)\}"#) {
            let (text, made) = (fields(&[&text]), fields(&[&proof(&header(""), &claims)]));
            for fields in [text, made] {
                let now = Timestamp::from_millis(1);
                let checked = Proof::presented(&fields, &rules())
                    .and_then(|proof| proof.check(&Thumbprint::parse(JKT).unwrap(), &request(), &rules(), now));
                prop_assert!(checked.is_err());
            }
        }
    }
}
