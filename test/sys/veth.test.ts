// Runs of datagrams over a link between two namespaces: as they come out of a device on another machine.
import { afterAll, describe, expect, test } from "vitest";
import { parseIp } from "../../src/base/ip.ts";
import { EIO } from "../../src/sys/errno.ts";
import { address, bind, errno } from "../../src/sys/ffi.ts";
import { Inbox } from "../../src/sys/inbox.ts";
import { release, share } from "../../src/sys/memory.ts";
import { SEGMENTS } from "../../src/sys/msghdr.ts";
import { isRefusedRun, Outgoing } from "../../src/sys/outgoing.ts";
import { Slab } from "../../src/sys/slab.ts";
import { closeUdp, offloadUdp, openUdp } from "../../src/sys/udp.ts";
import { ENDPOINT_WORDS, readEndpoint, writeEndpoint } from "../../src/wireguard/endpoint.ts";
import { eventually } from "../device/host.ts";
import { Namespace } from "./namespace.ts";

const ioctl = bind("int ioctl(int, unsigned long, void *)");

const here = new Namespace();
const there = new Namespace();
here.join("v0", ["192.0.2.1/24", "2001:db8::1/64"], there, "v1", ["192.0.2.2/24", "2001:db8::2/64"]);
const a = here.run(() => openUdp(0));
const b = there.run(() => openUdp(0));
offloadUdp(b);

const memory = share(2 << 20);
const slab = new Slab(memory);
const inbox = new Inbox(slab, 8);
const outgoing = new Outgoing(slab, 1, SEGMENTS);
const endpoint = slab.take(4 * ENDPOINT_WORDS);
const text = slab.take(100_000);
for (let i = 0; i < 100_000; i++) slab.u8[text + i] = i * 7 + (i >>> 8);
afterAll(() => {
  closeUdp(a);
  closeUdp(b);
  here.close();
  there.close();
  release(memory);
});

const ADDRESS = { v4: "192.0.2.2", v6: "2001:db8::2" };
const families = ["v4", "v6"] as const;
type Family = (typeof families)[number];

/** Lays out one run: datagrams of `size` bytes, `total` in all. */
function layOut(family: Family, size: number, total: number): void {
  writeEndpoint(slab.u8, slab.u32, endpoint, { ip: parseIp(ADDRESS[family])!, port: b.port });
  outgoing.clear();
  outgoing.start(endpoint);
  for (let at = 0; at < total; at += size) outgoing.append(text + at, Math.min(size, total - at));
  outgoing.finish(size < total ? size : 0);
}

/** Datagrams until `bytes` bytes have come. */
async function take(family: Family, bytes: number): Promise<Buffer[]> {
  const out: Buffer[] = [];
  await eventually(() => {
    const n = inbox.receive(b[family], 8, true);
    for (let i = 0; i < n; i++) {
      const [at, length, size] = [inbox.at(i), inbox.length(i), inbox.segment(i) || Math.max(1, inbox.length(i))];
      for (let o = 0; o < length; o += size) out.push(Buffer.from(slab.u8.slice(at + o, at + Math.min(length, o + size))));
      inbox.source(i, endpoint);
      expect(readEndpoint(slab.u8, slab.u32, endpoint)!.port).toBe(a.port);
    }
    const got = out.reduce((sum, d) => sum + d.length, 0);
    if (got < bytes) throw new Error(`${got} of ${bytes} bytes came`);
  });
  return out;
}

const cut = (size: number, total: number): Buffer[] => {
  const all = Buffer.from(slab.u8.slice(text, text + total));
  return Array.from({ length: Math.ceil(total / size) }, (_, i) => all.subarray(i * size, Math.min(total, (i + 1) * size)));
};

describe.for(families)("%s", (family) => {
  test("runs of odd sizes arrive as the datagrams that they were cut into", async () => {
    const overhead = family === "v4" ? 28 : 48;
    const sizes = [1, 7, 31, 32, 100, 333, 999, 1024, 1451, 1500 - overhead];
    for (const size of sizes)
      for (const total of [size, size + 1, 2 * size - 1, 2 * size, 5 * size + 3, 40 * size + (size >> 1), Math.min(SEGMENTS * size, 65_000)]) {
        if (Math.ceil(total / size) > SEGMENTS || total > 65_000) continue;
        layOut(family, size, total);
        expect(outgoing.send(a[family], 0, 1), `${size} of ${total}`).toBe(1);
        const got = await take(family, total);
        expect(got.length, `${size} of ${total}`).toBe(Math.ceil(total / size));
        expect(got.every((d, i) => d.equals(cut(size, total)[i]!))).toBe(true);
      }
  });

  test("where the path is too narrow for a segment the kernel refuses the run, and takes its datagrams one by one", async () => {
    here.ip("link set v0 mtu 1300");
    layOut(family, 1452, 10_000);
    expect(outgoing.send(a[family], 0, 1)).toBe(-1);
    expect(isRefusedRun(errno())).toBe(true);
    for (let first = 0; first < outgoing.count(0);) {
      const n = outgoing.sendPlain(a[family], 0, first);
      expect(n).toBeGreaterThan(0);
      first += n;
    }
    const got = await take(family, 10_000);
    expect(got.length).toBe(7);
    expect(got.every((d, i) => d.equals(cut(1452, 10_000)[i]!))).toBe(true);
    here.ip("link set v0 mtu 1500");
  });

  test("over a link that computes no checksums a run goes, or is refused with EIO and its datagrams go one by one", async () => {
    checksums(false);
    layOut(family, 1200, 20_000);
    if (outgoing.send(a[family], 0, 1) !== 1) {
      expect(errno()).toBe(EIO);
      expect(outgoing.sendPlain(a[family], 0, 0)).toBe(outgoing.count(0));
    }
    expect((await take(family, 20_000)).every((d, i) => d.equals(cut(1200, 20_000)[i]!))).toBe(true);
    checksums(true);
  });
});

/** What `ethtool -K v0 tx on|off` does (SIOCETHTOOL, ETHTOOL_STXCSUM). */
function checksums(on: boolean): void {
  const value = Buffer.allocUnsafeSlow(8);
  value.writeUInt32LE(0x17);
  value.writeUInt32LE(on ? 1 : 0, 4);
  const request = Buffer.alloc(40);
  request.write("v0");
  request.writeBigUInt64LE(BigInt(address(value)), 16);
  expect(ioctl(a.v4, 0x8946, request)).toBe(0);
}
