// Clients that mean harm, or are only slow: ambiguous requests, bytes that trickle, watchers and lists that nobody reads, connections without end. Meanwhile
// a probe asks as every other client does, and the server's memory is looked at.
import { readFileSync } from "node:fs";
import { Agent, request } from "node:http";
import { connect, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { ask, type ServerHome } from "./process.ts";

const MERGE = "application/merge-patch+json";
const NODES = "/api/v1/nodes";

/** Resident memory of a process, MiB. */
export const residentMb = (pid: number): number => Number(/^VmRSS:\s+([0-9]+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))![1]) / 1024;

export type Suffered = {
  /** ms of each request of the probe, on a new connection each time. */
  readonly latencies: readonly number[];
  /** What the probe was answered, where it was not 200. */
  readonly refused: readonly string[];
  /** MiB that the process had at most beyond what it had before. */
  readonly grown: number;
};

/** Resolves when so many more requests of others were answered: until then the attack is kept up. */
export type Others = (n: number) => Promise<void>;

/** A request without an answer for so long is a client that is affected. */
const PATIENCE_MS = 60_000;

/** Runs `attack` while a client like any other asks, and the memory of `pid` is watched. */
export async function suffer(home: ServerHome, pid: number, attack: (others: Others) => Promise<void>): Promise<Suffered> {
  const [latencies, refused]: [number[], string[]] = [[], []];
  const before = residentMb(pid);
  let most = before;
  let over = false;
  const waiting = new Set<{ until: number; resolve: () => void }>();
  const others: Others = (n) => new Promise((resolve) => waiting.add({ until: latencies.length + refused.length + n, resolve }));
  const probe = (): Promise<void> =>
    new Promise((resolve) => {
      const from = performance.now();
      const failed = (why: string): void => {
        refused.push(why);
        resolve();
      };
      const r = request({ socketPath: home.socket, path: "/api/v1/namespaces/default", agent: new Agent({ keepAlive: false }) }, (response) => {
        response.resume();
        response.on("end", () => {
          if (response.statusCode !== 200) return failed(String(response.statusCode));
          latencies.push(performance.now() - from);
          resolve();
        });
      });
      r.setTimeout(PATIENCE_MS, () => r.destroy(new Error("no answer")));
      r.on("error", (e) => failed(e.message));
      r.end();
    });
  const probing = (async () => {
    while (!over) {
      await probe();
      most = Math.max(most, residentMb(pid));
      for (const w of waiting)
        if (latencies.length + refused.length >= w.until) {
          waiting.delete(w);
          w.resolve();
        }
      await sleep(20);
    }
  })();
  try {
    await attack(others);
  } finally {
    over = true;
    await probing;
  }
  return { latencies, refused, grown: most - before };
}

export const describeSuffered = ({ latencies, refused, grown }: Suffered): string => {
  const sorted = latencies.toSorted((a, b) => a - b);
  const at = (q: number): string => (sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? NaN).toFixed(1);
  return `${latencies.length} others' requests, ${refused.length} refused, median ${at(0.5)} ms, 99 % ${at(0.99)} ms; memory grew by ${grown.toFixed(0)} MiB at most`;
};

/** A connection that ends in no error of ours. */
export function raw(home: ServerHome): Socket {
  const socket = connect({ path: home.socket, allowHalfOpen: true });
  socket.on("error", () => {});
  socket.once("end", () => socket.destroy());
  return socket;
}
export const closed = (socket: Socket): Promise<void> =>
  new Promise((resolve) => (socket.destroyed ? resolve() : void socket.once("close", () => resolve())));

/** What is answered to `bytes` until the server closes, or for `ms`. */
export async function exchange(home: ServerHome, bytes: string | Buffer, ms = 60_000): Promise<{ text: string; closed: boolean }> {
  const socket = raw(home);
  let text = "";
  let ended = false;
  socket.on("data", (d: Buffer) => (text += d.toString("latin1")));
  socket.once("end", () => (ended = true));
  socket.write(bytes);
  await Promise.race([new Promise((resolve) => socket.once("end", resolve)), closed(socket), sleep(ms)]);
  socket.destroy();
  return { text, closed: ended };
}

