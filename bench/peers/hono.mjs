// The reference for a route with a key and a limit: what one would write by hand with Hono. The key is looked up in memory by
// its digest, each request is charged at the Durable Object of its consumer, and the request is forwarded with the fields
// that Tollgate sets.

import { DurableObject } from "cloudflare:workers";
import { Hono } from "hono";

import { forward } from "./hono-forward.mjs";

const app = new Hono();

// Consumers by the digest of their key; read once, as from a store.
let consumers;

async function known(env) {
  consumers ??= new Map([[await digest(env.KEY), "acme"]]);
  return consumers;
}

async function digest(key) {
  const bytes = new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(key)));
  return bytes.toHex?.() ?? Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

app.use("/keyed", async (c, next) => {
  const key = c.req.header("x-api-key");
  const consumer = key === undefined ? undefined : (await known(c.env)).get(await digest(key));
  if (consumer === undefined) return c.json({ title: "A credential is required.", status: 401 }, 401);
  const { allowed, remaining } = await c.env.TOLLGATE_COUNTERS.getByName(consumer).take(1_000_000, 1_000_000);
  if (!allowed) return c.json({ title: "The limit is exhausted.", status: 429 }, 429);
  c.set("ratelimit", `"wide";r=${remaining};t=1`);
  await next();
});

app.get("*", forward);

export default app;

// The bucket of one consumer, in memory.
export class TollgateCounter extends DurableObject {
  #full = 0;

  take(rate, burst) {
    const now = Date.now();
    const full = Math.max(this.#full, now) + 1000 / rate;
    const remaining = Math.floor(burst - ((full - now) * rate) / 1000);
    if (remaining < 0) return { allowed: false, remaining: 0 };
    this.#full = full;
    return { allowed: true, remaining };
  }
}
