//! What is stored: its bytes in every version, what an old edge makes of a new bundle, and what damage does.

#![expect(clippy::panic, clippy::unwrap_used, reason = "a test that cannot read its own data has failed")]

mod cells;
mod golden;
mod hostile;
mod manifest;
mod sample;
