// Wraps the built worker in tests: makes its stores fail, its counters reset, its records eventually consistent and its
// module trap on command, and counts the calls of its counters. It is not part of the product. It gives the worker a proxy of `env` and of `caches`, and never changes content.

import { WorkerEntrypoint } from "cloudflare:workers";
import { breakLatest } from "./instances.mjs";
import worker, { TollgateCounter as Counter } from "./worker.mjs";

// The object; so many of the next calls reset it, as a deployment does.
export class TollgateCounter extends Counter {
  update(request) {
    calls += 1;
    if (resets > 0) {
      resets -= 1;
      this.ctx.abort("the object is reset by the test");
    }
    return super.update(request);
  }
}

let resets = 0;

// The calls of all objects until now.
let calls = 0;

const faults = { records: false, counters: false, cache: false };

// What was read from the record store, misses too, and when: Workers KV answers so for up to a minute, miniflare's does not.
const reads = new Map();
let rememberReadsMs = 0;

export default {
  async fetch(request, env, context) {
    if (env.TOLLGATE_AWAIT_RECORDS && !published) await untilPublished(env);
    return worker.fetch(withAddress(request), withFaults(env), context);
  },
};

// The socket is open before anything can be stored: the first requests wait for the first bundle, with a timeout.
let published = false;

async function untilPublished(env) {
  const end = Date.now() + PUBLISHED_WITHIN_MS;
  while (!published && Date.now() < end) {
    published = (await env.TOLLGATE_RECORDS.get(`${env.TOLLGATE_GATEWAY}:config:active`)) !== null;
    if (!published) await new Promise((resolve) => setTimeout(resolve, 20));
  }
  published = true;
}

const PUBLISHED_WITHIN_MS = 5000;

// Accepts the launcher's commands, on a separate socket.
export class Control extends WorkerEntrypoint {
  async fetch(request) {
    const command = await request.json();
    if (command.fault) Object.assign(faults, command.fault);
    if (command.rememberReadsMs !== undefined) {
      rememberReadsMs = command.rememberReadsMs;
      reads.clear();
    }
    if (command.resetCounters !== undefined) resets = command.resetCounters;
    if (command.trap) breakLatest();
    return Response.json(command.countCalls ? { calls } : {});
  }
}

// Stands for a certificate of the gateway: it sends requests over plain HTTP, with a field that says which certificate it was.
export class Presenting extends WorkerEntrypoint {
  fetch(request) {
    const sent = new Request(request.url.replace("https:", "http:"), request);
    sent.headers.set("test-presented", "GATEWAY_CERTIFICATE");
    return fetch(sent);
  }
}

// Cloudflare always sets the client's address; a test may set another.
function withAddress(request) {
  const tls = request.headers.get("test-tls-client-auth");
  const location = request.headers.get("test-location");
  if (request.headers.has("cf-connecting-ip") && tls === null && location === null) return request;
  const headers = new Headers(request.headers);
  headers.set("cf-connecting-ip", headers.get("cf-connecting-ip") ?? "127.0.0.1");
  if (tls === null && location === null) return new Request(request, { headers });
  // What Cloudflare says of the client's certificate, and of where the client is.
  headers.delete("test-tls-client-auth");
  headers.delete("test-location");
  const cf = { ...JSON.parse(location ?? "{}"), tlsClientAuth: JSON.parse(tls ?? "{}") };
  return new Request(request, { headers, cf });
}

function withFaults(env) {
  return {
    ...env,
    TOLLGATE_RECORDS: failing(remembering(env.TOLLGATE_RECORDS), "records", ["get", "getWithMetadata", "list", "put"]),
    TOLLGATE_COUNTERS: failing(env.TOLLGATE_COUNTERS, "counters", ["get", "getByName"]),
  };
}

const cache = failing(caches.default, "cache", ["match", "put", "delete"]);
Object.defineProperty(globalThis, "caches", { value: { default: cache, open: async () => cache }, configurable: true });

// The store; while it remembers reads, a key is answered with the value that was read before.
function remembering(store) {
  return new Proxy(store, {
    get(target, property) {
      const value = target[property];
      if (typeof value !== "function") return value;
      if (property !== "get" || rememberReadsMs === 0) return value.bind(target);
      return async (key, options) => {
        const known = reads.get(key);
        if (known !== undefined && Date.now() - known.at < rememberReadsMs) return known.value;
        const read = await target.get(key, options);
        reads.set(key, { value: read, at: Date.now() });
        return read;
      };
    },
  });
}

// The store; while its fault is active, the named methods fail like the platform's: later, by rejection.
function failing(store, name, methods) {
  return new Proxy(store, {
    get(target, property) {
      const value = target[property];
      if (typeof value !== "function") return value;
      if (faults[name] && methods.includes(property)) return failure(name, property);
      return value.bind(target);
    },
  });
}

function failure(name, method) {
  const fail = async () => {
    throw new Error(`${name} are switched off by the test`);
  };
  // Getting a Durable Object's stub always succeeds; the call on it fails.
  return name === "counters" ? () => new Proxy({}, { get: () => fail }) : fail;
}
