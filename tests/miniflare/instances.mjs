// Keeps references to the worker's wasm instances, so that a test can break one. Imported before the worker.

import trap from "./trap.wasm";

const Real = WebAssembly.Instance;
const { unreachable } = new Real(trap).exports;
let latest;

WebAssembly.Instance = class extends Real {
  constructor(module, imports) {
    // A module without imports is not the gateway, and has no call out to break at.
    if (imports === undefined) return new Real(module);
    const state = { broken: false };
    super(module, breakable(imports, state));
    latest = state;
  }
};

// Makes the newest instance trap in wasm at its next call to JavaScript, like a panic.
export function breakLatest() {
  if (latest === undefined) throw new Error("the worker has created no instance");
  latest.broken = true;
}

function breakable(imports, state) {
  const guarded = (call) => (...args) => state.broken ? unreachable() : call(...args);
  const entries = (of, change) => Object.fromEntries(Object.entries(of).map(([name, value]) => [name, change(value)]));
  return entries(imports, (module) => entries(module, (value) => typeof value === "function" ? guarded(value) : value));
}
