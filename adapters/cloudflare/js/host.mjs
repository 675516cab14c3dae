// The platform calls for the Rust side of the adapter: one function each, so that a request crosses between wasm and
// JavaScript only a few times, and its content never. Fields are passed to Rust as one string, `name\nvalue\n` for each
// line. The sent message is the received one, copied and edited, because that is cheaper for the platform than building
// all fields again: edits are three lines each, `-`, `=` or `+` (remove, set, append), the name, the value. A message
// that the gateway generates has its fields as JSON, as an object or as pairs: the platform accepts both.

import * as gateway from "tollgate-wasm";
import { copyBytes, textOf } from "tollgate-text";

// Promises

// Passes the result of the promise to the gateway; returns the number that identifies it. A trap in the gateway rejects
// the promise created here, which has no other listener; `js/instance.mjs` handles that.
export function settleLater(promise) {
  const number = next;
  next = (next + 1) >>> 0;
  promise.then((value) => gateway.settle(number, value, true), (error) => gateway.settle(number, error, false));
  return number;
}

// Counted here and not in the gateway, so that an instance never gets the result of an earlier instance's promise.
let next = 0;

// Records

export async function kvGet(env, key, cacheTtl) {
  const value = await bound(env, "TOLLGATE_RECORDS").get(key, { type: "arrayBuffer", cacheTtl });
  return value === null ? undefined : new Uint8Array(value);
}

// An expiry below KV's minimum is raised to it; without an expiry the record is kept.
export const kvPut = (env, key, value, keepSecs) =>
  bound(env, "TOLLGATE_RECORDS").put(key, value, keepSecs === undefined ? {} : { expirationTtl: Math.max(keepSecs, KEEP_SECS_MIN) });

const KEEP_SECS_MIN = 60;

// The cursor, and the keys, a line each: names of records have no line breaks.
export async function kvList(env, prefix, cursor, limit) {
  const page = await bound(env, "TOLLGATE_RECORDS").list({ prefix, cursor, limit });
  return [page.list_complete ? "" : page.cursor, ...page.keys.map((key) => key.name)].join("\n");
}

function bound(env, name) {
  if (env[name] === undefined) throw new Error(`nothing is bound to ${name}; wrangler.toml names what should be`);
  return env[name];
}

// Counters

export const updateCell = (env, name, request) => bound(env, "TOLLGATE_COUNTERS").getByName(name).update(textOf(request));

export { copyBytes };

// Messages

// A head has no fields that the gateway usually does not read (`unread`): they stay in the copy, and are passed on request.
// Nothing is left out if the fields could exceed a bound or be removed by `Connection`.

export const requestHead = (request) =>
  `${request.method}\n${request.url}\n${request.body !== null}\n${readFields(request, gateway.UnreadIn.Request)}`;

export const responseHead = (response) => `${response.status}\n${readFields(response, gateway.UnreadIn.Response)}`;

function readFields(message, unreadIn) {
  const names = unread(unreadIn);
  let fields = "", others = "", lines = 0, characters = 0;
  for (const [name, value] of message.headers) {
    lines += 1;
    characters += name.length + value.length;
    if (name === "connection" && !PERSISTENCE.test(value)) return allFields(message.headers);
    if (isLeftOut(name, value, names)) others += `${name}\n${value}\n`;
    else fields += `${name}\n${value}\n`;
  }
  if (lines > LINES_USUAL || characters > CHARACTERS_USUAL) return allFields(message.headers);
  latest = { message, others };
  return fields;
}

// The latest message that was read, and its fields that were left out: usually they are asked for at once, or never.
let latest;

// Far below every bound of core for the lines and bytes of fields.
const LINES_USUAL = 50;
const CHARACTERS_USUAL = 8192;

// `Connection` that names no fields.
const PERSISTENCE = /^(keep-alive|close)$/i;

// A value that the gateway does not accept is never left out.
const isLeftOut = (name, value, unread) => unread.has(name) && !CONTROL.test(value);

const CONTROL = /[\0-\x08\x0a-\x1f\x7f]/;

function allFields(headers) {
  let fields = "";
  for (const [name, value] of headers) fields += `${name}\n${value}\n`;
  return fields;
}

// The fields that a head does not have, and some that it may have.
export function leftOut(message, unreadIn) {
  if (latest?.message === message) return latest.others;
  const names = unread(unreadIn);
  let fields = "";
  for (const [name, value] of message.headers) {
    if (isLeftOut(name, value, names)) fields += `${name}\n${value}\n`;
  }
  return fields;
}

