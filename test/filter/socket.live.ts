// Runs in a network namespace of its own (socket.test.ts starts it) and prints what it saw as JSON.
import { execFileSync } from "node:child_process";
import { createSocket, type Socket } from "node:dgram";
import { closeSync, readdirSync, readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { concat } from "../../src/base/bytes.ts";
import { bind, check } from "../../src/sys/ffi.ts";
import { capturableInterface } from "../../src/sys/interfaces.ts";
import { type LivePacket, openPacketSocket, type PacketSocket } from "../../src/sys/packetsocket.ts";

/** What was sent arrives at once, or, where the kernel has much else to receive, when its thread for that is given a processor. */
const SETTLE_MS = 500;

const ip = (line: string): void => void execFileSync("ip", line.split(" "), { stdio: "ignore" });
ip("link set lo up");

async function udp(): Promise<Socket> {
  const socket = createSocket("udp4");
  await new Promise<void>((resolve) => socket.bind(0, resolve));
  return socket;
}
const send = (s: Socket, data: Uint8Array | string, port: number, to: string): Promise<void> =>
  new Promise((resolve) => s.send(data, port, to, () => resolve()));

/** Puts a frame on a link as it is. */
function transmit(name: string, frame: Uint8Array): void {
  const fd = check(bind("int socket(int, int, int)")(17, 3, 0), "open a packet socket");
  const to = new Uint8Array(20);
  const view = new DataView(to.buffer);
  view.setUint16(0, 17, true);
  view.setInt32(4, capturableInterface(name).index, true);
  check(bind("intptr_t sendto(int, void *, size_t, int, void *, unsigned int)")(fd, frame, frame.length, 0, to, to.length), "send a frame");
  closeSync(fd);
}

function collect(socket: PacketSocket): { packets: LivePacket[]; done: Promise<void> } {
  const packets: LivePacket[] = [];
  const done = (async () => {
    for await (const batch of socket.packets()) packets.push(...batch);
  })();
  return { packets, done };
}

async function rate(): Promise<unknown> {
  const capture = await openPacketSocket({ interface: "lo", filter: "udp port 51820" });
  const { packets, done } = collect(capture);
  const s = await udp();
  // Nothing arrives for now: the wait for it must not hold anything up.
  let ticks = 0;
  const timer = setInterval(() => ticks++, 5);
  for (let n = 0; n < 30 && ticks <= 5; n++) await sleep(300);
  clearInterval(timer);
  const start = performance.now();
  for (let n = 0; n < 20_000;) {
    for (let i = 0; i < 50; i++, n++) {
      const data = Buffer.alloc(100);
      data.writeUInt32BE(n);
      s.send(data, 51820, "127.0.0.1");
      if (n % 4 === 0) s.send(data, 51821, "127.0.0.1");
    }
    await new Promise((resolve) => setImmediate(resolve));
    const ahead = n / 10 - (performance.now() - start);
    if (ahead > 1) await sleep(ahead);
  }
  await sleep(SETTLE_MS);
  await Promise.all([capture.close(), done]);
  s.close();
  const numbers = new Set(packets.map((p) => new DataView(p.data.buffer, p.data.byteOffset).getUint32(42)));
  return { packets: packets.length, numbers: numbers.size, dropped: capture.statistics().dropped, ticking: ticks > 5 };
}

async function slow(): Promise<unknown> {
  const capture = await openPacketSocket({ interface: "lo", filter: "udp port 7", retireMs: 5 });
  const s = await udp();
  let packets = 0;
  const reading = (async () => {
    for await (const batch of capture.packets()) {
      packets += batch.length;
      await sleep(30);
    }
  })();
  for (let i = 0; i < 500; i++) {
    await send(s, "x", 7, "127.0.0.1");
    if (i % 10 === 0) await sleep(2);
  }
  await sleep(SETTLE_MS);
  await Promise.all([capture.close(), reading]);
  s.close();
  return { packets };
}

async function once(
  name: string,
  filter: string,
  act: () => Promise<void>,
  more: { snapLength?: number } = {},
): Promise<{ linkType: number; packets: LivePacket[] }> {
  const capture = await openPacketSocket({ interface: name, filter, ...more });
  const { packets, done } = collect(capture);
  await act();
  await sleep(SETTLE_MS);
  await Promise.all([capture.close(), done]);
  return { linkType: capture.linkType, packets };
}

async function kinds(): Promise<unknown> {
  ip("link add c0 type veth peer name c1");
  for (const line of ["addr add 10.9.0.1/24 dev c0", "link set c0 up", "link set c1 up", "neigh add 10.9.0.2 lladdr 02:00:00:00:00:09 dev c0"])
    ip(line);
  for (const line of ["tuntap add dev t0 mode tun", "addr add 10.8.0.1/24 dev t0", "link set t0 up"]) ip(line);
  const s = await udp();
  const out = await once("c0", "udp port 7", () => send(s, "hi", 7, "10.9.0.2"));
  const incoming = await once("c1", "udp port 7", () => send(s, "hi", 7, "10.9.0.2"));
  const tagged = await once("c1", "vlan 7", async () =>
    transmit("c0", concat(new Uint8Array(12).fill(2), new Uint8Array([0x81, 0, 0, 7, 8, 0]), new Uint8Array(40))),
  );
  const any = await once("any", "udp port 7", () => send(s, "hi", 7, "10.9.0.2"));
  const cut = await once("c0", "udp port 7", () => send(s, Buffer.alloc(1000), 7, "10.9.0.2"), { snapLength: 60 });
  // A tun that nobody reads drops what is sent: its tap sees nothing, so only the link type counts. On lo there is always something.
  const tun = await openPacketSocket({ interface: "t0" });
  await tun.close();
  s.close();
  const bytes = (p: LivePacket | undefined, at: number): number => (p ? new DataView(p.data.buffer, p.data.byteOffset).getUint16(at) : -1);
  return {
    veth: { linkType: out.linkType, out: out.packets[0]?.direction === "out", in: incoming.packets.some((p) => p.direction !== "out") },
    tun: { linkType: tun.linkType },
    any: { linkType: any.linkType, indexes: any.packets.length >= 2 && any.packets.every((p) => bytes(p, 6) === p.interfaceIndex) },
    vlan: {
      type: bytes(tagged.packets[0], 12),
      id: bytes(tagged.packets[0], 14),
      inner: bytes(tagged.packets[0], 16),
      length: tagged.packets[0]?.data.length,
    },
    cut: { data: cut.packets[0]?.data.length, originalLength: cut.packets[0]?.originalLength },
  };
}

async function gone(): Promise<unknown> {
  ip("link add c0 type veth peer name c1");
  for (const n of ["c0", "c1"]) ip(`link set ${n} up`);
  const capture = await openPacketSocket({ interface: "c0" });
  const others = await Promise.all(["c1", "lo", "any"].map((name) => openPacketSocket({ interface: name })));
  const readers = others.map((o) => collect(o).done);
  const failing = collect(capture).done.then(
    () => "nothing",
    (e: Error) => e.message,
  );
  await sleep(50);
  await others[0]!.close();
  ip("link del c0");
  const message = await failing;
  await Promise.all(others.map((o) => o.close()));
  await Promise.all(readers);
  const open = readdirSync("/proc/self/fd").length;
  const again = await openPacketSocket({ interface: "lo" });
  await again.close();
  return { gone: message, open: readdirSync("/proc/self/fd").length - open };
}

/** A frame to a neighbour that is not there: it leaves by c0, where it is captured, without any queue that could lose it on the way. */
function pair(): void {
  ip("link add c0 type veth peer name c1");
  for (const line of ["addr add 10.9.0.1/24 dev c0", "link set c0 up", "link set c1 up", "neigh add 10.9.0.2 lladdr 02:00:00:00:00:09 dev c0"])
    ip(line);
}
const SENT = 100_000;
/** Sends numbered datagrams as fast as it goes, through a socket of its own. */
function flood(count: number): number {
  const fd = check(bind("int socket(int, int, int)")(2, 2, 0), "open a socket");
  const sendto = bind("intptr_t sendto(int, void *, size_t, int, void *, unsigned int)");
  const to = new Uint8Array([2, 0, 51820 >> 8, 51820 & 255, 10, 9, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0]);
  const data = new Uint8Array(100);
  let sent = 0;
  for (let n = 0; n < count; n++) {
    new DataView(data.buffer).setUint32(0, n);
    if (sendto(fd, data, data.length, 0, to, to.length) === data.length) sent++;
  }
  closeSync(fd);
  return sent;
}
const numberOf = (p: LivePacket): number => new DataView(p.data.buffer, p.data.byteOffset).getUint32(42);

/** With room for all of them nothing may be lost, however fast they come. */
async function many(): Promise<unknown> {
  pair();
  const capture = await openPacketSocket({ interface: "c0", filter: "udp port 51820", bufferBytes: 64 << 20 });
  const { packets, done } = collect(capture);
  const sent = flood(SENT);
  await sleep(SETTLE_MS);
  await Promise.all([capture.close(), done]);
  const inOrder = packets.every((p, i) => numberOf(p) === i);
  return { sent, packets: packets.length, inOrder, ...capture.statistics() };
}

/** In a ring that is too small, what is missing is counted, and the packets behind a gap say how wide it is. */
async function lossy(): Promise<unknown> {
  pair();
  const capture = await openPacketSocket({ interface: "c0", filter: "udp port 51820", bufferBytes: 1 << 20 });
  const sent = flood(SENT); // nobody reads
  const { packets, done } = collect(capture);
  await sleep(SETTLE_MS);
  const later = flood(10);
  await sleep(SETTLE_MS);
  await Promise.all([capture.close(), done]);
  const { received, dropped } = capture.statistics();
  const marked = packets.reduce((n, p) => n + p.dropped, 0);
  return { accounted: packets.length + dropped === sent + later, received: received === sent + later, lost: dropped > 0, marked: marked === dropped };
}

/** Where less memory may be mapped than was asked for. */
async function memory(): Promise<unknown> {
  const status = readFileSync("/proc/self/status", "utf8");
  const now = Number(/VmSize:\s+(\d+) kB/.exec(status)![1]) * 1024;
  const RLIMIT_AS = 9;
  const INFINITY = 2n ** 64n - 1n;
  const limit = (bytes: bigint): void =>
    void check(bind("int setrlimit(int, void *)")(RLIMIT_AS, new BigUint64Array([bytes, INFINITY])), "limit the memory");
  limit(BigInt(now + (40 << 20)));
  const capture = await openPacketSocket({ interface: "lo", bufferBytes: 256 << 20 });
  limit(INFINITY); // the ring has taken what there was
  const { bufferBytes } = capture;
  const { packets, done } = collect(capture);
  const s = await udp();
  await send(s, "x", 7, "127.0.0.1");
  await sleep(SETTLE_MS);
  await Promise.all([capture.close(), done]);
  s.close();
  return { less: bufferBytes < 64 << 20 && bufferBytes >= 1 << 20, works: packets.length > 0 };
}

/** A super-datagram: the kernel says how it is to be cut. */
async function segments(): Promise<unknown> {
  pair();
  const act = async (): Promise<void> => {
    const fd = check(bind("int socket(int, int, int)")(2, 2, 0), "open a socket");
    const [SOL_UDP, UDP_SEGMENT] = [17, 103];
    check(bind("int setsockopt(int, int, int, void *, unsigned int)")(fd, SOL_UDP, UDP_SEGMENT, new Int32Array([1000]), 4), "ask for segments");
    const to = new Uint8Array([2, 0, 0, 7, 10, 9, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0]);
    const sendto = bind("intptr_t sendto(int, void *, size_t, int, void *, unsigned int)");
    check(sendto(fd, new Uint8Array(4500), 4500, 0, to, to.length), "send");
    check(sendto(fd, new Uint8Array(900), 900, 0, to, to.length), "send");
    closeSync(fd);
  };
  const seen = await once("c0", "udp port 7", act);
  const any = await once("any", "udp port 7 and outbound", act);
  return [...seen.packets, ...any.packets].map((p) => [p.data.length, p.segment ?? "not said"]);
}

/** Messages of WireGuard, whose data is cut by the kernel and whose handshakes are not. */
async function dataLength(): Promise<unknown> {
  pair();
  ip("addr add fd09::1/64 dev c0 nodad");
  ip("neigh add fd09::2 lladdr 02:00:00:00:00:09 dev c0");
  const s4 = await udp();
  const s6 = createSocket("udp6");
  await new Promise<void>((resolve) => s6.bind(0, resolve));
  const capture = await openPacketSocket({ interface: "c0", filter: "udp port 7 or ip6 proto 17", dataSnapLength: 96 });
  const { packets, done } = collect(capture);
  for (const [type, length] of [
    [1, 148],
    [4, 148],
    [4, 32],
    [4, 1400],
    [2, 92],
    [9, 1400],
  ] as const) {
    const message = Buffer.alloc(length);
    message[0] = type;
    await send(s4, message, 7, "10.9.0.2");
    await send(s6, message, 7, "fd09::2");
  }
  await sleep(SETTLE_MS);
  await Promise.all([capture.close(), done]);
  s4.close();
  s6.close();
  return packets.map((p) => [p.originalLength, p.data.length]);
}

/** A tag that stands in the data, as a device leaves it that cannot keep it beside; and one beside. */
async function tags(): Promise<unknown> {
  ip("link add c0 type veth peer name c1");
  for (const n of ["c0", "c1"]) ip(`link set ${n} up`);
  const frame = (id: number): Uint8Array => concat(new Uint8Array(12).fill(2), new Uint8Array([0x81, 0, 0, id, 8, 0]), new Uint8Array(40).fill(0x45));
  const act = async (): Promise<void> => {
    for (const id of [7, 8]) transmit("c0", frame(id));
  };
  const results: Record<string, unknown> = {};
  for (const name of ["c0", "c1"]) {
    for (const filter of ["vlan 7", "vlan and ip", "not vlan and ip", "vlan 8 and ip[8] = 0x45"]) {
      const { packets } = await once(name, filter, act);
      results[`${name} ${filter}`] = packets.map((p) => p.data[15]);
    }
  }
  return results;
}

const result = await { rate, slow, kinds, gone, many, lossy, memory, segments, dataLength, tags }[process.argv[2] as "rate"]();
process.stdout.write(JSON.stringify(result));
