// The canary: marked datagrams over every path, also larger than the MTU and to a closed port, whose ICMP error quotes them (section 7.7). Seen on a wire
// in the clear, whatever wraps it, a marker is a proof of exposure; delivered and never seen, it proves that traffic went there and could not be read.
import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { startPiped } from "../../sys/child.ts";
import { commandIn, type Place } from "./place.ts";

const CANARY_PORT = 40_404;
/** What the captures inside the nodes look at. */
export const CANARY_FILTER: string = `udp port ${CANARY_PORT} or udp port ${CANARY_PORT + 1}`;
const ROUNDS = 12;
const INTERVAL_MS = 60;
const LIMIT_MS = 120_000;
/** For what is still under way. */
const LINGER_MS = 500;

/** Someone who listens at `addresses`, and sends from them unless the kernel is to choose (`unbound`); others see it as one of `seenAs`. */
export type Member = {
  readonly name: string;
  readonly place: Place;
  readonly addresses: readonly string[];
  readonly unbound?: boolean;
  readonly seenAs?: readonly string[];
  readonly targets: readonly Target[];
};
/** `listens`: somebody counts what comes there. `closed`: also to a port where nobody listens, whose ICMP error comes back. */
export type Target = {
  readonly path: string;
  readonly name: string;
  readonly address: string;
  readonly marker: Buffer;
  readonly listens: boolean;
  readonly closed: boolean;
};
export type Path = { path: string; from: string; to: string; sent: number; received: number };

export const newMarker = (): Buffer => randomBytes(32);

// Runs in a pod: `node -e` with what to do as an argument. Says "ready" when it listens, sends a few datagrams to every target when it is told "go", says
// "sent", and when its input ends what came: whoever is slow to start misses nothing. The marker stands at every 64 bytes. A closed port's answer comes as
// an error of a connected socket.
const SENDER = `
const { createSocket } = require("node:dgram");
const o = JSON.parse(process.argv[1]);
const fill = (marker, length) => { const b = Buffer.alloc(length); for (let at = 0; at + marker.length <= length; at += 64) marker.copy(b, at); return b; };
const markers = o.markers.map((m) => Buffer.from(m, "hex"));
const received = {}, sent = {}, refused = {}, errors = {};
const kind = (address) => (address.includes(":") ? "udp6" : "udp4");
const sockets = {};
let open = 0;
const opened = () => { if (++open === o.addresses.length) process.stdout.write("ready\\n"); };
for (const address of o.addresses) {
  const s = createSocket(kind(address));
  s.on("message", (m, from) => { if (markers.some((x) => m.includes(x))) received[from.address] = (received[from.address] || 0) + 1; });
  let bound = false;
  s.on("error", (e) => { errors[e.message] = 1; if (!bound) opened(); });
  s.bind(o.port, address, () => { bound = true; opened(); });
  if (!o.unbound) sockets[kind(address)] = s;
}
for (const t of o.targets) sockets[kind(t.address)] = sockets[kind(t.address)] || createSocket(kind(t.address)).on("error", (e) => { errors[e.message] = 1; });
const closed = o.targets.map((t, i) => {
  if (!t.closed) return;
  const s = createSocket(kind(t.address));
  s.on("error", (e) => { if (e.code === "ECONNREFUSED") refused[i] = (refused[i] || 0) + 1; else errors[e.message] = 1; });
  const own = o.unbound ? undefined : o.addresses.find((a) => kind(a) === kind(t.address));
  s.bind(0, own, () => s.connect(o.port + 1, t.address));
  return s;
});
let n = 0;
function round() {
  o.targets.forEach((t, i) => {
    const marker = Buffer.from(t.marker, "hex");
    const say = (e) => { if (e && e.code === "ECONNREFUSED") refused[i] = (refused[i] || 0) + 1; else if (e) errors[e.message] = 1; };
    // Where nobody listens each datagram is answered by an error, and hosts limit how many they send: all go where the answer is seen.
    const s = t.listens ? sockets[kind(t.address)] : closed[i];
    const to = t.listens ? [o.port, t.address] : [];
    sent[i] = (sent[i] || 0) + 1;
    try { s.send(fill(marker, 512), ...to, say);
    if (n === 3) { s.send(fill(marker, 6016), ...to, say); sent[i]++; } } catch (e) { say(e); }
    if (t.listens && closed[i] && n % 4 === 1) try { closed[i].send(fill(marker, 512), say); } catch (e) { say(e); }
  });
  if (++n < o.rounds) setTimeout(round, o.interval);
  else process.stdout.write("sent\\n");
}
if (o.addresses.length === 0) process.stdout.write("ready\\n");
process.stdin.once("data", round);
process.stdin.once("end", () => { process.stdout.write(JSON.stringify({ sent, received, refused, errors: Object.keys(errors) }) + "\\n", () => process.exit(0)); });
`;

