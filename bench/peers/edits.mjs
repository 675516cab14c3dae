// The floor for a Worker that decides in wasm: five fields read by name, one call of a small module (the digest of the key, a
// look-up, a charge, ids, texts), and its edits applied to the copied messages. It has no routing, telemetry and errors.

import { decide, set } from "./module.mjs";

export default {
  async fetch(request, env) {
    const path = request.url.slice(request.url.indexOf("/", 8));
    const [sent, answered] = decide(read(request, path));
    const forwarded = new Request(env.UPSTREAM + path, request);
    forwarded.headers.delete("x-api-key");
    set(forwarded.headers, sent);
    const answer = await fetch(forwarded);
    const response = new Response(answer.body, answer);
    set(response.headers, answered);
    return response;
  },
};

function read(request, path) {
  const value = (name) => request.headers.get(name) ?? "";
  return [path, value("x-api-key"), value("traceparent"), value("content-length"), value("tracestate")].join("\n");
}

// The launcher binds the class; nothing here calls it.
export class TollgateCounter {}
