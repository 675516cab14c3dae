//! The wasm module of `bench/peers/edits.mjs`: the least that a Worker can do that authenticates, charges and edits in wasm.
//!
//! It is a floor to compare with, not a gateway: one consumer for every key, no refusals. Start with [`decide`].
#![expect(unsafe_code, reason = "exporting an unmangled name is unsafe, because two could be equal")]

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt::Write;

use sha2::{Digest, Sha256};

thread_local! {
    static INPUT: RefCell<[u8; INPUT_BYTES]> = const { RefCell::new([0; INPUT_BYTES]) };
    static OUTPUT: RefCell<String> = const { RefCell::new(String::new()) };
    static STATE: RefCell<State> = RefCell::new(State { charged_until_ns: HashMap::new(), seed: 0x9E37_79B9_7F4A_7C15 });
}

const INPUT_BYTES: usize = 4096;

struct State {
    /// By the digest of the key.
    charged_until_ns: HashMap<[u8; 32], u64>,
    seed: u64,
}

impl State {
    /// What is left of a quota of a million a second after a charge of one.
    fn charge(&mut self, key: &str, now_ns: u64) -> u64 {
        let until = self.charged_until_ns.entry(Sha256::digest(key).into()).or_insert(0);
        *until = (*until).max(now_ns) + COST_NS;
        BURST.saturating_sub((*until - now_ns) / COST_NS)
    }

    fn random(&mut self) -> u64 {
        self.seed ^= self.seed << 13;
        self.seed ^= self.seed >> 7;
        self.seed ^= self.seed << 17;
        self.seed
    }
}

const BURST: u64 = 1_000_000;
const COST_NS: u64 = 1_000;

/// The address to write the request to.
#[unsafe(no_mangle)]
pub extern "C" fn input() -> *mut u8 {
    INPUT.with_borrow_mut(|input| input.as_mut_ptr())
}

/// The address of the edits.
#[unsafe(no_mangle)]
pub extern "C" fn output() -> *const u8 {
    OUTPUT.with_borrow(|output| output.as_ptr())
}

/// Decides about the request in the input, of this number of bytes: path, key, `traceparent`, `content-length` and
/// `tracestate`, a line each. Returns the number of bytes of the edits: fields to set, those of the request, a zero, those
/// of the response.
#[unsafe(no_mangle)]
pub extern "C" fn decide(bytes: usize, now_ms: f64) -> usize {
    let text = INPUT.with_borrow(|input| String::from_utf8_lossy(&input[..bytes.min(INPUT_BYTES)]).into_owned());
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a time in milliseconds")]
    let now_ns = now_ms as u64 * 1_000_000;
    let key = text.split('\n').nth(1).unwrap_or_default();
    STATE.with_borrow_mut(|state| {
        let left = state.charge(key, now_ns);
        let [a, b, c, d, e] = std::array::from_fn(|_| state.random());
        OUTPUT.with_borrow_mut(|output| {
            output.clear();
            // Writing to a String does not fail.
            let _ = write!(
                output,
                "traceparent\n00-{a:016x}{b:016x}-{c:016x}-01\nx-request-id\n{d:016x}{e:016x}\nx-forwarded-for\n127.0.0.1\n\
                 x-forwarded-host\nlocalhost\nx-forwarded-proto\nhttp\nvia\n1.1 edits\n\0via\n1.1 edits\nx-request-id\n\
                 {d:016x}{e:016x}\nratelimit\n\"wide\";r={left};t=1\n"
            );
            output.len()
        })
    })
}
