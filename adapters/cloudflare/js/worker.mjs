// The worker's entry: hands events to the gateway's wasm module, and replaces the module when it has trapped.
//
// A trap (a panic, memory used up, an instruction that cannot run) unwinds through wasm code that was in the middle of
// something: nothing of that instance may be trusted again, and what waited on it would wait for ever. So every request
// in flight in this isolate is answered 500, and the next one meets a fresh instance.

import * as gateway from "tollgate-wasm";

export { TollgateCounter } from "./counter.mjs";

export default {
  async fetch(request, env, context) {
    const { promise, resolve, reject } = Promise.withResolvers();
    inFlight.add(reject);
    try {
      gateway.fetch(request, env, context).then(resolve, reject);
      return await promise;
    } catch (error) {
      replaceIfTrapped(error);
      return failed();
    } finally {
      inFlight.delete(reject);
    }
  },
};

// Rejects the answer of one request each.
const inFlight = new Set();

// A trap inside a future that is polled from the microtask queue reaches no caller, only these events.
addEventListener("error", (event) => replaceIfTrapped(event.error));
addEventListener("unhandledrejection", (event) => replaceIfTrapped(event.reason));

// Puts a fresh instance in place of one that trapped; other errors leave it alone.
export function replaceIfTrapped(error) {
  if (!isTrap(error) || seen.has(error)) return;
  seen.add(error);
  console.error(`the gateway's module trapped and is replaced: ${error.message}`);
  gateway.__wbg_reset_state();
  for (const reject of inFlight) reject(error);
  inFlight.clear();
}

// One trap can arrive by several ways; it replaces the instance once.
const seen = new WeakSet();

function isTrap(error) {
  return error instanceof WebAssembly.RuntimeError
    || (error instanceof RangeError && error.message.includes("call stack"));
}

// The one answer that does not come from the gateway: the problem (RFC 9457) that it calls internal.
function failed() {
  const problem = { type: "urn:tollgate:problem:internal", title: "The gateway failed", status: 500 };
  const headers = { "content-type": "application/problem+json", "cache-control": "no-store" };
  return new Response(JSON.stringify(problem), { status: 500, headers });
}
