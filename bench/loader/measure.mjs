// Loads packed bundles in wasm: `node measure.mjs FOLDER ROUNDS HOSTS,ROUTES,JSON...`, FOLDER is the output of
// `wasm-bindgen --target web`. Each instance loads only once; the bundles are loaded alternately.
// Prints one JSON line: for each bundle, its bytes and the milliseconds of each round.

import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";

const [folder, rounds, ...asked] = process.argv.slice(2);
const path = resolve(folder);
const module = new WebAssembly.Module(readFileSync(join(path, "tollgate_bench_loader_bg.wasm")));
let instances = 0;

async function fresh() {
  const bindings = await import(`${pathToFileURL(join(path, "tollgate_bench_loader.js"))}?${instances++}`);
  bindings.initSync({ module });
  return bindings;
}

const maker = await fresh();
const bundles = asked.map((words) => {
  const [hosts, routes, json] = words.split(",").map(Number);
  return { routes, packed: maker.pack(hosts, routes, json === 1).slice(), times: [] };
});
for (let round = 0; round < Number(rounds); round++) {
  for (const { routes, packed, times } of bundles) {
    const instance = await fresh();
    const begun = performance.now();
    const loaded = instance.load(packed);
    times.push(performance.now() - begun);
    if (!loaded) throw new Error(`no route was found among ${routes}`);
  }
}
console.log(JSON.stringify(bundles.map(({ packed, times }) => ({ bytes: packed.length, times }))));
