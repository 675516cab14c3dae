// The gateway's wasm instance, and how it is replaced after a trap.
//
// A trap (a panic, memory exhausted, an invalid instruction) unwinds through wasm code at an arbitrary point: the state
// of that instance is not reliable any more, and pending futures would never complete. So every request in progress in
// this isolate fails, and the next one gets a new instance.

import * as gateway from "tollgate-wasm";

// Lets the gateway answer a request; fails if the instance traps meanwhile.
export function serve(request, env, context) {
  const exchange = new Exchange(context);
  inFlight.add(exchange);
  try {
    gateway.fetch(request, env, exchange);
  } catch (error) {
    exchange.reject(error);
    replaceIfTrapped(error);
  }
  return exchange.answer;
}

// Settles like the promise of a call, or fails if the instance traps meanwhile.
export function untilTrapped(call) {
  const exchange = new Exchange();
  inFlight.add(exchange);
  call().then((value) => exchange.resolve(value), (error) => exchange.reject(error));
  return exchange.answer;
}

// A request to the gateway; only the first answer is used.
class Exchange {
  #settle;

  constructor(context) {
    this.context = context;
    this.#settle = Promise.withResolvers();
  }

  get answer() {
    return this.#settle.promise;
  }

  resolve(response) {
    inFlight.delete(this);
    this.#settle.resolve(response);
  }

  reject(error) {
    inFlight.delete(this);
    this.#settle.reject(error);
  }
}

// A trap in a callback of the platform has no caller; it is only reported by these events.
addEventListener("error", (event) => replaceIfTrapped(event.error));
addEventListener("unhandledrejection", (event) => replaceIfTrapped(event.reason));

// Requests without an answer.
const inFlight = new Set();

// One trap can be reported several times; it replaces the instance once.
const seen = new WeakSet();

// Replaces an instance that trapped; other errors have no effect.
function replaceIfTrapped(error) {
  if (!isTrap(error) || seen.has(error)) return;
  seen.add(error);
  console.error(`the gateway's module trapped and is replaced: ${error.message}`);
  gateway.__wbg_reset_state();
  for (const exchange of inFlight) exchange.reject(error);
}

function isTrap(error) {
  return error instanceof WebAssembly.RuntimeError
    || (error instanceof RangeError && error.message.includes("call stack"));
}
