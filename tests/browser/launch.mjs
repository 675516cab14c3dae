// A real Chromium for the end-to-end suite, driven by npm puppeteer-core, and HTTPS in front of the hosts.
//
//   node tests/browser/launch.mjs --certificate FILE [--folder DIR]
//
// The file has the certificate of HTTPS and its key, in PEM; the browser trusts it as one of a known authority. The folder is where
// Chromium is unpacked, once. It speaks the protocol of the hosts' launchers (tests/README.md); commands are carried
// out side by side. A person has a browser profile of their own, which begins with the first command that names the person:
//   {"id":1,"serve":"http://127.0.0.1:1"}                               HTTPS in front of this server; the value is the port.
//   {"id":2,"person":"ada","tab":"a","visit":URL}                       as if the person had typed the URL.
//   {"id":3,"person":"ada","tab":"a","follow":URL}                      as if the page had a link, which the person follows.
//   {"id":4,"person":"ada","tab":"a","fill":{SELECTOR:TEXT},"press":SELECTOR}   fills in a form and sends it.
//   {"id":5,"person":"ada","tab":"a","back":2}                          back by so many pages.
//   {"id":6,"person":"ada","tab":"a","stop-at":URL}                     what leads below this URL is not requested from now on.
//   {"id":7,"person":"ada","cookies":URL}                               the cookies for a URL.
// The value after a navigation is {"url","status","redirects":[URL],"text","scripts-see":COOKIES}, or of one that was stopped
// {"url","stopped":URL}.

import { X509Certificate, createHash } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { tmpdir } from "node:os";
import { parseArgs } from "node:util";

import { serve } from "./https.mjs";

const say = (event) => process.stdout.write(`${JSON.stringify(event)}\n`);

function fail(why) {
  say({ failed: why });
  process.exit(1);
}

async function main() {
  // Without a reader, this process is no longer needed.
  process.stdout.on("error", () => process.exit(0));
  const folder = { type: "string", default: join(tmpdir(), "tollgate-browser") };
  const { values } = parseArgs({ options: { folder, certificate: { type: "string" } } });
  const pem = readFileSync(values.certificate, "utf8");
  const puppeteer = (await package_("puppeteer-core")).default;
  const executablePath = process.env.CHROME ?? (await unpacked(resolve(values.folder)));
  const profile = mkdtempSync(join(tmpdir(), "tollgate-profile-"));
  process.on("exit", () => rmSync(profile, { recursive: true, force: true }));
  const browser = await puppeteer
    .launch({ executablePath, args: [...ARGUMENTS, trusting(pem)], headless: "shell", timeout: PATIENCE_MS, userDataDir: profile })
    .catch((error) => fail(`${executablePath} does not start: ${error.message}; set CHROME to the path of a Chromium that does`));
  say({ ready: { version: await browser.version() } });
  const people = new Map();
  const lines = createInterface({ input: process.stdin });
  lines.on("line", async (line) => {
    const command = JSON.parse(line);
    try {
      say({ ack: command.id, value: await carriedOut(command, browser, people, pem) });
    } catch (error) {
      say({ nack: command.id, error: `${line.slice(0, 200)}: ${error.message}` });
    }
  });
  lines.on("close", async () => {
    await browser.close();
    process.exit(0);
  });
}

// How long a browser may take to start, and a page to come.
const PATIENCE_MS = 15_000;

// No name is looked up: all hosts are this machine. Nothing is fetched but what a page asks for.
const ARGUMENTS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-component-update",
  "--disable-domain-reliability",
  "--no-default-browser-check",
  "--host-resolver-rules=MAP * 127.0.0.1",
];

// A browser that ignores all errors of certificates would keep no page in its cache, which is what the back button shows.
function trusting(pem) {
  const key = new X509Certificate(pem).publicKey.export({ type: "spki", format: "der" });
  return `--ignore-certificate-errors-spki-list=${createHash("sha256").update(key).digest("base64")}`;
}

