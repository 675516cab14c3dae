// HTTPS in front of a host, as a proxy does that ends TLS: it passes on the host name, and says in fields what it replaces.

import { createServer } from "node:https";
import { request as send } from "node:http";

// The PEM has the certificate and its key; answers the port.
export function serve(url, pem) {
  const { hostname, port } = new URL(url);
  const server = createServer({ cert: pem, key: pem }, (incoming, outgoing) => {
    const headers = { ...incoming.headers, "x-forwarded-for": incoming.socket.remoteAddress, "x-forwarded-proto": "https" };
    const forwarded = send({ hostname, port, method: incoming.method, path: incoming.url, headers }, (answer) => {
      outgoing.writeHead(answer.statusCode, answer.rawHeaders);
      answer.pipe(outgoing);
    });
    forwarded.on("error", () => (outgoing.headersSent ? outgoing.destroy() : outgoing.writeHead(502).end()));
    incoming.pipe(forwarded);
  });
  return new Promise((resolve, reject) => {
    server.on("error", reject);
    server.listen(0, "127.0.0.1", () => resolve(server.address().port));
  });
}
