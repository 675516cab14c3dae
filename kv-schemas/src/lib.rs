//! What Tollgate stores: the names of its records, their versioned form, and how other versions are read.
//!
//! A bundle is a [`Pointer`] to a [`Manifest`] that names the parts ([`SiteSettings`]) of the host patterns. Manifest and
//! parts are named by the SHA-256 of their content, so that the same configuration has the same name everywhere and a
//! damaged one is noticed. They are tables of sections, each of a kind and a version, with members in CBOR that are
//! numbered, never named. The pointer, credentials and purges are JSON documents `{"kind": …, "v": …, "data": …}`; their
//! schemas are in `schemas/`.
//!
//! # Versions
//!
//! One rule holds for sections, for grammars of texts and for JSON records. A version says the least that a reader must
//! know:
//!
//! - Members that a reader does not know, in a version that it knows, are skipped.
//! - A writer raises the version where it uses a member, a variant or a piece of syntax that readers must understand, and
//!   only there.
//! - A reader refuses a newer version, or a kind that it does not know, by name ([`RecordError::Unknown`]: "this program
//!   does not know jwt@2") before anything is switched. [`Generation::needs`] says so in the pointer already.
//! - A reader reads its own version and the one before. What turns the one before into today's is
//!   [`Section::read`](tollgate_core::codec::Section::read) or [`Record::read`] of the type.
//!
//! Whatever the bytes, reading them neither panics nor makes more memory of them than the bounds of core say.
//!
//! It does not store anything (ports do) and decides nothing (core does). Start with [`keys`], [`Bundle`] and
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
mod record;
mod records;
mod schemas;
mod sections;
mod show;

pub use bundle::{Bundle, Publication, PublishError};
pub use fetched::FetchedRecord;
pub use id::Id;
pub use joined::joined;
pub use manifest::Manifest;
pub use need::{Need, NeedError};
pub use part::{decode_part, decode_part_unnamed, encode_part};
pub use record::{Record, RecordError, decode, encode};
pub use records::{Generation, KeyIndex, Pointer, credential_records};
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

    /// The bytes were written where a `usize` has 64 bits; this runs where it has 32, too.
    #[wasm_bindgen_test(unsupported = test)]
    fn the_same_settings_have_the_same_bytes_on_every_machine() {
        let part = decode_part_unnamed(PART).unwrap();
        assert!(encode_part(&part) == PART);
        let manifest = Manifest::decode_unnamed(MANIFEST.to_vec()).unwrap();
        let parts = manifest.parts().unwrap().into_iter().map(|(pattern, id)| (pattern.parse().unwrap(), id)).collect();
        assert!(Manifest::encode(&manifest.gateway, &parts).1 == MANIFEST);
    }
}
