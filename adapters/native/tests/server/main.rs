//! The server from the view of clients: real sockets, a real store, the production pipeline.
#![expect(clippy::unwrap_used, reason = "a test that meets an error has failed")]

mod admin;
mod certificates;
mod connections;
mod early;
mod end;
mod exchanges;
mod idle;
mod readers;
mod resources;
mod running;
