//! wasm-bindgen's two programs, built from this workspace so that `Cargo.lock` pins them with all they depend on.
//!
//! `cargo install wasm-bindgen-cli` resolves, or locks, a dependency tree of its own; from here there is one tree,
//! one version, and no second source of truth to keep in step with the `wasm-bindgen` that the artifacts link.
//! The crate does NOT build anything itself: `adapters/cloudflare/build.mjs` runs `wasm-bindgen` on the worker, and
//! `wasm-bindgen-test-runner` is the runner of tests on wasm32. Start at `src/bin/`.
