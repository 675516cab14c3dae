//! Readers of stored types: `#[derive(Decode)]` of what minicbor's `Encode` writes, and `#[derive(FromJson)]` of what serde's
//! `Serialize` writes as JSON, with the same attributes as these.
//!
//! The readers that minicbor and serde derive contain the code of every member, once for each way in which it can be written, and
//! return each value beside an error that has its own memory. Settings and records are most of what a Worker's module reads. Here
//! a value is read in place, and the loops over members are one function for all types (`tollgate_core::codec` and
//! `tollgate_core::json`): a type lends it only what its members are.

mod json;
mod stored;

use proc_macro::TokenStream;
use syn::{DeriveInput, Error, parse_macro_input};

/// Implements `tollgate_core::codec::Decode`.
#[proc_macro_derive(Decode, attributes(n, cbor))]
pub fn decode(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    stored::implementation(&input).unwrap_or_else(Error::into_compile_error).into()
}

/// Implements `tollgate_core::json::FromJson`.
#[proc_macro_derive(FromJson, attributes(serde))]
pub fn from_json(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    json::implementation(&input).unwrap_or_else(Error::into_compile_error).into()
}
