// A real identity provider (npm oidc-provider) for the end-to-end suite, and beside it the broken ones that a network has.
//
// It speaks the protocol of the hosts' launchers (tests/README.md), with its own commands:
//   {"id":1,"publish":["k2","k1"]}  publishes these keys; the first one signs. A key is made when it is first named.
//   {"id":2,"count":"/jwks"}        the number of requests for a path so far.
//   {"id":3,"times":"/jwks"}        when they came, in milliseconds.
//   {"id":4,"forget":"ada"}         this person has no account any more.
//   {"id":5,"logout":"ada"}         this person logs out: the form that the portal is told so with (OpenID Connect Back-Channel Logout 1.0).
// It also says {"issued":[TOKEN]} whenever it issues tokens or codes.
// It is started with --port N (0: any), --client ID=SECRET (repeatable) and --portal ID=SECRET=CALLBACK, a client at which people
// log in: everyone is `ada`, without a form. With --forms they say who they are in the provider's own form, and agree in another.

import { generateKeyPairSync } from "node:crypto";
import { createServer } from "node:http";
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";

// It warns of what nobody should do in production, some of it when it is loaded.
console.warn = () => {};
console.info = () => {};
const { Provider } = await import("oidc-provider");

const { values } = parseArgs({
  options: {
    port: { type: "string", default: "0" },
    client: { type: "string", multiple: true, default: [] },
    portal: { type: "string", multiple: true, default: [] },
    forms: { type: "boolean", default: false },
  },
});

const keys = new Map();
// When requests came, by path.
const requests = new Map();
const forgotten = new Set();
// The provider with the newest keys, and what it has told the portal last.
let current;
let told;

function jwk(id) {
  if (!keys.has(id)) {
    const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    keys.set(id, { ...privateKey.export({ format: "jwk" }), kid: id, use: "sig", alg: "ES256" });
  }
  return keys.get(id);
}

function client(text) {
  const at = text.indexOf("=");
  return {
    client_id: text.slice(0, at),
    client_secret: text.slice(at + 1),
    grant_types: ["client_credentials"],
    response_types: [],
    redirect_uris: [],
    id_token_signed_response_alg: "ES256",
    introspection_signed_response_alg: "ES256",
  };
}

function portal(text) {
  const [id, secret, callback] = text.split("=");
  return {
    client_id: id,
    client_secret: secret,
    grant_types: ["authorization_code", "refresh_token"],
    response_types: ["code"],
    redirect_uris: [callback],
    post_logout_redirect_uris: [new URL("/", callback).href],
    backchannel_logout_uri: "https://portal.example.com/told",
    backchannel_logout_session_required: true,
    id_token_signed_response_alg: "ES256",
    introspection_signed_response_alg: "ES256",
  };
}

// What a person would agree to.
async function grant(ctx) {
  const { client, session, provider } = ctx.oidc;
  const made = new provider.Grant({ clientId: client.clientId, accountId: session.accountId });
  made.addOIDCScope("openid");
  await made.save();
  return made;
}

// Tokens for `https://opaque.example` are opaque, all others are signed; all are for the audience `pets`.
function resourceServer(_, resource) {
  const isOpaque = resource === "https://opaque.example";
  return {
    scope: "read write",
    audience: "pets",
    accessTokenTTL: 600,
    accessTokenFormat: isOpaque ? "opaque" : "jwt",
    ...(isOpaque ? {} : { jwt: { sign: { alg: "ES256" } } }),
  };
}

// Tokens stay valid when the keys change, because the provider keeps them outside of this object.
function provider(issuer, ids) {
  const made = new Provider(issuer, {
    clients: [...values.client.map(client), ...values.portal.map(portal)],
    jwks: { keys: ids.map(jwk) },
    cookies: { keys: ["of the tests"] },
    claims: { openid: ["sub", "groups"] },
    conformIdTokenClaims: false,
    issueRefreshToken: (_, client) => client.grantTypeAllowed("refresh_token"),
    rotateRefreshToken: true,
    findAccount: (_, id) => forgotten.has(id) ? undefined : ({ accountId: id, claims: () => ({ sub: id, groups: ["admins"] }) }),
    ...(values.forms ? {} : { loadExistingGrant: grant, interactions: { url: (_, interaction) => `/interaction/${interaction.uid}` } }),
    fetch: (_, { body }) => {
      told = String(body);
      return new Response();
    },
    features: {
      backchannelLogout: { enabled: true },
      devInteractions: { enabled: values.forms },
      clientCredentials: { enabled: true },
      introspection: { enabled: true },
      jwtIntrospection: { enabled: true },
      revocation: { enabled: true },
      resourceIndicators: {
        enabled: true,
        defaultResource: ({ oidc }) =>
          oidc.client.grantTypes.includes("client_credentials") ? "https://signed.example" : undefined,
        getResourceServerInfo: resourceServer,
      },
    },
  });
  current = made;
  made.use(async (ctx, next) => {
    await next();
    noteIssued(ctx);
  });
  const answer = made.callback();
  return (request, response) => {
    if (values.forms || !request.url.startsWith("/interaction/")) return answer(request, response);
    return made.interactionFinished(request, response, { login: { accountId: "ada" } });
  };
}

// The tests search the logs of the gateway for what it issues.
function noteIssued({ body, response }) {
  const { access_token, refresh_token, id_token } = body ?? {};
  const code = /[?&]code=([^&]+)/.exec(response.get("location"))?.[1];
  const issued = [access_token, refresh_token, id_token, code].filter((one) => typeof one === "string");
  if (issued.length > 0) say({ issued });
}

// Below these paths are issuers that answer something else than their metadata.
const broken = {
  html: (response) => response.setHeader("content-type", "text/html").end("<html>Sign in</html>"),
  large: (response) => response.end(`{"padding":"${"x".repeat(10 << 20)}"}`),
  slow: (response) => {
    response.write("{");
    const timer = setInterval(() => response.write(" "), 1000);
    response.on("close", () => clearInterval(timer));
  },
  moved: (response) => response.writeHead(302, { location: "http://127.0.0.2:9/" }).end(),
};

const server = createServer((request, response) => {
  const path = request.url.split("?")[0];
  requests.set(path, [...(requests.get(path) ?? []), Math.round(performance.now())]);
  const answer = broken[path.split("/")[1]];
  if (answer) {
    answer(response);
  } else {
    answering(request, response);
  }
});

const say = (event) => process.stdout.write(`${JSON.stringify(event)}\n`);

let answering;
server.listen(Number(values.port), "127.0.0.1", () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  answering = provider(issuer, ["k1"]);
  say({ ready: { url: issuer } });
  const lines = createInterface({ input: process.stdin });
  lines.on("line", async (line) => {
    const { id, publish, count, times, forget, logout } = JSON.parse(line);
    if (forget) forgotten.add(forget);
    if (publish) answering = provider(issuer, publish);
    if (logout) await (await current.Client.find("portal")).backchannelLogout(logout);
    const came = requests.get(count ?? times) ?? [];
    say({ ack: id, value: count ? came.length : times ? came : told });
  });
  lines.on("close", () => process.exit(0));
});
server.on("error", (error) => {
  say({ failed: `the identity provider cannot listen: ${error.message}; use another port` });
  process.exit(1);
});
