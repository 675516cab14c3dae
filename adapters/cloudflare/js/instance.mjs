// The gateway's wasm instance, and how it is replaced after a trap.
//
// A trap (a panic, memory used up, an instruction that cannot run) unwinds through wasm code that was in the middle of
// something: nothing of that instance may be trusted again, and what waits on it would wait for ever. So every request
// in flight in this isolate fails, and the next one meets a fresh instance.

import * as gateway from "tollgate-wasm";

// Settles as the call does, or fails when the instance traps meanwhile.
export async function untilTrapped(call) {
  const { promise, resolve, reject } = Promise.withResolvers();
  inFlight.add(reject);
  try {
    call().then(resolve, reject);
    return await promise;
  } catch (error) {
    return replaceAndThrow(error);
  } finally {
    inFlight.delete(reject);
  }
}

// What a call that is over at once answers.
export function atOnce(call) {
  try {
    return call();
  } catch (error) {
    return replaceAndThrow(error);
  }
}

function replaceAndThrow(error) {
  replaceIfTrapped(error);
  throw error;
}

// A trap inside a future that is polled from the microtask queue reaches no caller, only these events.
addEventListener("error", (event) => replaceIfTrapped(event.error));
addEventListener("unhandledrejection", (event) => replaceIfTrapped(event.reason));

// Rejects the answer of one call each.
const inFlight = new Set();

// One trap can arrive by several ways; it replaces the instance once.
const seen = new WeakSet();

// Puts a fresh instance in place of one that trapped; other errors leave it alone.
function replaceIfTrapped(error) {
  if (!isTrap(error) || seen.has(error)) return;
  seen.add(error);
  console.error(`the gateway's module trapped and is replaced: ${error.message}`);
  gateway.__wbg_reset_state();
  for (const reject of inFlight) reject(error);
  inFlight.clear();
}

function isTrap(error) {
  return error instanceof WebAssembly.RuntimeError
    || (error instanceof RangeError && error.message.includes("call stack"));
}
