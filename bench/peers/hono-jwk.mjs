// The reference for a route with tokens: what one would write by hand with Hono and its middleware for keys of an issuer.

import { Hono } from "hono";
import { jwk } from "hono/jwk";

const app = new Hono();

app.use("*", (c, next) => {
  const keys = JSON.parse(c.env.JWKS).keys;
  return jwk({ keys, alg: ["RS256"], verification: { iss: "https://id.bench.test", aud: "bench" } })(c, next);
});

app.get("*", async (c) => {
  const { pathname, search, host, protocol } = new URL(c.req.url);
  const request = new Request(c.env.UPSTREAM + pathname + search, c.req.raw);
  const id = crypto.randomUUID().replaceAll("-", "");
  request.headers.delete("authorization");
  request.headers.set("x-forwarded-for", c.req.header("cf-connecting-ip") ?? "unknown");
  request.headers.set("x-forwarded-host", host);
  request.headers.set("x-forwarded-proto", protocol.slice(0, -1));
  request.headers.set("via", "1.1 hono");
  request.headers.set("x-request-id", id);
  request.headers.set("traceparent", `00-${crypto.randomUUID().replaceAll("-", "")}-${id.slice(16)}-03`);
  const answer = await fetch(request, { signal: AbortSignal.timeout(30_000), cf: { cacheTtl: -1 } });
  const response = new Response(answer.body, answer);
  response.headers.set("via", "1.1 hono");
  response.headers.set("x-request-id", id);
  return response;
});

export default app;
