//! Writes a wasm module anew with like functions beside each other: gzip finds what is repeated within 32 KiB only.
//!
//! Nothing but the numbers of functions changes: imports, exports, tables, memories and data are the same, and each function does the same.
//! Custom sections are left out, because they may refer to functions by number or place. It does NOT make functions smaller, merge or
//! remove any. Open [`in_order_of_likeness`] first.

mod likeness;
mod renumbered;
#[cfg(test)]
mod tests;

use std::convert::Infallible;

use wasm_encoder::reencode;

pub use likeness::order;
pub use renumbered::Module;

/// The module with its functions in an order of likeness. The same module gives the same bytes.
///
/// # Errors
///
/// What is not a module of WebAssembly, or uses a proposal that `wasm-encoder` does not know.
pub fn in_order_of_likeness(module: &[u8]) -> Result<Vec<u8>, reencode::Error<Infallible>> {
    let module = Module::read(module)?;
    module.written(&order(module.bodies()))
}