// The names of fields that are usually not read in a kind of message; core has the lists.
function unread(kind) {
  return (unreadNames[kind] ??= new Set(gateway.unreadFields(kind).split("\n")));
}

const unreadNames = [];

// What the platform says of the client's certificate, a line each; nothing if the client has presented none.
export function clientCertificate(request) {
  const tls = request.cf?.tlsClientAuth;
  if (tls?.certPresented !== "1") return undefined;
  const said = [
    tls.certVerified, tls.certRevoked, tls.certRFC9440, tls.certFingerprintSHA256, tls.certIssuerDNRFC2253, tls.certSubjectDNRFC2253,
  ];
  return said.map((text) => String(text ?? "").replaceAll("\n", " ")).join("\n");
}

// Where the platform says that the client is: the code of the country and the number of the autonomous system.
export const clientLocation = ({ cf }) => cf && `${cf.country ?? ""} ${cf.asn ?? ""}`;

export const socketOf = (response) => response.webSocket ?? undefined;

function edit(headers, lines, from) {
  for (let at = from; at + 2 < lines.length; at += 3) {
    const kind = lines[at], name = lines[at + 1];
    if (kind === "=") headers.set(name, lines[at + 2]);
    else if (kind === "-") remove(headers, name);
    else headers.append(name, lines[at + 2]);
  }
}

// A field with an invalid name cannot be present.
function remove(headers, name) {
  try {
    headers.delete(name);
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
  }
}

// The received response with the edits, or a new one. `encodeBody: "manual"`: content is sent unchanged, encoded or
// not.
export function responseOf(received, status, fields, body, webSocket) {
  const headers = received === undefined ? JSON.parse(fields) : received.headers;
  const content = body === undefined ? received.body : body;
  const response = new Response(content, { status, headers, encodeBody: "manual", webSocket });
  if (received !== undefined) edit(response.headers, fields.split("\n"), 0);
  return response;
}

export function answer(exchange, received, status, fields, body, webSocket) {
  try {
    exchange.resolve(responseOf(received, status, fields, body, webSocket));
  } catch (error) {
    exchange.reject(error);
  }
}

// Requests time after the reply, or after the client has hung up; the returned function ends it.
export function keepAlive(exchange) {
  const { promise, resolve } = Promise.withResolvers();
  exchange.context.waitUntil(promise);
  return resolve;
}

// Redirects are followed by the client, encoded content is decoded by the client. The timeout covers the head, and the content
// as long as the gateway reads it: after the reply the platform streams by itself, and timers of this request no longer run.
export function send(received, head, body, timeoutMs, env, certificate) {
  const via = certificate === undefined ? globalThis : presenting(env, certificate);
  const lines = head.split("\n");
  const timeout = timeoutMs === undefined ? undefined : AbortSignal.timeout(timeoutMs);
  const overflow = body === undefined ? counted(received) : overflows.get(body);
  const signal = overflow && timeout ? AbortSignal.any([overflow.signal, timeout]) : (overflow?.signal ?? timeout);
  const sent = received === undefined ? made(via, lines, body, signal) : edited(via, lines, received, body, signal);
  return overflow ? limitedBy(overflow, sent) : sent;
}

// Content is passed on as it is, encoded or not. The platform's own cache is never used: whether a response is stored is the
// gateway's decision, and "bypass" must be true. `cache: "no-store"` would do the same and add `Cache-Control` and `Pragma`
// to the request.
const SENT = { encodeResponseBody: "manual", cf: { cacheTtl: -1 } };

// A binding whose `fetch` presents a certificate of the gateway.
function presenting(env, name) {
  if (typeof env[name]?.fetch === "function") return env[name];
  throw Object.assign(new Error(`${name} is not bound to a certificate`), { name: "CertificateMissingError" });
}

const made = (via, [method, url, fields], body, signal) =>
  via.fetch(url, { ...SENT, method, redirect: "manual", headers: JSON.parse(fields), body, signal });

// The copy of a received request costs less than other forms, and it is the only one with which a GET or HEAD can have
// content. Its redirects are `manual`, as those of every received request.
function edited(via, lines, received, body, signal) {
  const [method, url] = lines;
  if (body !== undefined && (body !== null || received.body !== null)) return replaced(via, lines, received, body, signal);
  const request = new Request(url, received);
  edit(request.headers, lines, 2);
  // With these methods, workerd sends content without a length only if this field is there.
  if (body === undefined && (method === "GET" || method === "HEAD") && !request.headers.has("content-length")) {
    request.headers.set("transfer-encoding", "chunked");
  }
  return via.fetch(request, signal === undefined ? SENT : { ...SENT, signal });
}

