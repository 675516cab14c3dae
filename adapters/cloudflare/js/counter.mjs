// The Durable Object that holds the counters of one partition. It owns atomicity and storage; the arithmetic is the
// core's, called as a pure function from old state to new state.

import { DurableObject } from "cloudflare:workers";
import * as gateway from "tollgate-wasm";
import { atOnce } from "./instance.mjs";

// Charges are kept in memory and written at most this often, so that a busy partition costs one row a second, not one a
// request. A machine that fails in between forgets at most the charges of this long. A quiet object writes before it
// is evicted, because the timer keeps it alive.
const WRITE_EVERY_MS = 1000;

export class TollgateCounter extends DurableObject {
  // As it is now, and as it is stored.
  #state = "";
  #written = "";
  #writing = false;
  #alarmed = false;

  constructor(context, env) {
    super(context, env);
    context.blockConcurrencyWhile(async () => {
      this.#state = this.#written = (await context.storage.get("state")) ?? "";
      this.#alarmed = (await context.storage.getAlarm()) !== null;
    });
  }

  // Makes all charges of the request, or none; answers the outcome. Both are the core's types as JSON.
  charge(request) {
    const [outcome, state] = atOnce(() => gateway.charge_counter(this.#state, request, Date.now()));
    this.#keep(state);
    return outcome;
  }

  // Gives back what the request charged.
  refund(request) {
    this.#keep(atOnce(() => gateway.refund_counter(this.#state, request, Date.now())));
  }

  // Deletes a state that says nothing any more, so that an idle partition costs nothing.
  async alarm() {
    this.#alarmed = false;
    const idleAt = this.#idleAt();
    if (idleAt > Date.now()) {
      this.#wakeAt(idleAt);
      return;
    }
    this.#state = this.#written = "";
    await this.ctx.storage.deleteAll();
  }

  #keep(state) {
    if (state === this.#state) return;
    this.#state = state;
    if (this.#writing) return;
    this.#writing = true;
    this.#write();
    setTimeout(() => {
      this.#writing = false;
      this.#write();
    }, WRITE_EVERY_MS);
  }

  #write() {
    if (this.#state === this.#written) return;
    this.#written = this.#state;
    this.ctx.storage.put("state", this.#state, { allowUnconfirmed: true });
    if (!this.#alarmed) this.#wakeAt(this.#idleAt());
  }

  #idleAt() {
    return atOnce(() => gateway.counter_idle_at(this.#state));
  }

  #wakeAt(time) {
    this.#alarmed = true;
    this.ctx.storage.setAlarm(Math.max(time, Date.now() + WRITE_EVERY_MS), { allowUnconfirmed: true });
  }
}
