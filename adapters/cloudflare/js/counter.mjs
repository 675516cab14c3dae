// The Durable Object of one cell. It provides atomicity and storage; the effect of an update is defined in core, in a
// small separate wasm module that all objects of an isolate share. It does not interpret requests, replies and states.

import { DurableObject } from "cloudflare:workers";
import { OpenCell, idleAt } from "./cell.mjs";

// Changes are kept in memory and written at most once in this interval, so that a busy cell costs one row per second
// instead of one per request. If the machine or the module fails, at most the changes of this interval are lost.
// Changes that must not be lost are written before the reply. An idle object writes before it is evicted, because the
// timer keeps it alive.
const WRITE_EVERY_MS = 1000;

// A state is kept for at least this time: that of a fast limit has no information after milliseconds, and a busy cell would
// be deleted and created again each second.
const KEEP_MS = 60_000;

const NOTHING = new Uint8Array();

export class TollgateCounter extends DurableObject {
  // What is stored, or being stored.
  #stored = NOTHING;
  // The same with the changes since, while there are updates.
  #cell;
  #isChanged = false;
  #isWritten = false;
  #timer;
  #alarmed = false;

  constructor(context, env) {
    super(context, env);
    context.blockConcurrencyWhile(async () => {
      this.#stored = (await context.storage.get("state")) ?? NOTHING;
      this.#alarmed = (await context.storage.getAlarm()) !== null;
    });
  }

  // Applies an update to the cell, and returns the reply. Both are text with a character for each byte, because a call with
  // strings costs a fifth less than one with bytes.
  update(request) {
    if (this.#cell === undefined) this.#open();
    const { answer, isChanged, writeThrough } = this.#cell.update(request, Date.now());
    if (isChanged) this.#keep(writeThrough);
    return answer;
  }

  // Deletes a state that has no information any more, so that an idle cell costs nothing.
  async alarm() {
    this.#alarmed = false;
    this.#write(UNCONFIRMED);
    const time = idleAt(this.#stored);
    if (time > Date.now()) {
      this.#wakeAt(time);
      return;
    }
    this.#close();
    this.#stored = NOTHING;
    await this.ctx.storage.deleteAll();
  }

  #open() {
    this.#timer = setTimeout(() => this.#passInterval(), WRITE_EVERY_MS);
    this.#cell = new OpenCell(this.#stored);
  }

  #passInterval() {
    if (!this.#isChanged) return this.#close();
    // Before the write, which fails if the module does: later changes have to be written, too.
    this.#timer = setTimeout(() => this.#passInterval(), WRITE_EVERY_MS);
    this.#write(UNCONFIRMED);
  }

  #close() {
    clearTimeout(this.#timer);
    this.#cell?.close();
    this.#cell = undefined;
    this.#isChanged = this.#isWritten = false;
  }

  #keep(writeThrough) {
    this.#isChanged = true;
    // The platform delays the reply until this is stored.
    if (writeThrough) this.#write({});
    else if (!this.#isWritten) this.#write(UNCONFIRMED);
  }

  #write(options) {
    if (!this.#isChanged) return;
    this.#stored = this.#cell.state();
    this.#isChanged = false;
    this.#isWritten = true;
    this.ctx.storage.put("state", this.#stored, options);
    if (!this.#alarmed) this.#wakeAt(idleAt(this.#stored));
  }

  #wakeAt(time) {
    // A cell that never becomes idle by time needs no alarm.
    if (time === Infinity) return;
    this.#alarmed = true;
    this.ctx.storage.setAlarm(Math.max(time, Date.now() + KEEP_MS), UNCONFIRMED);
  }
}

const UNCONFIRMED = { allowUnconfirmed: true };
