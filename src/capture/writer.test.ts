import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { concat, toHex } from "../base/bytes.ts";
import { secretsOf } from "./keylog.ts";
import { readCapture } from "./reader.ts";
import { PcapngWriter, PcapWriter } from "./writer.ts";

function written(write: (sink: (b: Uint8Array) => void) => void): Uint8Array {
  const parts: Uint8Array[] = [];
  write((b) => parts.push(b));
  return concat(...parts);
}
const packet = fc.record({
  time: fc.bigInt({ min: 0n, max: 4_000_000_000_999_999_999n }),
  data: fc.uint8Array({ minLength: 1, maxLength: 200 }),
  more: fc.nat(3000),
});

describe("what was written is read again", () => {
  test("pcapng: times to the nanosecond, lengths, directions, comments", () => {
    fc.assert(
      fc.property(
        fc.array(packet, { maxLength: 20 }),
        fc.constantFrom("in" as const, "out" as const, undefined),
        fc.string(),
        (packets, direction, comment) => {
          const bytes = written((sink) => {
            const w = new PcapngWriter(sink);
            const i = w.addInterface({ link: 1, name: "ens5", description: "node", filter: "udp port 51820", snaplen: 500 });
            for (const p of packets)
              w.packet(i, {
                time: p.time,
                data: p.data,
                originalLength: p.data.length + p.more,
                comments: [comment],
                ...(direction ? { direction } : {}),
              });
          });
          const f = readCapture(bytes);
          expect(f.damage).toEqual([]);
          expect(f.interfaces[0]).toMatchObject({ name: "ens5", description: "node", filter: "udp port 51820", snaplen: 500 });
          expect(f.packets.map((p) => [p.time, toHex(p.data), p.originalLength, p.direction])).toEqual(
            packets.map((p) => [p.time, toHex(p.data), p.data.length + p.more, direction]),
          );
          for (const p of f.packets) expect(new TextEncoder().encode(p.comments[0])).toEqual(new TextEncoder().encode(comment));
        },
      ),
    );
  });
  test.for([true, false])("pcap, nanoseconds %s", (nanoseconds) => {
    fc.assert(
      fc.property(fc.array(packet, { maxLength: 20 }), (packets) => {
        const f = readCapture(
          written((sink) => {
            const w = new PcapWriter(sink, { link: 101, nanoseconds });
            for (const p of packets) w.packet(0, p);
          }),
        );
        expect(f.packets.map((p) => p.time)).toEqual(packets.map((p) => (nanoseconds ? p.time : p.time - (p.time % 1000n))));
        expect(f.packets.map((p) => toHex(p.data))).toEqual(packets.map((p) => toHex(p.data)));
      }),
    );
  });
  test("secrets, names and counters", () => {
    const ip = new Uint8Array([172, 16, 1, 2]);
    const f = readCapture(
      written((sink) => {
        const w = new PcapngWriter(sink);
        w.secrets(secretsOf("PRESHARED_KEY = x\n"));
        const i = w.addInterface({ link: 1 });
        w.names([{ ip, names: ["pod1.default", "p"] }]);
        w.statistics(i, 1_700_000_000_000_000_001n, { start: 1_600_000_000_000_000_002n, received: 7n, osDropped: 3n });
      }),
    );
    expect(new TextDecoder().decode(f.secrets[0]!.data)).toBe("PRESHARED_KEY = x\n");
    expect(f.names).toEqual([{ ip, names: ["pod1.default", "p"] }]);
    expect(f.statistics[0]).toMatchObject({ time: 1_700_000_000_000_000_001n, start: 1_600_000_000_000_000_002n, received: 7n, osDropped: 3n });
  });
  test("all that can be said of an interface and of a packet", () => {
    const iface = {
      link: 1,
      snaplen: 96,
      fcsLength: 4,
      name: "ens5",
      description: "node/ens5",
      filter: "udp",
      os: "Linux",
      hardware: "virtio",
      mac: new Uint8Array([2, 0, 0, 0, 0, 1]),
      eui: new Uint8Array([2, 0, 0, 255, 254, 0, 0, 1]),
      speed: 10_000_000_000n,
      txSpeed: 1n,
      rxSpeed: 2n,
      timezone: "Europe/Berlin",
      ips: [
        { ip: new Uint8Array([10, 0, 0, 1]), prefix: 19 },
        { ip: new Uint8Array(16).fill(9), prefix: 64 },
      ],
      comments: ["one", "two"],
    };
    const packet = {
      time: 1n,
      data: new Uint8Array(5),
      originalLength: 7,
      flags: 0x206,
      dropped: 2n ** 63n,
      comments: ["a", "b"],
      details: { hash: new Uint8Array([2, 1, 2, 3, 4]), id: 2n ** 60n, queue: 3, verdict: new Uint8Array([0, 1]), process: 5n },
    };
    const f = readCapture(
      written((sink) => {
        const w = new PcapngWriter(sink, { application: "app", hardware: "x86", os: "Linux 6", comments: ["section"] });
        w.packet(w.addInterface(iface), packet);
      }),
    );
    expect(f.damage).toEqual([]);
    expect(f.interfaces).toEqual([{ id: 0, ...iface }]);
    expect(f.packets[0]).toMatchObject({ ...packet, direction: "out" });
  });
  test("long key logs and many names become several blocks and records that readers believe", () => {
    const line = `PRESHARED_KEY = ${"A".repeat(44)}\n`;
    const log = line.repeat(40_000);
    const names = Array.from({ length: 30_000 }, (_, i) => `${"n".repeat(60)}${i}`);
    const f = readCapture(
      written((sink) => {
        const w = new PcapngWriter(sink);
        w.secrets(secretsOf(log));
        w.secrets({ type: 1, data: new Uint8Array(3 << 20) });
        w.names(Array.from({ length: 60 }, (_, i) => ({ ip: new Uint8Array([10, 0, 0, i]), names })));
      }),
    );
    expect(f.damage).toEqual([]);
    const texts = f.secrets.filter((s) => s.type !== 1).map((s) => new TextDecoder().decode(s.data));
    expect(texts.length).toBeGreaterThan(1);
    expect(texts.join("")).toBe(log);
    for (const t of texts) expect(t.endsWith("\n")).toBe(true);
    expect(f.secrets.filter((s) => s.type === 1).reduce((n, s) => n + s.data.length, 0)).toBe(3 << 20);
    expect(f.names.map((n) => n.ip[3])).toEqual(Array.from({ length: 60 }, (_, i) => i));
  });
  test("a file cut between two calls is whole", () => {
    const parts: Uint8Array[] = [];
    const w = new PcapngWriter((b) => parts.push(b));
    const i = w.addInterface({ link: 1 });
    for (let n = 0; n < 5; n++) w.packet(i, { time: BigInt(n), data: new Uint8Array(n + 1) });
    for (let n = 2; n <= parts.length; n++) expect(readCapture(concat(...parts.slice(0, n))).damage).toEqual([]);
  });
});
