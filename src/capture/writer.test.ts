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
  test("a file cut between two calls is whole", () => {
    const parts: Uint8Array[] = [];
    const w = new PcapngWriter((b) => parts.push(b));
    const i = w.addInterface({ link: 1 });
    for (let n = 0; n < 5; n++) w.packet(i, { time: BigInt(n), data: new Uint8Array(n + 1) });
    for (let n = 2; n <= parts.length; n++) expect(readCapture(concat(...parts.slice(0, n))).damage).toEqual([]);
  });
});
