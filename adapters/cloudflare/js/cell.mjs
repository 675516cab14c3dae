// The calls of the module that applies updates to cells (adapters/cloudflare/counter).

import module from "tollgate-counter-wasm";
import { copyBytes, textOf } from "tollgate-text";

// A cell that the module has decoded: a busy cell records its recent updates, and to decode and encode these takes longer than
// an update. If the module has lost it, it goes on from the last state that was taken. The module closes no cell with newer
// changes, so only one that trapped loses any; after the first such failure, the state is taken with each reply.
export class OpenCell {
  #state;
  #counter;
  #number;

  constructor(state) {
    this.#state = state;
  }

  // The reply to a request, as text.
  update(request, now) {
    return called((counter) => {
      const result = this.#apply(counter, request, now);
      const answer = textOf(output(counter, result >>> 3));
      if ((result & TAKE) !== 0 || (hasFailed && (result & CHANGED) !== 0)) this.#take(counter);
      return { answer, isChanged: (result & CHANGED) !== 0, writeThrough: (result & WRITE_THROUGH) !== 0 };
    });
  }

  #apply(counter, request, now) {
    if (counter !== this.#counter) this.#open(counter);
    copyBytes(request, put(counter, request.length));
    const result = counter.cell_update(this.#number, now);
    if (result !== NOT_OPEN) return result;
    this.#counter = undefined;
    return this.#apply(counter, request, now);
  }

  #open(counter) {
    put(counter, this.#state.length).set(this.#state);
    this.#number = counter.cell_open();
    this.#counter = counter;
  }

  // The state to store.
  state() {
    return called((counter) => {
      this.#take(counter);
      return this.#state;
    });
  }

  #take(counter) {
    const bytes = counter === this.#counter ? counter.cell_state(this.#number) : 0;
    if (bytes !== 0) this.#state = output(counter, bytes).slice();
  }

  close() {
    called((counter) => {
      if (counter === this.#counter) counter.cell_close(this.#number);
    });
  }
}

const CHANGED = 1;
const WRITE_THROUGH = 2;
const TAKE = 4;
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
let hasFailed = false;

function called(call) {
  instance ??= new WebAssembly.Instance(module).exports;
  try {
    return call(instance);
  } catch (error) {
    console.error(`the counter's module failed and is replaced: ${error.message}`);
    instance = undefined;
    hasFailed = true;
    throw error;
  }
}
