//! The contract of each port, asked of every implementation that runs as Rust on this machine.
//!
//! A contract is a function of the port's trait alone, in the file named after the port; `memory.rs` and `native.rs`
//! hand it their implementation. It does NOT prove what a platform's own store promises: on Workers and Spin the
//! e2e suite asks the same things through a whole host.

mod clock;
mod counters;
mod memory;
mod native;
mod records;
mod response_cache;
mod secrets;
mod upstream;

/// Runs a contract on one thread, as an isolate would.
fn on_one_thread<T>(contract: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    tokio::task::LocalSet::new().block_on(&runtime, contract)
}