// The received request with other content.
function replaced(via, lines, received, body, signal) {
  const [method, url] = lines;
  const headers = new Headers(received.headers);
  edit(headers, lines, 2);
  return via.fetch(url, { ...SENT, method, redirect: "manual", headers, body, signal });
}

async function limitedBy(overflow, sent) {
  try {
    return await sent;
  } catch (error) {
    throw overflow.signal.aborted ? overflow.signal.reason : error;
  }
}

// Content

// The same content, which fails when more than `max` bytes have passed. The failure also has to abort the request:
// otherwise an upstream takes a failed stream for a complete one.
export function limited(stream, max) {
  const overflow = new AbortController();
  let bytes = 0;
  const counted = stream.pipeThrough(new TransformStream({
    transform(chunk, controller) {
      bytes += chunk.byteLength;
      if (bytes <= max) return controller.enqueue(chunk);
      exceed(overflow);
      throw overflow.signal.reason;
    },
  }));
  overflows.set(counted, overflow);
  return counted;
}

// The same content, and a promise of how many bytes of it were delivered, and of how that ended. A write to the platform's own
// stream ends when the chunk is taken, so what a client that hangs up has not got is not counted. With the length of the content,
// the message keeps its `Content-Length`.
export function watched(stream, length) {
  const { readable, writable } = length === undefined ? new IdentityTransformStream() : new FixedLengthStream(length);
  const overflow = overflows.get(stream);
  if (overflow) overflows.set(readable, overflow);
  return [readable, deliver(stream.getReader(), writable.getWriter())];
}

// The bytes, and 0 if all of them were delivered, 1 if the sender and 2 if the receiver has ended it.
async function deliver(reader, writer) {
  let bytes = 0, end = 1;
  try {
    for (;;) {
      const { done, value } = await reader.read();
      end = 2;
      if (done) break;
      await writer.write(value);
      bytes += value.byteLength;
      end = 1;
    }
    await writer.close();
    return [bytes, 0];
  } catch (error) {
    (end === 1 ? writer.abort(error) : reader.cancel(error)).catch(() => {});
    return [bytes, end];
  }
}

// The length that a message declares.
export function declaredLength(message) {
  const length = message.headers.get("content-length");
  return length === null ? undefined : Number(length);
}

// As `limited` for a GET or HEAD, whose content cannot be replaced by another stream: a copy of it is counted. What the
// upstream has not read yet is kept in memory, which the limit bounds.
export function limit(request, max) {
  limits.set(request, max);
}

// Counted when it is sent, so that nothing is kept in memory for a request that is refused before that.
function counted(request) {
  const max = limits.get(request);
  if (max === undefined) return undefined;
  const overflow = new AbortController();
  count(request.clone().body, max, overflow);
  return overflow;
}

const limits = new WeakMap();

async function count(stream, max, overflow) {
  let bytes = 0;
  try {
    for await (const chunk of stream) {
      bytes += chunk.byteLength;
      if (bytes > max) return exceed(overflow);
    }
  } catch {
    // The client has disconnected, which ends the content that is forwarded too.
  }
}

const exceed = (overflow) => overflow.abort(new DOMException("the content exceeded its limit", OVERFLOW));

// All of the content if it has at most `max` bytes; otherwise the same content, beginning with the part that was read.
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

// The controllers that abort the request of a limited stream.
const overflows = new WeakMap();

// Response cache

export const cacheMatch = (url) => caches.default.match(url);

