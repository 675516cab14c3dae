// Bundles the Workers that Tollgate is compared with.
//
//   node bench/peers/build.mjs EDITS_WASM OUT
//
// EDITS_WASM is the built module of bench/edits; each Worker gets a folder in OUT, as the launcher expects it.

import { copyFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

import { build } from "esbuild";

const HERE = dirname(fileURLToPath(import.meta.url));
const [edits, out] = process.argv.slice(2);

for (const name of ["hono", "hono-jwk", "edits", "calls"]) {
  await build({
    entryPoints: { worker: join(HERE, `${name}.mjs`) },
    outdir: join(out, name),
    outExtension: { ".js": ".mjs" },
    bundle: true,
    format: "esm",
    target: "es2022",
    external: ["cloudflare:*", "./edits.wasm"],
    logLevel: "warning",
  });
}
for (const name of ["edits", "calls"]) copyFileSync(edits, join(out, name, "edits.wasm"));
