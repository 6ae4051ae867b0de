// Runs in a network namespace of its own (socket.test.ts starts it) and prints what it saw as JSON.
import { execFileSync } from "node:child_process";
import { createSocket, type Socket } from "node:dgram";
import { closeSync, readdirSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { concat } from "../../src/base/bytes.ts";
import { bind, check } from "../../src/sys/ffi.ts";
import { capturableInterface } from "../../src/sys/interfaces.ts";
import { type LivePacket, openPacketSocket, type PacketSocket } from "../../src/sys/packetsocket.ts";

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
  await sleep(300);
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
  await sleep(50);
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
  await sleep(100); // the last ones arrive
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
  await sleep(80);
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

const result = await { rate, slow, kinds, gone }[process.argv[2] as "rate"]();
process.stdout.write(JSON.stringify(result));
