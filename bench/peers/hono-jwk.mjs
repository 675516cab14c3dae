// The reference for a route with tokens: what one would write by hand with Hono and its middleware for keys of an issuer.

import { Hono } from "hono";
import { jwk } from "hono/jwk";

import { forward } from "./hono-forward.mjs";

const app = new Hono();

app.use("*", (c, next) => {
  const keys = JSON.parse(c.env.JWKS).keys;
  return jwk({ keys, alg: ["RS256"], verification: { iss: "https://id.bench.test", aud: "bench" } })(c, next);
});

app.get("*", forward);

export default app;
