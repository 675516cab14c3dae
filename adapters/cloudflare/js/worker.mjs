// The worker's entry: hands requests to the gateway, and answers for it where it cannot.

import { serve } from "./instance.mjs";

export { TollgateCounter } from "./counter.mjs";

export default {
  fetch(request, env, context) {
    return serve(request, env, context).catch(failed);
  },
};

// The one answer that does not come from the gateway: the problem (RFC 9457) that it calls internal.
function failed() {
  const problem = { type: "urn:tollgate:problem:internal", title: "The gateway failed", status: 500 };
  const headers = { "content-type": "application/problem+json", "cache-control": "no-store" };
  return new Response(JSON.stringify(problem), { status: 500, headers });
}
