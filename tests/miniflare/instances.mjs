// Keeps hold of the wasm instances that the worker makes, so that a test can break one. Imported before the worker.

import trap from "./trap.wasm";

const Real = WebAssembly.Instance;
let latest;

WebAssembly.Instance = class extends Real {
  constructor(...args) {
    super(...args);
    latest = this;
  }
};

// Puts a function that traps in every place of the newest instance's function table: its next indirect call is a trap
// in wasm, as a panic is.
export function breakLatest() {
  const tables = Object.values(latest?.exports ?? {}).filter((value) => value instanceof WebAssembly.Table);
  const broken = tables.filter((table) => breakTable(table));
  if (broken.length === 0) throw new Error("the instance exports no function table");
}

function breakTable(table) {
  let functions = 0;
  for (let at = 0; at < table.length; at++) {
    if (typeof table.get(at) !== "function") continue;
    table.set(at, unreachable);
    functions++;
  }
  return functions > 0;
}

const { unreachable } = new Real(trap).exports;
