// The entry point of the Worker: passes requests to the gateway, and answers if the gateway fails.

import { serve } from "./instance.mjs";

export { TollgateCounter } from "./counter.mjs";

export default {
  fetch(request, env, context) {
    return serve(request, env, context).catch(failed);
  },
};

// The only response that is not from the gateway: the problem `internal` (RFC 9457).
function failed() {
  const problem = { type: "urn:tollgate:problem:internal", title: "The gateway failed", status: 500 };
  const headers = { "content-type": "application/problem+json", "cache-control": "no-store" };
  return new Response(JSON.stringify(problem), { status: 500, headers });
}
