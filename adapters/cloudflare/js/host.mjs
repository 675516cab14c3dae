// What the Rust side of the adapter asks of the platform: one call each, so that a request crosses between wasm and
// JavaScript a few times and its content never. Fields come to Rust as one string, `name\nvalue\n` for each line. What goes
// out is the message that came, copied and edited, as copying costs the platform less than making all fields anew: edits are
// three lines each, `-`, `=` or `+` (remove, set, append), the name, the value. A message of the gateway's own has its fields
// as JSON, as an object or as pairs: the platform takes both.

import * as gateway from "tollgate-wasm";

// Promises

// Has the gateway told what the promise settles to; answers the number that it is told by. A trap on the way rejects
// the promise made here, which nobody else has: `js/instance.mjs` listens for that.
export function settleLater(promise) {
  const number = next;
  next = (next + 1) >>> 0;
  promise.then((value) => gateway.settle(number, value, true), (error) => gateway.settle(number, error, false));
  return number;
}

// Counted here and not in the gateway: an instance must not take what an earlier one waited for as its own.
let next = 0;

// Records

export async function kvGet(env, key, cacheTtl) {
  const value = await bound(env, "TOLLGATE_RECORDS").get(key, { type: "arrayBuffer", cacheTtl });
  return value === null ? undefined : new Uint8Array(value);
}

// An end that is nearer than KV's own minimum is moved there; without one the record stays.
export const kvPut = (env, key, value, keepSecs) =>
  bound(env, "TOLLGATE_RECORDS").put(key, value, keepSecs === undefined ? {} : { expirationTtl: Math.max(keepSecs, KEEP_SECS_MIN) });

const KEEP_SECS_MIN = 60;

function bound(env, name) {
  if (env[name] === undefined) throw new Error(`nothing is bound to ${name}; wrangler.toml names what should be`);
  return env[name];
}

// Counters

export const updateCell = (env, name, request) => bound(env, "TOLLGATE_COUNTERS").getByName(name).update(request);

// Messages

export const requestHead = (request) => `${request.method}\n${request.url}\n${request.body !== null}\n${fieldsOf(request)}`;

export const responseHead = (response) => `${response.status}\n${fieldsOf(response)}`;

function fieldsOf(message) {
  let fields = "";
  for (const [name, value] of message.headers) fields += `${name}\n${value}\n`;
  return fields;
}

export const socketOf = (response) => response.webSocket ?? undefined;

function edit(headers, lines, from) {
  for (let at = from; at + 2 < lines.length; at += 3) {
    const kind = lines[at], name = lines[at + 1];
    if (kind === "=") headers.set(name, lines[at + 2]);
    else if (kind === "-") remove(headers, name);
    else headers.append(name, lines[at + 2]);
  }
}

// A name that is none cannot be there.
function remove(headers, name) {
  try {
    headers.delete(name);
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
  }
}

// The response that came with the edits, or a new one. `encodeBody: "manual"`: content is sent as it came, encoded or not.
export function responseOf(came, status, fields, body, webSocket) {
  const headers = came === undefined ? JSON.parse(fields) : came.headers;
  const content = body === undefined ? came.body : body;
  const response = new Response(content, { status, headers, encodeBody: "manual", webSocket });
  if (came !== undefined) edit(response.headers, fields.split("\n"), 0);
  return response;
}

export function answer(exchange, came, status, fields, body, webSocket) {
  try {
    exchange.resolve(responseOf(came, status, fields, body, webSocket));
  } catch (error) {
    exchange.reject(error);
  }
}

// Asks for time after the reply; the function that is answered says that it is over.
export function keepAlive(exchange) {
  const { promise, resolve } = Promise.withResolvers();
  exchange.context.waitUntil(promise);
  return resolve;
}

// Redirects are the client's to follow, encoded content is the client's to decode. The timeout covers the head: once the
// reply is given the platform streams on by itself, and no timer of this request lives any more.
export function send(came, head, body, timeoutMs) {
  const lines = head.split("\n");
  const [method, url] = lines;
  const timeout = timeoutMs === undefined ? undefined : AbortSignal.timeout(timeoutMs);
  const overflow = overflows.get(body);
  const signal = overflow && timeout ? AbortSignal.any([overflow.signal, timeout]) : (overflow?.signal ?? timeout);
  const init = { method, redirect: "manual", encodeResponseBody: "manual", signal };
  const sent = came === undefined ? made(url, init, lines[2], body) : edited(url, init, came, body, lines);
  return overflow ? limitedBy(overflow, sent) : sent;
}

