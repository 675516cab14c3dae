// The Durable Object of one cell. It owns atomicity and storage; what an update means is core's, in a small wasm module of
// its own that all objects of an isolate share. Requests, answers and states are bytes to it.

import { DurableObject } from "cloudflare:workers";
import module from "tollgate-counter-wasm";

// Changes are kept in memory and written at most this often, so that a busy cell costs one row a second, not one a request.
// A machine that fails in between forgets at most the changes of this long. What has to outlive that is written before it
// is answered. A quiet object writes before it is evicted, because the timer keeps it alive.
const WRITE_EVERY_MS = 1000;

const NOTHING = new Uint8Array();

export class TollgateCounter extends DurableObject {
  // As it is now, and as it is stored.
  #state = NOTHING;
  #written = NOTHING;
  #writing = false;
  #alarmed = false;

  constructor(context, env) {
    super(context, env);
    context.blockConcurrencyWhile(async () => {
      this.#state = this.#written = (await context.storage.get("state")) ?? NOTHING;
      this.#alarmed = (await context.storage.getAlarm()) !== null;
    });
  }

  // Applies an update to the cell, and answers what came of it.
  update(request) {
    const { answer, state, writeThrough } = applied(this.#state, request, Date.now());
    if (state !== undefined) this.#keep(state, writeThrough);
    return answer;
  }

  // Deletes a state that says nothing any more, so that an idle cell costs nothing.
  async alarm() {
    this.#alarmed = false;
    const time = idleAt(this.#state);
    if (time > Date.now()) {
      this.#wakeAt(time);
      return;
    }
    this.#state = this.#written = NOTHING;
    await this.ctx.storage.deleteAll();
  }

  #keep(state, writeThrough) {
    this.#state = state;
    // Until this is stored the platform holds back the answer.
    if (writeThrough) return this.#write({});
    if (this.#writing) return;
    this.#writing = true;
    this.#write(UNCONFIRMED);
    setTimeout(() => {
      this.#writing = false;
      this.#write(UNCONFIRMED);
    }, WRITE_EVERY_MS);
  }

  #write(options) {
    if (this.#state === this.#written) return;
    this.#written = this.#state;
    this.ctx.storage.put("state", this.#state, options);
    if (!this.#alarmed) this.#wakeAt(idleAt(this.#state));
  }

  #wakeAt(time) {
    // A cell that is never idle by itself needs no alarm.
    if (time === Infinity) return;
    this.#alarmed = true;
    this.ctx.storage.setAlarm(Math.max(time, Date.now() + WRITE_EVERY_MS), UNCONFIRMED);
  }
}

const UNCONFIRMED = { allowUnconfirmed: true };

// The module's calls

function applied(state, request, now) {
  return called((counter) => {
    put(counter, state, request);
    const told = counter.cell_update(state.length, now) >>> 0;
    const output = new Uint8Array(counter.memory.buffer, counter.cell_output(), counter.cell_output_bytes());
    const answer = output.slice(0, told >>> 2);
    return { answer, state: told & 1 ? output.slice(told >>> 2) : undefined, writeThrough: (told & 2) !== 0 };
  });
}

function idleAt(state) {
  return called((counter) => {
    put(counter, state, NOTHING);
    return counter.cell_idle_at(state.length);
  });
}

function put(counter, state, request) {
  const bytes = state.length + request.length;
  // Asked for first: the memory may grow, and its buffer is another one then.
  const place = counter.cell_input(bytes);
  const input = new Uint8Array(counter.memory.buffer, place, bytes);
  input.set(state);
  input.set(request, state.length);
}

// One instance for all objects of the isolate; one that trapped is never used again.
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
