//! Tokens that are bound to their holder (RFC 7800): to a client certificate (RFC 8705), or to a key of which each request has a
//! proof (DPoP, RFC 9449).
//!
//! What a token is bound to is always checked, whatever the policy requires: a stolen token is of no use to anybody else.

mod confirmation;
mod nonce;
mod proof;
mod settings;
mod target;

pub use confirmation::Confirmation;
pub use nonce::{accepts_nonce, nonce};
pub use proof::{Proof, ProvedRequest};
pub use settings::{BindingMode, BindingRules, DpopRules};

use thiserror::Error;

use crate::problem::ProblemKind;

/// Declares each error once: variant, code, OAuth error, kind of problem, and text.
macro_rules! errors {
    ($($(#[doc = $doc:literal])+ $name:ident = $code:literal, $oauth:literal, $kind:ident, $text:literal;)*) => {
        /// Why a token is not accepted from who presents it. The texts never contain what the client sent.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
        pub enum BindingError {
            $($(#[doc = $doc])+ #[error($text)] $name,)*
        }

        impl BindingError {
            /// The stable code.
            #[must_use]
            pub const fn code(self) -> &'static str {
                match self { $(Self::$name => $code,)* }
            }

            /// The error of a challenge (RFC 6750, section 3.1; RFC 9449, sections 7.1 and 9).
            #[must_use]
            pub const fn oauth_error(self) -> &'static str {
                match self { $(Self::$name => $oauth,)* }
            }

            /// The kind of problem.
            #[must_use]
            pub const fn kind(self) -> ProblemKind {
                match self { $(Self::$name => ProblemKind::$kind,)* }
            }
        }
    };
}

impl BindingError {
    /// Whether it is about a key or its proof, so that a client with the scheme `DPoP` is told.
    #[must_use]
    pub const fn is_of_key(self) -> bool {
        !matches!(
            self,
            Self::Unbound
                | Self::NoCertificate
                | Self::OtherCertificate
                | Self::BadCertificate
                | Self::MalformedCertificate
        )
    }
}

errors! {
    /// It is bound to nothing, or not to what the policy requires.
    Unbound = "unbound", "invalid_token", CredentialNotAccepted, "the token has no `cnf` of the kind that is required here, which binds it to a key or certificate of its holder";
    /// It is bound to a certificate, and the client has none.
    NoCertificate = "no-certificate", "invalid_token", CredentialNotAccepted, "the token is bound to a client certificate, and there is none";
    /// It is bound to another certificate than the client's.
    OtherCertificate = "other-certificate", "invalid_token", CredentialNotAccepted, "the token is bound to another client certificate";
    /// The certificate of the client is not one that is accepted now.
    BadCertificate = "bad-certificate", "invalid_token", CredentialNotAccepted, "the client certificate to which the token is bound is revoked, has expired, or is not verified";
    /// What stands for the certificate of the client cannot be read.
    MalformedCertificate = "malformed-certificate", "invalid_token", CredentialNotAccepted, "the token is bound to a client certificate, and what was passed on as the client's cannot be read";
    /// It is bound to a key, and the policy does not verify proofs.
    DpopOff = "dpop-off", "invalid_token", CredentialNotAccepted, "the token is bound to a key by DPoP, which is not accepted here";
    /// It is bound to a key, and was sent like a bearer token.
    Scheme = "scheme", "invalid_token", CredentialNotAccepted, "the token is bound to a key, so it is sent as `Authorization: DPoP <token>` with a proof in the field `DPoP`";
    /// It was sent with a proof, and is not bound to a key.
    NotOfKey = "not-of-key", "invalid_token", CredentialNotAccepted, "the token was sent with the scheme DPoP, and is not bound to a key";
    /// The proof is that of another key than the token's.
    OtherKey = "other-key", "invalid_token", CredentialNotAccepted, "the proof is not that of the key to which the token is bound";
    /// There is no proof.
    NoProof = "no-proof", "invalid_dpop_proof", CredentialNotAccepted, "there is no proof in the field `DPoP`";
    /// There are several proofs.
    Several = "several", "invalid_dpop_proof", CredentialMalformed, "the field `DPoP` is there more than once";
    /// The proof is not a signed token.
    Form = "form", "invalid_dpop_proof", CredentialMalformed, "the proof is not a signed token in the compact form";
    /// The proof has another type.
    Type = "type", "invalid_dpop_proof", CredentialMalformed, "the type of the proof is not `dpop+jwt`";
    /// The proof is signed with an algorithm that is not accepted.
    Algorithm = "algorithm", "invalid_dpop_proof", CredentialNotAccepted, "the algorithm of the proof is not accepted";
    /// The proof names no key that can be used.
    Key = "key", "invalid_dpop_proof", CredentialMalformed, "the header of the proof has no public key `jwk` of its algorithm";
    /// The proof reveals the private key.
    PrivateKey = "private-key", "invalid_dpop_proof", CredentialMalformed, "the header of the proof contains a private key";
    /// A claim of the proof is missing.
    Claim = "claim", "invalid_dpop_proof", CredentialMalformed, "the proof needs the claims `jti`, `htm`, `htu`, `iat` and `ath`, each in its form";
    /// The proof is for another method.
    Method = "method", "invalid_dpop_proof", CredentialNotAccepted, "the proof is for another method (`htm`)";
    /// The proof is for another URL.
    Url = "url", "invalid_dpop_proof", CredentialNotAccepted, "the proof is for another URL (`htu`)";
    /// The proof is for another token.
    Token = "token", "invalid_dpop_proof", CredentialNotAccepted, "the proof is for another token (`ath`)";
    /// The proof is too old.
    Late = "late", "invalid_dpop_proof", CredentialNotAccepted, "the proof was made too long ago (`iat`)";
    /// The proof was made in the future.
    Early = "early", "invalid_dpop_proof", CredentialNotAccepted, "the proof was made in the future (`iat`)";
    /// The signature of the proof is wrong.
    Signature = "signature", "invalid_dpop_proof", CredentialNotAccepted, "the signature of the proof is wrong";
    /// The proof was used before.
    Replayed = "replayed", "invalid_dpop_proof", CredentialReplayed, "the proof was used before (`jti`); each request needs a new one";
    /// The proof has not the gateway's nonce.
    Nonce = "nonce", "use_dpop_nonce", CredentialNotAccepted, "the proof needs the nonce of the field `DPoP-Nonce`";
}
