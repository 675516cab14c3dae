// The gateway's wasm instance, and how it is replaced after a trap.
//
// A trap (a panic, memory exhausted, an instruction that cannot run) unwinds through wasm code that was in the middle of
// something: nothing of that instance may be trusted again, and what waits on it would wait for ever. So every request
// in flight in this isolate fails, and the next one meets a fresh instance.

import * as gateway from "tollgate-wasm";

// Has the gateway answer a request; fails when the instance traps meanwhile.
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

// Settles as a call that answers a promise does, or fails when the instance traps meanwhile.
export function untilTrapped(call) {
  const exchange = new Exchange();
  inFlight.add(exchange);
  call().then((value) => exchange.resolve(value), (error) => exchange.reject(error));
  return exchange.answer;
}

// A request that the gateway is to answer: once, and the first answer counts.
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

// A trap where the platform calls the gateway back reaches no caller, only these events.
addEventListener("error", (event) => replaceIfTrapped(event.error));
addEventListener("unhandledrejection", (event) => replaceIfTrapped(event.reason));

// Requests without an answer.
const inFlight = new Set();

// One trap can arrive by several ways; it replaces the instance once.
const seen = new WeakSet();

// Puts a fresh instance in place of one that trapped; other errors leave it alone.
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