const made = (url, init, fields, body) => fetch(url, { ...init, headers: JSON.parse(fields), body });

function edited(url, init, came, body, lines) {
  const content = body === undefined ? came.body : body;
  // A GET or HEAD can carry content only as a copy of the request that brought it.
  const carries = content !== null && (init.method === "GET" || init.method === "HEAD");
  const request = carries ? new Request(url, came) : new Request(url, { ...init, headers: came.headers, body: content });
  edit(request.headers, lines, 2);
  // How content is to be decoded is an option of the call, not of the request.
  return fetch(request, carries ? { ...init, method: undefined } : { encodeResponseBody: "manual" });
}

async function limitedBy(overflow, sent) {
  try {
    return await sent;
  } catch (error) {
    throw overflow.signal.aborted ? overflow.signal.reason : error;
  }
}

// Content

// The same content, failing once more than `max` bytes have passed. The failure has to break off the request that
// carries it: an upstream takes a stream that merely fails for a whole one.
export function limited(stream, max) {
  const overflow = new AbortController();
  let bytes = 0;
  const counted = stream.pipeThrough(new TransformStream({
    transform(chunk, controller) {
      bytes += chunk.byteLength;
      if (bytes <= max) return controller.enqueue(chunk);
      overflow.abort(new DOMException("the content passed its limit", OVERFLOW));
      throw overflow.signal.reason;
    },
  }));
  overflows.set(counted, overflow);
  return counted;
}

// All of the content where it is no more than `max` bytes; else the same content, what was read of it first.
export async function gather(stream, max) {
  const reader = stream.getReader();
  const chunks = [];
  let bytes = 0;
  while (bytes <= max) {
    const { done, value } = await reader.read();
    if (done) return new Uint8Array(await new Blob(chunks).arrayBuffer());
    bytes += value.byteLength;
    chunks.push(value);
  }
  const resumed = new ReadableStream({
    async pull(controller) {
      const chunk = chunks.length > 0 ? { value: chunks.shift() } : await reader.read();
      if (chunk.done) controller.close();
      else controller.enqueue(chunk.value);
    },
    cancel: (reason) => reader.cancel(reason),
  });
  const overflow = overflows.get(stream);
  if (overflow) overflows.set(resumed, overflow);
  return resumed;
}

const OVERFLOW = "QuotaExceededError";

// What breaks off the request that a limited stream is sent with.
const overflows = new WeakMap();

// Response cache

export const cacheMatch = (url) => caches.default.match(url);

// Stores an entry with its content once all of that is here: a stream that breaks off would be stored in part. Answers
// whether it was stored; content of more than `max` bytes is not.
export async function cachePut(url, meta, maxAge, copy, max) {
  const content = copy instanceof ReadableStream ? await gathered(copy, max) : copy;
  if (content === undefined || content?.byteLength > max) return false;
  const headers = { "cache-control": `public, max-age=${maxAge}`, [META]: meta, "content-type": "application/octet-stream" };
  await caches.default.put(url, new Response(content, { headers, encodeBody: "manual" }));
  return true;
}

async function gathered(stream, max) {
  const reader = stream.getReader();
  const chunks = [];
  let bytes = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return new Blob(chunks);
    bytes += value.byteLength;
    if (bytes > max) return void reader.cancel().catch(() => {});
    chunks.push(value);
  }
}

export const cachedMeta = (response) => response.headers.get(META) ?? undefined;

const META = "tollgate-meta";

// The gateway's own requests

// The head and the content of an answer, decoded; no content where it is more than `max` bytes.
export async function fetchOwn(head, content, timeoutMs, max) {
  const [method, url, fields] = head.split("\n");
  const signal = AbortSignal.timeout(timeoutMs);
  const body = content.byteLength > 0 ? content : undefined;
  const response = await fetch(url, { method, headers: JSON.parse(fields), body, redirect: "manual", signal });
  const answer = response.body === null ? new Uint8Array() : await gather(response.body, max);
  if (answer instanceof Uint8Array) return [responseHead(response), answer];
  answer.cancel().catch(() => {});
  return [responseHead(response)];
}

// Clock, entropy, telemetry

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

export async function post(url, fields, content, timeoutMs) {
  const signal = AbortSignal.timeout(timeoutMs);
  const response = await fetch(url, { method: "POST", headers: JSON.parse(fields), body: content, redirect: "manual", signal });
  await response.body?.cancel();
  return response.status;
}
