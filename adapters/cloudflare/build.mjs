// Builds the Worker: cargo, wasm-bindgen, wasm-order, esbuild. This file is the build command in wrangler.toml; it can also be run
// from any folder as `node adapters/cloudflare/build.mjs`. Its output, in build/ at the root of the repository:
//
//   worker.mjs              the entry module, bundled
//   tollgate.wasm           the gateway
//   tollgate_counter.wasm   the cells, for the Durable Object
//
// `worker-build` runs the same steps but for wasm-order, and downloads its tools from hosts that are not reachable in every network.
// Here Cargo.lock and package-lock.json pin the tools. A build without changes takes about a second.
//
// The names of functions are a sixth of the compressed module, and are used only to print the stack of a trap. They are left
// out unless TOLLGATE_WASM_NAMES is set to 1; functions are then in the order of wasm-bindgen.

import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const HERE = dirname(fileURLToPath(import.meta.url));
const ROOT = resolve(HERE, "../..");
const OUT = join(ROOT, "build");
const STAMP = join(OUT, ".stamp");
const WITH_NAMES = process.env.TOLLGATE_WASM_NAMES === "1";
const NAMES = WITH_NAMES ? [] : ["--remove-name-section"];
const CACHE = process.env.TOLLGATE_CACHE ?? join(homedir(), ".cache", "tollgate");

async function main() {
  const esbuild = await load("esbuild");
  // Less inlining: what an isolate's first request does not run is not compiled for it, and the module is smaller.
  const wasm = wasmOf("tollgate-cloudflare", ["--", "-Cllvm-args=-inline-threshold=5"]);
  // Exports and no imports, so that it needs no bindings.
  const counter = wasmOf("tollgate-counter", ["--", "-Cstrip=symbols", "-Cllvm-args=-inline-threshold=5"]);
  const bindgen = bindgenProgram();
  const order = toolOf("tollgate-wasm-order", "wasm-order");
  const stamp = digest([wasm, counter, bindgen, order, fileURLToPath(import.meta.url), ...sources()], NAMES);
  if (isDone(stamp)) return;
  const generated = join(dirname(wasm), "cloudflare-bindgen");
  rmSync(generated, { recursive: true, force: true });
  run(bindgen, [wasm, "--out-dir", generated, "--out-name", "tollgate", "--target", "module", "--no-typescript",
    "--remove-producers-section", "--experimental-reset-state-function", ...NAMES]);
  usePlainImport(join(generated, "tollgate.js"));
  writeInOrder(order, join(generated, "tollgate_bg.wasm"), join(generated, "tollgate.wasm"));
  writeInOrder(order, counter, join(generated, "tollgate_counter.wasm"));
  // wasm-bindgen copies js/host.mjs, so what that imports cannot be found beside it.
  const text = join(HERE, "js", "text.mjs");
  await bundle(esbuild, {
    "tollgate-wasm": join(generated, "tollgate.js"),
    "tollgate-counter-wasm": join(generated, "tollgate_counter.wasm"),
    "tollgate-text": text,
  });
  writeFileSync(STAMP, stamp);
}

// The module of a crate. As a `cdylib` alone: Cargo does not optimise across crates what is also a Rust library.
function wasmOf(name, compilerArgs) {
  const place = ["--lib", "--profile", "wasm", "--target", "wasm32-unknown-unknown"];
  const { filenames } = cargo(["rustc", "-p", name, "--crate-type", "cdylib", ...place], compilerArgs);
  return filenames.find((file) => file.endsWith(".wasm"));
}

// The wasm-bindgen program at exactly Cargo.lock's version: the one that `cargo xtask setup` installed, or one built
// here, in a folder that all clones of the repository share.
function bindgenProgram() {
  const lock = readFileSync(join(ROOT, "Cargo.lock"), "utf8");
  const [, version] = /name = "wasm-bindgen"\nversion = "(.+)"/.exec(lock);
  const installed = join(CACHE, "tools", "bin", process.platform === "win32" ? "wasm-bindgen.exe" : "wasm-bindgen");
  const installedVersion = spawnSync(installed, ["--version"], { encoding: "utf8" }).stdout;
  if (installedVersion?.trim() === `wasm-bindgen ${version}`) return installed;
  return toolOf("tollgate-wasm-tools", "wasm-bindgen");
}

