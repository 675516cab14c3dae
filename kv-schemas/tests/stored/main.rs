//! What is stored: its bytes in every version, what readers make of newer and older forms, and what damage does.

#![expect(clippy::panic, clippy::unwrap_used, reason = "a test that cannot read its own data has failed")]

mod cells;
mod golden;
mod hostile;
mod manifest;
mod publication;
mod sample;
mod schemas;
mod versions;