// All of a copy, when it has arrived: an interrupted stream would be stored partially. Undefined if it has more than `max`
// bytes.
export async function gatherCopy(copy, max) {
  if (!(copy instanceof ReadableStream)) return lengthOf(copy) > max ? undefined : copy;
  const reader = copy.getReader();
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

export const lengthOf = (content) => content?.size ?? content?.byteLength ?? 0;

export function cachePut(url, meta, maxAge, content) {
  const headers = { "cache-control": `public, max-age=${maxAge}`, [META]: meta, "content-type": "application/octet-stream" };
  return caches.default.put(url, new Response(content, { headers, encodeBody: "manual" }));
}

export const cachedMeta = (response) => response.headers.get(META) ?? undefined;

const META = "tollgate-meta";

// Requests that the gateway itself makes

// The head and the decoded content of an answer; no content if it has more than `max` bytes.
export async function fetchOwn(head, content, timeoutMs, max) {
  const [method, url, fields] = head.split("\n");
  const signal = AbortSignal.timeout(timeoutMs);
  const body = content.byteLength > 0 ? content : undefined;
  const response = await fetch(url, { method, headers: JSON.parse(fields), body, redirect: "manual", signal, cf: SENT.cf });
  const answered = `${response.status}\n${allFields(response.headers)}`;
  const answer = response.body === null ? new Uint8Array() : await gather(response.body, max);
  if (answer instanceof Uint8Array) return [answered, answer];
  answer.cancel().catch(() => {});
  return [answered];
}

// Signatures

// The bytes are copied at once: they are those of the gateway's memory, which may move. A key that the platform refuses
// verifies nothing.
export async function verify(algorithm, jwk, message, signature) {
  const [of, how] = ALGORITHMS[algorithm];
  const copies = [signature.slice(), message.slice()];
  let key;
  try {
    key = await imported(algorithm, jwk, of);
  } catch {
    return false;
  }
  return crypto.subtle.verify(how, key, ...copies);
}

// The gateway's own signatures: some in an hour, so its keys are not kept.
export async function sign(algorithm, jwk, message) {
  const [of, how] = ALGORITHMS[algorithm];
  const copy = message.slice();
  const key = await crypto.subtle.importKey("jwk", JSON.parse(jwk), of, false, ["sign"]);
  return crypto.subtle.sign(how, key, copy);
}

// Encrypts, or decrypts; what cannot be decrypted is nothing. Sessions are remembered, so the keys are not kept.
export async function cipher(seals, key, nonce, content) {
  const [iv, copy] = [nonce.slice(), content.slice()];
  const imported = await crypto.subtle.importKey("raw", key.slice(), "AES-GCM", false, ["encrypt", "decrypt"]);
  if (seals) return crypto.subtle.encrypt({ name: "AES-GCM", iv }, imported, copy);
  return crypto.subtle.decrypt({ name: "AES-GCM", iv }, imported, copy).catch(() => undefined);
}

export const digest = (name, content) => crypto.subtle.digest(name, content.slice());

// To import a key takes longer than to verify with it.
function imported(algorithm, jwk, of) {
  const name = `${algorithm} ${jwk}`;
  if (!keys.has(name)) {
    if (keys.size >= KEYS_MAX) keys.clear();
    keys.set(name, crypto.subtle.importKey("jwk", JSON.parse(jwk), of, false, ["verify"]));
  }
  return keys.get(name);
}

const keys = new Map();
const KEYS_MAX = 256;

// For each algorithm, how its keys are imported, and how signatures are verified.
const both = (parameters) => [parameters, parameters];
const hmac = (bits) => both({ name: "HMAC", hash: `SHA-${bits}` });
const rsa = (bits) => both({ name: "RSASSA-PKCS1-v1_5", hash: `SHA-${bits}` });
const pss = (bits) => [{ name: "RSA-PSS", hash: `SHA-${bits}` }, { name: "RSA-PSS", saltLength: bits / 8 }];
const ecdsa = (bits) => [{ name: "ECDSA", namedCurve: `P-${bits}` }, { name: "ECDSA", hash: `SHA-${bits}` }];

const ALGORITHMS = {
  HS256: hmac(256), HS384: hmac(384), HS512: hmac(512),
  RS256: rsa(256), RS384: rsa(384), RS512: rsa(512),
  PS256: pss(256), PS384: pss(384), PS512: pss(512),
  ES256: ecdsa(256), ES384: ecdsa(384), EdDSA: both({ name: "Ed25519" }),
};

// Clock, entropy, telemetry

// Calls the gateway after a time, unless the timer is ended before; returns the timer's number, which no other timer of the
// isolate has.
export const startTimer = (ms) => {
  const timer = setTimeout(() => gateway.elapse(timer), ms);
  return timer;
};

export const endTimer = (timer) => clearTimeout(timer);

export async function post(url, fields, content, timeoutMs) {
  const signal = AbortSignal.timeout(timeoutMs);
  const response = await fetch(url, { method: "POST", headers: JSON.parse(fields), body: content, redirect: "manual", signal, cf: SENT.cf });
  await response.body?.cancel();
  return response.status;
}
