// What both gateways that are written by hand with Hono do with a request that they admit: it is forwarded with the fields that
// Tollgate sets, without its credential.

export async function forward(c) {
  const { pathname, search, host, protocol } = new URL(c.req.url);
  const request = new Request(c.env.UPSTREAM + pathname + search, c.req.raw);
  const id = crypto.randomUUID().replaceAll("-", "");
  request.headers.delete("x-api-key");
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
  const ratelimit = c.get("ratelimit");
  if (ratelimit !== undefined) response.headers.set("ratelimit", ratelimit);
  return response;
}