const isV6 = (address: string): boolean => address.includes(":");

type Said = { sent: Record<string, number>; received: Record<string, number>; refused: Record<string, number>; errors: string[] };

/** Everybody sends to his targets at once. */
export async function sendCanaries(members: readonly Member[]): Promise<{ paths: Path[]; remarks: string[] }> {
  const senders = members.map(startSender);
  await Promise.all(senders.map((x) => x.says("ready")));
  for (const x of senders) x.child.stdin.write("go\n");
  await Promise.all(senders.map((x) => x.says("sent")));
  await sleep(LINGER_MS);
  for (const x of senders) x.child.stdin.end();
  const said = await Promise.all(senders.map((x) => x.result));
  const paths: Path[] = [];
  const remarks: string[] = [];
  for (const [i, m] of members.entries()) {
    const mine = said[i]!;
    if (typeof mine === "string") {
      remarks.push(`${m.name}: ${mine}`);
      for (const t of m.targets) paths.push({ path: t.path, from: m.name, to: t.name, sent: 0, received: 0 });
      continue;
    }
    remarks.push(...mine.errors.map((e) => `${m.name}: ${e}`));
    for (const [k, t] of m.targets.entries()) {
      const there = said[members.findIndex((x) => x.addresses.includes(t.address))];
      const heard =
        there === undefined || typeof there === "string"
          ? 0
          : (m.seenAs ?? m.addresses).filter((a) => isV6(a) === isV6(t.address)).reduce((n, a) => n + (there.received[a] ?? 0), 0);
      const sent = mine.sent[k] ?? 0;
      paths.push({ path: t.path, from: m.name, to: t.name, sent, received: t.listens ? heard : (mine.refused[k] ?? 0) });
      if (t.listens && t.closed) paths.push({ path: `${t.path}, closed port`, from: m.name, to: t.name, sent: 3, received: mine.refused[k] ?? 0 });
    }
  }
  return { paths, remarks };
}

type Sender = {
  readonly child: ReturnType<typeof startPiped>;
  /** Resolves when it has said the word, or has ended. */ says(word: string): Promise<void>;
  readonly result: Promise<Said | string>;
};

function startSender(m: Member): Sender {
  const targets = m.targets.map(({ address, marker, closed, listens }) => ({ address, closed, listens, marker: marker.toString("hex") }));
  const markers = [...new Set(targets.map((t) => t.marker))];
  const options = { port: CANARY_PORT, addresses: m.addresses, unbound: m.unbound ?? false, targets, markers, rounds: ROUNDS, interval: INTERVAL_MS };
  const child = startPiped(commandIn(m.place, process.execPath, "-e", SENDER, "--", JSON.stringify(options)), { env: m.place.env });
  child.stdin.on("error", () => {});
  const timer = setTimeout(() => process.kill(-child.pid!, "SIGKILL"), LIMIT_MS);
  let out = "";
  let err = "";
  child.stdout.setEncoding("utf8").on("data", (t: string) => {
    out += t;
    child.emit("said");
  });
  child.stderr.setEncoding("utf8").on("data", (t: string) => (err += t));
  const result = new Promise<Said | string>((resolve) => {
    child.once("error", (e) => resolve(e.message));
    child.once("close", (code) => {
      const last = out.trim().split("\n").at(-1) ?? "";
      try {
        resolve(JSON.parse(last) as Said);
      } catch {
        resolve(err.trim().split("\n").at(-1) || `the sender ended with ${code}`);
      }
    });
  });
  void result.then(() => clearTimeout(timer));
  const says = (word: string): Promise<void> =>
    new Promise((resolve) => {
      const look = (): void => void (out.includes(`${word}\n`) && resolve());
      child.on("said", look);
      look();
      void result.then(() => resolve());
    });
  return { child, says, result };
}
