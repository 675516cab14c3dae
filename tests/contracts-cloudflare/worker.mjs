// The entry of the Worker that checks the ports: `GET /` lists the checks, `GET /NAME?stage=URL` runs one.

import * as contracts from "tollgate-wasm";
import { cellsAreKept } from "./cells.mjs";

export { TollgateCounter } from "../../adapters/cloudflare/js/counter.mjs";

// What only a Worker can violate, by the check it belongs to.
const OWN = { "counters/confirmed_charges_are_kept": cellsAreKept };

export default {
  async fetch(request, env) {
    const url = new URL(request.url);
    const name = url.pathname.slice(1);
    if (name === "") return new Response(contracts.names().join("\n"));
    try {
      const breach = OWN[name]?.() ?? (await contracts.contract(name, url.searchParams.get("stage") ?? "", env));
      return new Response(breach, { status: breach === undefined ? 200 : 500 });
    } catch (error) {
      return new Response(`${error}`, { status: 500 });
    }
  },
};
