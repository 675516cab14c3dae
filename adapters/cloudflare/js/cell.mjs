// The calls of the module that applies updates to cells (adapters/cloudflare/counter).

import module from "tollgate-counter-wasm";
import { copyBytes, textOf } from "tollgate-text";

// A cell that the module has decoded: a busy cell records its recent updates, and to decode and encode these takes longer than
// an update.
export class OpenCell {
  #counter;
  #number;

  constructor(state) {
    called((counter) => {
      put(counter, state.length).set(state);
      this.#counter = counter;
      this.#number = counter.cell_open();
    });
  }

  // The reply to a request, as text; undefined if the module does not have the cell any more.
  update(request, now) {
    return called((counter) => {
      if (counter !== this.#counter) return undefined;
      copyBytes(request, put(counter, request.length));
      const result = counter.cell_update(this.#number, now);
      if (result === NOT_OPEN) return undefined;
      return { answer: textOf(output(counter, result >>> 2)), isChanged: (result & CHANGED) !== 0, writeThrough: (result & WRITE_THROUGH) !== 0 };
    });
  }

  // The state to store; undefined if the module does not have the cell any more.
  state() {
    return called((counter) => {
      const bytes = counter === this.#counter ? counter.cell_state(this.#number) : 0;
      return bytes === 0 ? undefined : output(counter, bytes).slice();
    });
  }

  close() {
    called((counter) => {
      if (counter === this.#counter) counter.cell_close(this.#number);
    });
  }
}

const CHANGED = 1;
const WRITE_THROUGH = 2;
const NOT_OPEN = -1;

// When a state may be deleted, in milliseconds since the epoch.
export function idleAt(state) {
  return called((counter) => {
    put(counter, state.length).set(state);
    return counter.cell_idle_at();
  });
}

// The place of the input. It is reserved first: the memory may grow, which replaces its buffer.
function put(counter, bytes) {
  const place = counter.cell_input(bytes);
  return new Uint8Array(counter.memory.buffer, place, bytes);
}

const output = (counter, bytes) => new Uint8Array(counter.memory.buffer, counter.cell_output(), bytes);

// One instance for all objects of the isolate; an instance that trapped is never used again.
let instance;

function called(call) {
  instance ??= new WebAssembly.Instance(module).exports;
  try {
    return call(instance);
  } catch (error) {
    console.error(`the counter's module failed and is replaced: ${error.message}`);
    instance = undefined;
    throw error;
  }
}
