// Makes of the built wasm what the launcher runs: `node build.mjs WASM_FILE COUNTER_WASM_FILE WASM_BINDGEN OUT_FOLDER`. The Worker that is
// deployed is made by adapters/cloudflare/build.mjs in the same steps.

import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import esbuild from "esbuild";

const [wasm, counter, bindgen, out] = process.argv.slice(2);
const here = dirname(fileURLToPath(import.meta.url));
const generated = join(out, "bindgen");

const options = ["--out-name", "tollgate", "--target", "module", "--no-typescript", "--experimental-reset-state-function"];
const { status, error } = spawnSync(bindgen, [wasm, "--out-dir", generated, ...options], { stdio: "inherit" });
if (status !== 0) throw error ?? new Error(`${bindgen} failed; its words are above`);

// The source phase import is not known to every tool; in a worker the plain one is the same.
const glue = join(generated, "tollgate.js");
writeFileSync(glue, readFileSync(glue, "utf8").replace("import source ", "import "));

const text = join(here, "../../adapters/cloudflare/js/text.mjs");

mkdirSync(out, { recursive: true });
await esbuild.build({
  entryPoints: { worker: join(here, "worker.mjs") },
  outdir: out,
  outExtension: { ".js": ".mjs" },
  bundle: true,
  format: "esm",
  target: "es2022",
  external: ["cloudflare:*"],
  alias: { "tollgate-wasm": glue, "tollgate-counter-wasm": counter, "tollgate-text": text },
  loader: { ".wasm": "copy" },
  assetNames: "[name]",
  logLevel: "warning",
});
