// The Durable Object of one cell. It provides atomicity and storage; the effect of an update is defined in core, in a
// small separate wasm module that all objects of an isolate share. It does not interpret requests, replies and states.

import { DurableObject } from "cloudflare:workers";
import module from "tollgate-counter-wasm";

// Changes are kept in memory and written at most once in this interval, so that a busy cell costs one row per second
// instead of one per request. If the machine fails, at most the changes of this interval are lost. Changes that must
// not be lost are written before the reply. An idle object writes before it is evicted, because the timer keeps it
// alive.
const WRITE_EVERY_MS = 1000;

// A state is kept for at least this time: that of a fast limit has no information after milliseconds, and a busy cell would
// be deleted and created again each second.
const KEEP_MS = 60_000;

const NOTHING = new Uint8Array();

export class TollgateCounter extends DurableObject {
  // The current and the stored state.
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

  // Applies an update to the cell, and returns the reply. Both are text with a character for each byte, because a call with
  // strings costs a fifth less than one with bytes.
  update(request) {
    const { answer, state, writeThrough } = applied(this.#state, request, Date.now());
    if (state !== undefined) this.#keep(state, writeThrough);
    return answer;
  }

  // Deletes a state that has no information any more, so that an idle cell costs nothing.
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
    // The platform delays the reply until this is stored.
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
    // A cell that never becomes idle by time needs no alarm.
    if (time === Infinity) return;
    this.#alarmed = true;
    this.ctx.storage.setAlarm(Math.max(time, Date.now() + KEEP_MS), UNCONFIRMED);
  }
}

const UNCONFIRMED = { allowUnconfirmed: true };

// Calls of the module

function applied(state, request, now) {
  return called((counter) => {
    put(counter, state, request);
    const result = counter.cell_update(state.length, now) >>> 0;
    const output = new Uint8Array(counter.memory.buffer, counter.cell_output(), counter.cell_output_bytes());
    const bytes = result >>> 2;
    return { answer: text(output, bytes), state: result & 1 ? output.slice(bytes) : undefined, writeThrough: (result & 2) !== 0 };
  });
}

function idleAt(state) {
  return called((counter) => {
    put(counter, state, "");
    return counter.cell_idle_at(state.length);
  });
}

function put(counter, state, request) {
  const bytes = state.length + request.length;
  // Reserved first: the memory may grow, which replaces its buffer.
  const place = counter.cell_input(bytes);
  const input = new Uint8Array(counter.memory.buffer, place, bytes);
  input.set(state);
  for (let at = 0; at < request.length; at += 1) input[state.length + at] = request.charCodeAt(at);
}

// The first bytes, a character for each.
function text(output, bytes) {
  let text = "";
  for (let at = 0; at < bytes; at += 1) text += String.fromCharCode(output[at]);
  return text;
}

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