async function package_(name) {
  try {
    return await import(name);
  } catch (error) {
    return fail(`the npm package ${name} is missing (${error.code}), with which the tests drive a browser; run \`npm ci\` in the clone`);
  }
}

// The Chromium of npm @sparticuz/chromium, which is a program for Linux on x64.
async function unpacked(folder) {
  if (process.platform !== "linux" || process.arch !== "x64") {
    fail(`npm has no Chromium for ${process.platform} on ${process.arch}; set CHROME to the path of an installed Chromium or Chrome`);
  }
  const file = join(folder, "chromium");
  if (existsSync(file)) return file;
  const { default: chromium } = await package_("@sparticuz/chromium");
  // Another run may do the same at this moment: the folder appears at once, and complete.
  mkdirSync(resolve(folder, ".."), { recursive: true });
  const own = mkdtempSync(`${folder}-`);
  const usual = process.env.TMPDIR;
  process.env.TMPDIR = own;
  await chromium.executablePath();
  if (usual === undefined) delete process.env.TMPDIR;
  else process.env.TMPDIR = usual;
  try {
    renameSync(own, folder);
  } catch {
    rmSync(own, { recursive: true, force: true });
  }
  return file;
}

async function carriedOut(command, browser, people, pem) {
  if (command.serve) return serve(command.serve, pem);
  const { person } = command;
  if (!people.has(person)) people.set(person, { context: browser.createBrowserContext(), tabs: new Map() });
  const { context, tabs } = people.get(person);
  const profile = await context;
  if (command.cookies) return cookies(profile, command.cookies);
  if (!tabs.has(command.tab)) tabs.set(command.tab, { page: await profile.newPage() });
  return inTab(command, tabs.get(command.tab));
}

async function inTab(command, tab) {
  const { page } = tab;
  page.setDefaultTimeout(PATIENCE_MS);
  if (command["stop-at"]) return stopAt(command["stop-at"], tab);
  const stopped = new Promise((resolve) => (tab.stop = resolve));
  const navigated = page.waitForNavigation({ waitUntil: "load" });
  const steps = Promise.all([navigated, begin(command, page)]);
  const end = await Promise.race([steps, stopped]);
  // Nobody waits any more for a navigation that was stopped.
  steps.catch(() => {});
  if (typeof end === "string") return { url: page.url(), stopped: end };
  const [response] = end;
  return {
    url: page.url(),
    status: response?.status() ?? 0,
    redirects: response?.request().redirectChain().map((request) => request.url()) ?? [],
    text: await page.evaluate(() => document.body.innerText),
    "scripts-see": await page.evaluate(() => document.cookie),
  };
}

// What a person does that makes the browser go to another page.
async function begin(command, page) {
  if (command.visit) return page.goto(command.visit, { waitUntil: "load" });
  if (command.back) return page.evaluate((pages) => history.go(-pages), command.back);
  if (command.follow) {
    return page.evaluate((url) => {
      const link = document.body.appendChild(document.createElement("a"));
      link.href = url;
      link.click();
    }, command.follow);
  }
  for (const [selector, text] of Object.entries(command.fill ?? {})) await page.type(selector, text);
  return page.click(command.press);
}

// A redirect is a request of its own here: the fields of the page's request stay as the browser made them.
async function stopAt(prefix, tab) {
  const session = await tab.page.createCDPSession();
  session.on("Fetch.requestPaused", ({ requestId, request }) => {
    if (request.url.startsWith(prefix)) {
      session.send("Fetch.failRequest", { requestId, errorReason: "Aborted" }).catch(() => {});
      tab.stop(request.url);
    } else {
      session.send("Fetch.continueRequest", { requestId }).catch(() => {});
    }
  });
  await session.send("Fetch.enable", { patterns: [{ urlPattern: "*", resourceType: "Document" }] });
}

async function cookies(profile, url) {
  const page = await profile.newPage();
  const session = await page.createCDPSession();
  const { cookies } = await session.send("Network.getCookies", { urls: [url] });
  await page.close();
  return cookies;
}

await main();