/** Requests whose end two readers could see in two places; after it stands what only one of them would take for a request of its own. */
export function ambiguous(smuggled: string): Record<string, string> {
  const post = (headers: string, body: string): string =>
    `POST /api/v1/namespaces HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n${headers}\r\n\r\n${body}`;
  const none = `0\r\n\r\n${smuggled}`;
  return {
    "a length and chunks": post(`Content-Length: ${none.length}\r\nTransfer-Encoding: chunked`, none),
    "chunks and a length": post(`Transfer-Encoding: chunked\r\nContent-Length: 5`, none),
    "two lengths": post(`Content-Length: 0\r\nContent-Length: ${smuggled.length}`, smuggled),
    "two lengths in one": post(`Content-Length: 0, ${smuggled.length}`, smuggled),
    "a length with a sign": post("Content-Length: +0", smuggled),
    "a negative length": post("Content-Length: -1", smuggled),
    "a length in hex": post("Content-Length: 0x0", smuggled),
    "a space before the colon": post(`Transfer-Encoding : chunked\r\nContent-Length: ${none.length}`, none),
    "an unknown coding": post("Transfer-Encoding: xchunked", none),
    "chunked, then another coding": post("Transfer-Encoding: chunked, identity", none),
    "chunked twice": post("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity", none),
    "a vertical tab in the coding": post("Transfer-Encoding: \vchunked", none),
    "a folded header": post("X: y\r\n Transfer-Encoding: chunked\r\nContent-Length: 0, 7", none),
    "a bare line feed in a header": post(`X: y\nTransfer-Encoding: chunked\r\nContent-Length: ${none.length}`, none),
    "a bare carriage return": post(`X: y\rTransfer-Encoding: chunked\r\nContent-Length: 0, 1`, none),
    "a zero byte in a name": post(`X\0Y: z`, smuggled),
    "a chunk of a size beyond all": post("Transfer-Encoding: chunked", `fffffffffffffffff\r\n${smuggled}`),
    "a chunk size with a sign": post("Transfer-Encoding: chunked", `+0\r\n\r\n${smuggled}`),
    "a chunk size in C": post("Transfer-Encoding: chunked", `0x0\r\n\r\n${smuggled}`),
    "a chunk that is longer than it says": post("Transfer-Encoding: chunked", `1\r\n{}\r\n0\r\n\r\n${smuggled}`),
    "a chunk without its end": post("Transfer-Encoding: chunked", `2\r\n{}0\r\n\r\n${smuggled}`),
    "a preface of HTTP/2": `PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n${smuggled}`,
    "a tunnel": `CONNECT 127.0.0.1:1 HTTP/1.1\r\nHost: x\r\n\r\n${smuggled}`,
    "an upgrade with a body": post(`Upgrade: h2c\r\nConnection: Upgrade\r\nContent-Length: 0, 3`, smuggled),
    "another version": `GET /healthz HTTP/1.7\r\nHost: x\r\n\r\n${smuggled}`,
    "no version": `GET /healthz\r\n\r\n${smuggled}`,
    "headers without end": `GET /healthz HTTP/1.1\r\nHost: x\r\nX: ${"y".repeat(70_000)}\r\n\r\n${smuggled}`,
  };
}

/** `n` connections that send a request a byte at a time, of its headers or of its body, until `enough` resolves. Gives how many the server closed meanwhile. */
export async function trickle(home: ServerHome, n: number, enough: Promise<void>): Promise<number> {
  const text = `POST /api/v1/namespaces HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 3000000\r\n\r\n${" ".repeat(100_000)}`;
  const sockets = Array.from({ length: n }, () => raw(home));
  for (const [i, socket] of sockets.entries()) {
    socket.resume();
    // Half of them are in their body already.
    if (i % 2 === 0) socket.write(text.slice(0, 200));
  }
  let over = false;
  void enough.then(() => (over = true));
  for (let at = 0; !over; at++, await sleep(50))
    for (const [i, socket] of sockets.entries()) if (!socket.destroyed) socket.write(text.charAt((i % 2 === 0 ? 200 : 0) + at));
  const gone = sockets.filter((s) => s.destroyed).length;
  for (const socket of sockets) socket.destroy();
  await Promise.all(sockets.map(closed));
  return gone;
}

const nodeBody = (name: string, size: number): string =>
  JSON.stringify({ apiVersion: "v1", kind: "Node", metadata: { name, annotations: { "x.io/padding": "0123456789abcdef".repeat(size / 16) } } });

/** `n` nodes of so many bytes. */
export async function manyNodes(home: ServerHome, n: number, size: number): Promise<void> {
  for (let i = 0; i < n; i += 32)
    await Promise.all(
      Array.from({ length: Math.min(32, n - i) }, (_, k) => ask(home.socket, NODES, { method: "POST", body: nodeBody(`n${i + k}`, size) })),
    );
}

/** Connections that ask and never read what they get; each of them has begun to get it. */
export async function deaf(home: ServerHome, n: number, path: string): Promise<Socket[]> {
  const sockets = Array.from({ length: n }, () => raw(home));
  for (const socket of sockets) {
    socket.pause();
    socket.write(`GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`);
  }
  await Promise.all(sockets.map((s) => Promise.race([new Promise((resolve) => s.once("readable", resolve)), closed(s)])));
  return sockets;
}

/** The code of the answer whose beginning lies on a connection that reads nothing. */
export function codeOn(socket: Socket): number {
  const first = socket.read() as Buffer | null;
  if (first) socket.unshift(first);
  return Number(/^HTTP\/1\.1 ([0-9]{3})/.exec(first?.toString("latin1", 0, 12) ?? "")?.[1]);
}

/** `n` changes of a node's padding, one after the other. */
export async function change(home: ServerHome, name: string, n: number, size: number): Promise<void> {
  for (let i = 0; i < n; i++) {
    const padding = String(i)
      .padStart(16, "0")
      .repeat(size / 16);
    const { code, body } = await ask(home.socket, `${NODES}/${name}`, {
      method: "PATCH",
      type: MERGE,
      body: JSON.stringify({ metadata: { annotations: { "x.io/padding": padding } } }),
    });
    if (code !== 200) throw new Error(`a change was answered ${code}: ${body}`);
  }
}

/** A connection; where more wait to be taken than the kernel lets wait, it is asked for again. */
async function connected(home: ServerHome): Promise<Socket> {
  for (;;) {
    const socket = raw(home);
    const full = await new Promise<boolean>((resolve) => {
      socket.once("connect", () => resolve(false));
      socket.once("error", (error: NodeJS.ErrnoException) => resolve(error.code === "EAGAIN"));
    });
    if (!full) return socket;
    await sleep(10);
  }
}

/** `n` connections that say nothing; the result has them all, of which the server may have closed some. */
export async function silentConnections(home: ServerHome, n: number): Promise<Socket[]> {
  const sockets: Socket[] = [];
  for (let i = 0; i < n; i += 200) {
    const some = await Promise.all(Array.from({ length: Math.min(200, n - i) }, () => connected(home)));
    sockets.push(...some);
    // So that a connection that the server closed is known to be.
    for (const s of some) s.resume();
  }
  return sockets;
}
