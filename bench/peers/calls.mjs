// The floor for what Tollgate asks of the platform: the same calls, with the least module (`edits/`) in place of the gateway. All
// fields of both messages are read once, the copies are edited, content is passed on as it is, the platform's cache is not
// used, and the upstream has a timeout. A request that is limited exactly calls a Durable Object that only answers, with a timeout,
// and one whose permits were taken ahead calls none; a cached answer is made from memory.

import { DurableObject } from "cloudflare:workers";

import { decide, set } from "./module.mjs";

export default {
  async fetch(request, env) {
    const path = request.url.slice(request.url.indexOf("/", 8));
    const [sent, answered] = decide([path, request.headers.get("x-api-key") ?? "", read(request.headers)].join("\n"));
    if (path === "/cached") return new Response(CONTENT, { status: 200, headers: JSON.parse(STORED), encodeBody: "manual" });
    if (path === "/exact") await charged(env);
    const forwarded = new Request(env.UPSTREAM + path, request);
    forwarded.headers.delete("x-api-key");
    set(forwarded.headers, sent);
    const answer = await fetch(forwarded, { ...SENT, signal: AbortSignal.timeout(30_000) });
    decide(`/\n\n${read(answer.headers)}`);
    const response = new Response(answer.body, { status: answer.status, headers: answer.headers, encodeBody: "manual" });
    set(response.headers, answered);
    return response;
  },
};

const SENT = { encodeResponseBody: "manual", cf: { cacheTtl: -1 } };

function read(headers) {
  let fields = "", characters = 0;
  for (const [name, value] of headers) {
    characters += name.length + value.length;
    if (!UNREAD.has(name)) fields += `${name}\n${value}\n`;
  }
  return characters > 8192 ? "" : fields;
}

const UNREAD = new Set(("accept accept-encoding accept-language cache-control content-type date etag origin referer sec-fetch-mode "
  + "sec-fetch-site user-agent x-content-type-options").split(" "));

async function charged(env) {
  const timer = setTimeout(() => {}, 3000);
  await env.TOLLGATE_COUNTERS.getByName("bench:consumer=acme").update(CHARGE);
  clearTimeout(timer);
}

// Of the length of a charge and of its answer.
const CHARGE = "\u0007".repeat(61);
const CHARGED = "\u0009".repeat(24);

export class TollgateCounter extends DurableObject {
  update() {
    return CHARGED;
  }
}

const CONTENT = new TextEncoder().encode('{"answer":true}');
const STORED = JSON.stringify({
  "content-type": "application/json",
  "content-length": "15",
  etag: '"6f1c"',
  "cache-control": "max-age=0",
  "x-content-type-options": "nosniff",
  age: "1",
  "cache-status": "tollgate; hit; ttl=3599",
  via: "1.1 calls",
  "x-request-id": "4bf92f3577b34da6a3ce929d0e0e4736",
});
