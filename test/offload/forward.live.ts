// Runs in a network namespace of its own (kernel.test.ts starts it), in which the kernel forwards from the TUN x to the TUN y, and prints as JSON what came
// out of y and what our code makes of the same.
import { setTimeout as sleep } from "node:timers/promises";
import fc from "fast-check";
import { concat } from "../../src/base/bytes.ts";
import { ACK, build, type Fields, payloadOf, PSH, splitNaive, TCP, UDP, virtioBytes, virtioOf } from "../../src/offload/packets.cases.ts";
import { wildTraffic } from "../../src/offload/hostile.cases.ts";
import { VIRTIO_HEADER } from "../../src/offload/index.ts";
import { ip, link, merge, read, segments, sysctl, write } from "./links.ts";

ip("link set lo up");
for (const name of ["all", "default"]) {
  sysctl(`ipv4/conf/${name}/rp_filter`, 0);
  sysctl(`ipv4/conf/${name}/forwarding`, 1);
  sysctl(`ipv6/conf/${name}/forwarding`, 1);
}
const x = link("x", true);
// The kernel has to split what goes here …
const plain = link("y", false);
// … and hands it over whole here.
const whole = link("z", true);
for (const [name, host] of [
  ["x", 1],
  ["y", 2],
  ["z", 3],
] as const) {
  ip(`route add 10.0.0.${host}/32 dev ${name}`);
  ip(`-6 route add fd00::${host}/128 dev ${name}`);
}

/** What comes out of a link of the test's packets: the kernel sends some of its own when a link comes up. */
async function received(fd: number, bytes: number): Promise<Uint8Array[]> {
  const out: Uint8Array[] = [];
  let size = 0;
  for (let wait = 0; wait < 200 && size < bytes;) {
    const packet = read(fd);
    if (packet === undefined) {
      wait++;
      await sleep(5);
      continue;
    }
    const p = packet.subarray(VIRTIO_HEADER);
    const ours = p[0]! >>> 4 === 4 ? p[12] === 10 && p[15] === 1 : p[8] === 0xfd && p[23] === 1;
    if (!ours) continue;
    size += p.length;
    out.push(packet);
  }
  return out;
}
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
const size = (packets: readonly Uint8Array[]): number => packets.reduce((n, p) => n + p.length, 0);

const timestamps = Uint8Array.of(1, 1, 8, 10, 1, 2, 3, 4, 5, 6, 7, 8);
const CWR = 128;
const ECE = 64;
const FIN = 1;
const kinds: readonly { name: string; f: Omit<Fields, "version" | "payload">; size: number; bytes: number; ecn?: boolean }[] = [
  { name: "TCP", f: { protocol: TCP, options: timestamps, id: 0xfff0, seq: 0xffff_0000, flags: ACK | PSH }, size: 1428, bytes: 60_000 },
  { name: "TCP, FIN, all equal", f: { protocol: TCP, flags: ACK | PSH | FIN, fragment: 0 }, size: 1000, bytes: 5000 },
  { name: "TCP, CWR", f: { protocol: TCP, flags: ACK | CWR | ECE, tos: 2 }, size: 500, bytes: 1600, ecn: true },
  { name: "TCP, small segments", f: { protocol: TCP }, size: 8, bytes: 400 },
  { name: "TCP, one byte each", f: { protocol: TCP }, size: 1, bytes: 60 },
  { name: "UDP, one byte each", f: { protocol: UDP }, size: 1, bytes: 60 },
  { name: "UDP", f: { protocol: UDP, id: 7 }, size: 1400, bytes: 40_000 },
  { name: "UDP, all equal", f: { protocol: UDP, fragment: 0 }, size: 100, bytes: 1000 },
];

const split: unknown[] = [];
const merged: unknown[] = [];
const alone: unknown[] = [];
for (const version of [4, 6] as const) {
  for (const { name, f, size: each, bytes, ecn } of kinds) {
    const sent: Fields = { ...f, version, payload: payloadOf(bytes), ttl: 64 };
    const virtio = { ...virtioOf(sent, each), ...(ecn && { type: version === 4 ? 0x81 : 0x84 }) };
    // The kernel's own splitting, a hop later.
    const naive = splitNaive({ ...sent, ttl: 63 }, each);
    write(x, concat(virtioBytes(virtio), build(sent, true)));
    const kernel = (await received(plain, size(naive))).map((p) => hex(p.subarray(VIRTIO_HEADER)));
    const ours = segments(concat(virtioBytes(virtio), build({ ...sent, ttl: 63 }, true))).map(hex);
    split.push({ name: `${name} over IPv${version}`, kernel, ours, naive: naive.map(hex) });

    // What we merge is split by the kernel into what it was; and handed over whole, it is split so by us.
    if ((f.flags ?? ACK) !== ACK && (f.flags ?? ACK) !== (ACK | PSH)) continue;
    const packets = splitNaive(sent, each);
    const writes = merge(x, packets);
    const back = (await received(plain, size(naive))).map((p) => hex(p.subarray(VIRTIO_HEADER)));
    const toZ = { ...sent, to: 3 };
    merge(x, splitNaive(toZ, each));
    const handed = await received(whole, toZ.payload.length);
    const again = handed.flatMap((p) => segments(p)).map(hex);
    merged.push({
      name: `${name} over IPv${version}`,
      writes: writes.length,
      packets: packets.length,
      back,
      handed: handed.length,
      again,
      sent: naive.map(hex),
      sentToZ: splitNaive({ ...toZ, ttl: 63 }, each).map(hex),
    });
  }
  for (const protocol of [TCP, UDP]) {
    const sent: Fields = { version, protocol, payload: payloadOf(777) };
    const header = virtioBytes({ ...virtioOf(sent, 0), type: 0 });
    write(x, concat(header, build(sent, true)));
    const kernel = (await received(plain, 1)).map((p) => hex(p.subarray(VIRTIO_HEADER)));
    const ours = segments(concat(header, build({ ...sent, ttl: 63 }, true))).map(hex);
    alone.push({ name: `protocol ${protocol} over IPv${version}`, kernel, ours });
  }
}

// Packets of a hostile peer: what we merge of them the kernel takes, so that nobody can make us believe that it cannot do it.
let taken = 0;
let refused = 0;
for (const packets of fc.sample(wildTraffic, 300)) {
  for (const n of merge(x, packets)) {
    if (n > 1) taken++;
    else if (n < -1) refused++;
  }
  while (read(plain) !== undefined);
}
process.stdout.write(JSON.stringify({ split, merged, alone, taken, refused }));
