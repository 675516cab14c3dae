//! What Tollgate stores: the names of its records, their versioned form, and how old versions are read.
//!
//! A bundle is a [`Pointer`] to a [`Manifest`] that names the parts ([`SiteSettings`]) of the host patterns. Manifest and
//! parts are named by the SHA-256 of their content, so that the same configuration has the same name everywhere and a
//! damaged one is noticed; they are binary (postcard behind four bytes of kind and version). The pointer, credentials and
//! purges are JSON documents `{"kind": …, "v": …, "data": …}`. Kind and version are always looked at before the data: an
//! edge refuses a record newer than itself with [`RecordError::Version`] and serves on with what it has.
//!
//! Whatever the bytes, reading them neither panics nor makes more memory of them than the bounds of core say.
//!
//! It does not store anything (ports do) and decides nothing (core does). Start with [`keys`] and [`Bundle`].
#![warn(missing_docs)]
#![forbid(unsafe_code)]

mod binary;
pub mod expiring;
mod fetched;
mod id;
pub mod keys;
mod manifest;
mod part;
mod record;
mod records;
mod show;

pub use fetched::FetchedRecord;
pub use id::Id;
pub use manifest::Manifest;
pub use part::{decode_part, decode_part_unnamed, encode_part};
pub use record::{Record, RecordError, decode, encode};
pub use records::{Bundle, Pointer};
pub use show::readable;

#[doc(no_inline)]
pub use tollgate_core::{authn::Credential, cache::Purges, settings::SiteSettings};

#[cfg(test)]
mod tests {
    use super::*;
    use wasm_bindgen_test::wasm_bindgen_test;

    const PART: &[u8] = include_bytes!("../tests/golden/part.v2.bin");
    const MANIFEST: &[u8] = include_bytes!("../tests/golden/manifest.v2.bin");

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
