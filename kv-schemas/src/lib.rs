//! The records that Tollgate stores: their keys, their versioned encoding, and how other versions are read.
//!
//! A bundle is a [`Pointer`] to a [`Manifest`] that lists the parts ([`SiteSettings`]) of the host patterns. Manifest
//! and parts are named by the SHA-256 of their content or of its head, which has digests of the rest, so that equal configuration has equal names everywhere and
//! damage is detected. They are tables of sections, each with a kind and a version, and with numbered members in CBOR.
//! The pointer, credentials and purges are JSON documents `{"kind": …, "v": …, "data": …}`; their schemas are in
//! `schemas/`.
//!
//! # Versions
//!
//! One rule applies to sections, grammars of strings and JSON records. A version is the lowest one that a reader must
//! support:
//!
//! - A reader skips unknown members in a version that it supports.
//! - A writer uses a higher version only where it uses a member, a variant or syntax that readers must understand.
//! - A reader refuses a newer version or an unknown kind by name ([`RecordError::Unknown`]: "this program does not know
//!   jwt@2") before it switches. The pointer already contains these requirements ([`Generation::needs`]).
//! - A reader reads its own version and the previous one. [`Section::read`](tollgate_core::codec::Section::read) or
//!   [`Record::read`] of the type converts the previous one.
//!
//! For any bytes, decoding neither panics nor allocates more memory than the bounds in core.
//!
//! This crate stores nothing (ports do) and decides nothing (core does). Start with [`keys`], [`Bundle`] and
//! [`Publication`].
#![warn(missing_docs)]
#![forbid(unsafe_code)]

mod bundle;
mod cost;
mod envelope;
pub mod expiring;
mod fetched;
mod grammars;
mod id;
mod joined;
pub mod keys;
mod manifest;
mod need;
mod part;
mod policies;
mod publication;
mod record;
mod records;
mod route_pages;
mod schemas;
mod sections;
mod show;

pub use bundle::Bundle;
pub use fetched::FetchedRecord;
pub use id::Id;
pub use joined::joined;
pub use manifest::Manifest;
pub use need::{Need, NeedError};
pub use part::{Part, Routes, decode_part, decode_part_unnamed, encode_part};
pub use publication::{Publication, PublishError};
pub use record::{Record, RecordError, decode, encode};
pub use records::{
    GENERATION_MAX, Generation, KeyIndex, KeyUse, Pointer, SealedSession, SessionsEnd, credential_records, usage_record,
};
pub use schemas::{RecordSchema, SCHEMAS};
pub use show::readable;

#[doc(no_inline)]
pub use tollgate_core::{authn::Credential, cache::Purges, settings::SiteSettings};

#[cfg(test)]
mod tests {
    use super::*;
    use wasm_bindgen_test::wasm_bindgen_test;

    const PART: &[u8] = include_bytes!("../tests/golden/part.v1.bin");
    const MANIFEST: &[u8] = include_bytes!("../tests/golden/manifest.v1.bin");

    /// The expected bytes are from a 64-bit platform; this test also runs on a 32-bit one.
    #[wasm_bindgen_test(unsupported = test)]
    fn the_same_settings_have_the_same_bytes_on_every_machine() {
        let part = decode_part_unnamed(PART).unwrap();
        assert!(encode_part(&part) == PART);
        let manifest = Manifest::decode_unnamed(MANIFEST.to_vec()).unwrap();
        let parts = manifest.parts().unwrap().into_iter().map(|(pattern, id)| (pattern.parse().unwrap(), id)).collect();
        assert!(Manifest::encode(&manifest.gateway, &parts).1 == MANIFEST);
    }
}
