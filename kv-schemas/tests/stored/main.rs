//! Stored records: their bytes in every version, reading newer and older versions, and damage.

#![expect(clippy::panic, clippy::unwrap_used, reason = "a test that cannot read its own data has failed")]

mod cells;
mod golden;
mod hostile;
mod manifest;
mod publication;
mod sample;
mod schemas;
mod versions;