// A program for this machine that works on modules, built in a folder that all clones of the repository share.
function toolOf(name, bin) {
  // Without optimisation it takes several times as long to read a module.
  const config = ["profile.dev.opt-level=1", "profile.dev.debug=false", 'future-incompat-report.frequency="never"'];
  const target = ["--target-dir", join(CACHE, "tools", "target")];
  const program = ["-p", name, "--bin", bin];
  return cargo(["build", ...program, ...target, ...config.flatMap((c) => ["--config", c])], []).executable;
}

// Runs a cargo build; returns its message about the last artifact, which contains the file names.
function cargo(args, compilerArgs) {
  const messages = run("cargo", [...args, "--message-format=json-render-diagnostics", ...compilerArgs]);
  const artifacts = messages.split("\n").filter((line) => line.includes('"compiler-artifact"'));
  return JSON.parse(artifacts.at(-1));
}

function sources() {
  return readdirSync(join(HERE, "js")).map((name) => join(HERE, "js", name)).concat(join(ROOT, "package-lock.json"));
}

function digest(files, options) {
  const hash = createHash("sha256").update(JSON.stringify(options));
  for (const file of files) hash.update(readFileSync(file));
  return hash.digest("hex");
}

function isDone(stamp) {
  return existsSync(STAMP) && readFileSync(STAMP, "utf8") === stamp && existsSync(join(OUT, "worker.mjs"));
}

// Not every tool supports the source phase import that wasm-bindgen writes; in a Worker the plain import is equivalent.
// The module gets the name that it has in build/.
function usePlainImport(file) {
  const text = readFileSync(file, "utf8").replace("import source ", "import ").replace("./tollgate_bg.wasm", "./tollgate.wasm");
  writeFileSync(file, text);
}

// Writes a module with like functions beside each other, of which gzip makes less. Names would not fit the new order.
function writeInOrder(order, from, to) {
  if (WITH_NAMES) return copyFileSync(from, to);
  run(order, [from, to]);
  if (!WebAssembly.validate(readFileSync(to))) fail(`${to} is not valid`);
}

async function bundle(esbuild, alias) {
  const { outputFiles } = await esbuild.build({
    entryPoints: { worker: join(HERE, "js", "worker.mjs") },
    outdir: OUT,
    outExtension: { ".js": ".mjs" },
    bundle: true,
    format: "esm",
    target: "es2022",
    external: ["cloudflare:*"],
    alias,
    loader: { ".wasm": "copy" },
    assetNames: "[name]",
    // Less to parse when an isolate starts; names are kept, for the stacks of errors.
    minifySyntax: true,
    minifyWhitespace: true,
    logLevel: "warning",
    // wasm-bindgen writes the module of imports once for each of its files.
    logOverride: { "duplicate-object-key": "silent" },
    write: false,
  });
  mkdirSync(OUT, { recursive: true });
  for (const { path, contents } of outputFiles) {
    // A concurrent reader sees the old file or the new one.
    writeFileSync(`${path}.new`, contents);
    renameSync(`${path}.new`, path);
  }
}

// Runs a program to completion and returns its standard output; its standard error is shown.
function run(program, args) {
  const options = { cwd: ROOT, stdio: ["ignore", "pipe", "inherit"], maxBuffer: 1 << 28 };
  const result = spawnSync(program, args, options);
  if (result.error) fail(`${program} could not be started: ${result.error.message}`);
  if (result.status !== 0) fail(`${program} failed; its output is above`);
  return result.stdout.toString();
}

async function load(name) {
  try {
    return await import(name);
  } catch (error) {
    return fail(`the npm package ${name} is missing (${error.code}); run \`npm ci\` in ${ROOT}`);
  }
}

function fail(reason) {
  console.error(`the worker was not built: ${reason}`);
  process.exit(1);
}

await main();
