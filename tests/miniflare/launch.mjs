// Runs the built worker on workerd, for the end-to-end suite, `tollgate dev --on cloudflare` and the benchmarks.
//
//   node tests/miniflare/launch.mjs [--port N] [--gateway NAME] [--dev] [--secret NAME=VALUE]... [--artifact DIR]
//                                   [--bare] [--isolates N] [--await-records] [--keep DIR]
//
// Lines of JSON on standard output say when it is ready, what the gateway logs, and how each command ended; commands
// are lines of JSON on standard input, whose end shuts it down. `--artifact` is the folder of the built worker
// (its `worker.mjs` is the entry), `build` at the root by default. `--bare` runs the worker without the wrapper that
// makes `fault`, `remember-reads`, `reset-counters`, `count-calls` and `trap` possible; most benchmarks use it. With `--isolates`, so many isolates
// run the worker, each with an address of its own, and share its records and counters. With `--await-records`, the first requests wait
// until the first bundle is put; `tollgate dev` uses it. With `--keep`, records and counters are files in this folder, and the next
// process finds them there.

import { isUtf8 } from "node:buffer";
import childProcess from "node:child_process";
import { readFileSync, readdirSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const HERE = dirname(fileURLToPath(import.meta.url));
const ROOT = resolve(HERE, "../..");

async function main() {
  // Without a reader, this process is no longer needed.
  process.stdout.on("error", () => process.exit(0));
  takeChildrenAlong();
  const args = readArgs();
  const { Miniflare, Log, LogLevel } = await miniflare();
  const host = new Miniflare(options(args, new Log(LogLevel.NONE)));
  const urls = await Promise.all(names(args).map((name) => host.unsafeGetDirectURL(name)))
    .catch((error) => fail(startProblem(error, args), 1));
  phase = "ready";
  const [url, ...others] = urls.map(({ origin }) => origin);
  emit({ ready: { url, others } });
  const commands = await commandsFor(host, args);
  // Commands are carried out one after the other, in the order of arrival.
  for await (const line of createInterface({ input: process.stdin })) await answer(commands, line);
  phase = "ending";
  await host.dispose();
}

// The state of this process: "starting", "ready" or "ending".
let phase = "starting";

function readArgs() {
  try {
    const { values } = parseArgs({ options: OPTIONS });
    if (!(Number(values.isolates) >= 1)) throw new Error("--isolates is a number of at least 1");
    return values;
  } catch (error) {
    return fail(`${error.message}; the options are at the top of tests/miniflare/launch.mjs`, 2);
  }
}

const OPTIONS = {
  port: { type: "string", default: "0" },
  gateway: { type: "string", default: "quickstart" },
  dev: { type: "boolean", default: false },
  secret: { type: "string", multiple: true, default: [] },
  artifact: { type: "string", default: join(ROOT, "build") },
  bare: { type: "boolean", default: false },
  isolates: { type: "string", default: "1" },
  "await-records": { type: "boolean", default: false },
  keep: { type: "string" },
};

// This process may be killed without a chance to clean up, and workerd would then run on forever. So a shell next to
// the child waits until our end of a pipe closes, and then kills the child if it still runs. If the child ends, we end
// too.
function takeChildrenAlong() {
  if (process.platform === "win32") return;
  const spawn = childProcess.spawn;
  childProcess.spawn = (...args) => {
    const child = spawn(...args);
    const options = { stdio: ["pipe", "ignore", "ignore"], detached: true };
    const watcher = spawn("sh", ["-c", `read -r _ || kill -9 ${child.pid}`], options);
    watcher.unref();
    child.once("exit", (code, signal) => {
      watcher.stdin.end("over\n");
      if (phase === "ready") fail(`workerd stopped unexpectedly (${signal ?? code}); its last output is above`, 1);
    });
    return child;
  };
}

async function miniflare() {
  try {
    return await import("miniflare");
  } catch (error) {
    return fail(`the npm package miniflare is missing (${error.code}); run \`npm ci\` in ${ROOT}`, 1);
  }
}

function options(args, log) {
  const [first, ...others] = names(args);
  // The worker's own socket: miniflare's front end would parse paths and set fields, which workerd does not.
  const sockets = [{ host: "127.0.0.1", port: Number(args.port) }];
  if (!args.bare) sockets.push({ host: "127.0.0.1", port: 0, entrypoint: "Control" });
  return {
    log,
    logRequests: false,
    cf: false,
    ...(args.keep === undefined ? {} : kept(resolve(args.keep))),
    handleStructuredLogs: passOn,
    workers: [
      { ...isolate(args, first), durableObjects: { TOLLGATE_COUNTERS: OBJECTS }, unsafeDirectSockets: sockets },
      ...others.map((name) => ({
        ...isolate(args, name),
        durableObjects: { TOLLGATE_COUNTERS: { ...OBJECTS, scriptName: first } },
        unsafeDirectSockets: [{ host: "127.0.0.1", port: 0 }],
      })),
    ],
  };
}

// The names of the isolates; the first one has the counters.
function names(args) {
  return Array.from({ length: Number(args.isolates) }, (_, number) => (number === 0 ? "tollgate" : `tollgate-${number}`));
}

const OBJECTS = { className: "TollgateCounter", useSQLite: true };

function isolate(args, name) {
  return {
    name,
    modules: modules(args),
    compatibilityDate: /^compatibility_date = "(.+)"$/m.exec(readFileSync(join(ROOT, "wrangler.toml"), "utf8"))[1],
    kvNamespaces: ["TOLLGATE_RECORDS"],
    // In the place of a binding of `mtls_certificates`, which miniflare does not have: both are a `Fetcher`.
    ...(args.bare ? {} : { serviceBindings: { GATEWAY_CERTIFICATE: { name: "tollgate", entrypoint: "Presenting" } } }),
    bindings: {
      ...secrets(args.secret),
      TOLLGATE_GATEWAY: args.gateway,
      ...(args.dev ? { TOLLGATE_DEV: "1" } : {}),
      ...(args["await-records"] ? { TOLLGATE_AWAIT_RECORDS: "1" } : {}),
    },
    stripCfConnectingIp: false,
  };
}

function kept(folder) {
  return { kvPersist: join(folder, "kv"), durableObjectsPersist: join(folder, "objects") };
}

// The built modules, behind the wrapper unless `--bare`.
function modules(args) {
  const folder = resolve(args.artifact);
  const built = filesIn(folder).map((name) => module(name, join(folder, name)));
  if (args.bare) return built.sort((a) => (a.path === "worker.mjs" ? -1 : 1));
  const ours = ["wrapper.mjs", "instances.mjs"].map((name) => module(name, join(HERE, name)));
  return [...ours, { type: "CompiledWasm", path: "trap.wasm", contents: TRAP }, ...built];
}

// (module (func (export "unreachable") unreachable))
const TRAP = Buffer.from("0061736d0100000001040160000003020100070f010b756e726561636861626c6500000a05010300000b", "hex");

function filesIn(folder) {
  try {
    const names = readdirSync(folder).filter((name) => name.endsWith(".mjs") || name.endsWith(".wasm"));
    if (names.includes("worker.mjs")) return names;
  } catch {
    // Reported below: there is no built worker in either case.
  }
  return fail(`${folder} has no built worker; build it with \`node adapters/cloudflare/build.mjs\``, 1);
}

function module(name, file) {
  const wasm = name.endsWith(".wasm");
  return { type: wasm ? "CompiledWasm" : "ESModule", path: name, contents: readFileSync(file, wasm ? null : "utf8") };
}

function secrets(pairs) {
  return Object.fromEntries(pairs.map((pair) => {
    const at = pair.indexOf("=");
    return at > 0 ? [pair.slice(0, at), pair.slice(at + 1)] : fail("a --secret is written NAME=VALUE", 2);
  }));
}

// The gateway's log goes to standard output for programs; output of workerd and the shim goes to people.
function passOn({ level, message }) {
  if (phase !== "starting" && ["log", "info", "debug"].includes(level)) emit({ log: message });
  else console.error(message);
}

async function commandsFor(host, args) {
  const records = await host.getKVNamespace("TOLLGATE_RECORDS").catch(() => undefined);
  const control = args.bare ? undefined : await host.unsafeGetDirectURL(undefined, "Control");
  return {
    async put(entries) {
      for (const { key, value, base64 } of entries) {
        // The store accepts bytes as a Uint8Array, not as a Buffer.
        await records.put(key, base64 ? new Uint8Array(Buffer.from(value, "base64")) : value);
      }
    },
    async delete(keys) {
      for (const key of keys) await records.delete(key);
    },
    async get(key) {
      const value = await records.get(key, "arrayBuffer");
      if (value === null) return { value };
      const bytes = Buffer.from(value);
      return isUtf8(bytes) ? { value: bytes.toString() } : { value: bytes.toString("base64"), base64: true };
    },
    fault: (switches) => send(control, { fault: switches }),
    "remember-reads": (time) => send(control, { rememberReadsMs: time }),
    "reset-counters": (calls) => send(control, { resetCounters: calls }),
    "count-calls": () => send(control, { countCalls: true }),
    trap: () => send(control, { trap: true }),
  };
}

async function send(control, command) {
  if (control === undefined) throw new Error("the host runs --bare");
  const answer = await fetch(control, { method: "POST", body: JSON.stringify(command) });
  if (!answer.ok) throw new Error(await answer.text());
  return answer.json();
}

async function answer(commands, line) {
  let id = null;
  try {
    const { id: given, ...command } = JSON.parse(line);
    id = given;
    const [name, value] = Object.entries(command)[0] ?? [];
    if (!Object.hasOwn(commands, name)) throw new Error(`no such command: ${name}`);
    emit({ ack: id, ...(await commands[name](value)) });
  } catch (error) {
    emit({ nack: id, error: error.message });
  }
}

function startProblem(error, args) {
  return error.code === "ERR_ADDRESS_IN_USE"
    ? `port ${args.port} is taken; give another with --port, or 0 for any free one`
    : `workerd did not start: ${error.message}`;
}

function emit(message) {
  process.stdout.write(`${JSON.stringify(message)}\n`);
}

function fail(reason, code) {
  emit({ failed: reason });
  process.exit(code);
}

await main();
