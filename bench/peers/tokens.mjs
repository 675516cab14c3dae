// Tokens for the benchmark of tokens: for each algorithm a key pair, its public key, and so many signed tokens.
//
//   node bench/peers/tokens.mjs COUNT
//
// Prints {ALGORITHM: {jwks, tokens}}.

import { constants, generateKeyPairSync, sign } from "node:crypto";

const count = Number(process.argv[2]);

const RSA = ["rsa", { modulusLength: 2048 }];
const ALGORITHMS = {
  RS256: [RSA, "sha256", { padding: constants.RSA_PKCS1_PADDING }],
  PS256: [RSA, "sha256", { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 }],
  ES256: [["ec", { namedCurve: "P-256" }], "sha256", { dsaEncoding: "ieee-p1363" }],
  ES384: [["ec", { namedCurve: "P-384" }], "sha384", { dsaEncoding: "ieee-p1363" }],
  EdDSA: [["ed25519", {}], null, {}],
};

const encoded = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");

function made([alg, [[kind, options], hash, how]]) {
  const { publicKey, privateKey } = generateKeyPairSync(kind, options);
  const claims = { iss: "https://id.bench.test", aud: "bench", exp: 4_000_000_000, scope: "read write" };
  const token = (number) => {
    const input = `${encoded({ alg, typ: "JWT", kid: "one" })}.${encoded({ ...claims, sub: `caller-${number}` })}`;
    return `${input}.${sign(hash, Buffer.from(input), { key: privateKey, ...how }).toString("base64url")}`;
  };
  const jwks = { keys: [{ ...publicKey.export({ format: "jwk" }), kid: "one", alg, use: "sig" }] };
  return [alg, { jwks: JSON.stringify(jwks), tokens: Array.from({ length: count }, (_, number) => token(number)) }];
}

console.log(JSON.stringify(Object.fromEntries(Object.entries(ALGORITHMS).map(made))));
