// Whom the API server is held against: a plain stream of Node's HTTP, which writes what it is told to everybody, and etcd behind TLS.
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { openAuthority } from "../../src/apiserver/identity/authority.ts";
import { peersDirectory } from "../../test/peers.ts";

export type Child = { readonly pid: number; stop(): Promise<void> };

async function ended(child: ChildProcess): Promise<void> {
  const closed = new Promise((resolve) => child.once("close", resolve));
  if (child.exitCode === null && child.signalCode === null) child.kill("SIGKILL");
  else return;
  await closed;
}

const PLAIN = `
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { createServer as createTlsServer } from "node:https";
const [where, tls] = process.argv.slice(1);
const streams = new Set();
const options = tls && { requestCert: true, rejectUnauthorized: false, minVersion: "TLSv1.3", ...JSON.parse(readFileSync(tls)) };
const server = (options ? createTlsServer : createServer)(options || {}, (request, response) => {
  if (request.method === "GET") {
    response.writeHead(200, { "content-type": "application/json" });
    response.flushHeaders();
    streams.add(response);
    response.on("close", () => streams.delete(response));
    return;
  }
  const parts = [];
  request.on("data", (d) => parts.push(d));
  request.on("end", () => {
    const line = Buffer.concat(parts);
    for (const s of streams) s.write(line);
    response.end();
  });
}).listen(options ? { port: Number(where), host: "127.0.0.1" } : where, () => console.log("ready"));
`;
/** Takes connections and answers the first bytes of each. */
const BARE = `
import { readFileSync } from "node:fs";
import { createServer } from "node:tls";
const [where, tls] = process.argv.slice(1);
const sockets = new Set();
createServer({ requestCert: true, rejectUnauthorized: false, minVersion: "TLSv1.3", ...JSON.parse(readFileSync(tls)) }, (socket) => {
  sockets.add(socket);
  socket.on("error", () => {});
  socket.once("data", () => socket.write("HTTP/1.1 200 OK\\r\\n\\r\\n"));
}).listen(Number(where), "127.0.0.1", () => console.log("ready"));
`;

async function program(text: string, ...args: string[]): Promise<Child> {
  const child = spawn(process.execPath, ["--input-type=module", "-e", text, ...args], { stdio: ["ignore", "pipe", "inherit"] });
  await new Promise((resolve, reject) => {
    child.stdout.once("data", resolve);
    child.once("close", () => reject(new Error("the plain stream ended")));
  });
  return { pid: child.pid!, stop: () => ended(child) };
}

/** GET follows, POST tells everybody; on a unix socket. */
export const plainStream = (socket: string): Promise<Child> => program(PLAIN, socket);

/** The same over TLS, and a server of bare TLS connections, with a certificate of the authority in `data`. Files of theirs go into `directory`. */
export async function plainTls(data: string, directory: string, bare: boolean): Promise<Child & { readonly port: number }> {
  const authority = openAuthority(data, Date.now, { create: false });
  const { key, certificate } = authority.issue({ commonName: "plain" }, "server", { names: ["127.0.0.1"] });
  const file = join(directory, "plain-tls.json");
  writeFileSync(file, JSON.stringify({ key, cert: `${certificate}${authority.caCertificate}`, ca: authority.caCertificate }), { mode: 0o600 });
  const port = await freePort();
  return { ...(await program(bare ? BARE : PLAIN, String(port), file)), port };
}

const freePort = (): Promise<number> =>
  new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });

/** etcd with a certificate of the authority in `data`, a server's --data; undefined: there is none here. */
export async function etcd(data: string, directory: string): Promise<(Child & { readonly url: string }) | undefined> {
  const program = join(peersDirectory, "etcd");
  if (!existsSync(program)) return undefined;
  const identity = openAuthority(data, Date.now, { create: false }).issue({ commonName: "etcd" }, "server", { names: ["127.0.0.1"] });
  const [cert, key] = [join(directory, "etcd.crt"), join(directory, "etcd.key")];
  writeFileSync(cert, identity.certificate, { mode: 0o600 });
  writeFileSync(key, identity.key, { mode: 0o600 });
  const [url, peer] = [`https://127.0.0.1:${await freePort()}`, `http://127.0.0.1:${await freePort()}`];
  const flags = {
    "data-dir": join(directory, "etcd"),
    "listen-client-urls": url,
    "advertise-client-urls": url,
    "listen-peer-urls": peer,
    "initial-advertise-peer-urls": peer,
    "initial-cluster": `default=${peer}`,
    "cert-file": cert,
    "key-file": key,
    "log-level": "error",
  };
  const child = spawn(
    program,
    Object.entries(flags).map(([k, v]) => `--${k}=${v}`),
    { stdio: "ignore" },
  );
  const { caCertificate: ca } = openAuthority(data, Date.now, { create: false });
  const { request } = await import("node:https");
  const healthy = (): Promise<boolean> =>
    new Promise((resolve) => {
      const r = request(`${url}/health`, { ca }, (response) => {
        response.resume();
        resolve(response.statusCode === 200);
      });
      r.on("error", () => resolve(false));
      r.end();
    });
  for (const end = Date.now() + 15_000; !(await healthy()); await sleep(50))
    if (Date.now() > end || child.exitCode !== null) {
      await ended(child);
      throw new Error("etcd does not answer");
    }
  return { pid: child.pid!, url, stop: () => ended(child) };
}
