import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { concat, toHex } from "../base/bytes.ts";
import { formatIp, parseIp } from "../base/ip.ts";
import { arp, ethernet, icmp, ip, ipv4, ipv6, tcp, udp, vlan } from "./build.ts";
import { checksum, pseudoSum } from "./checksum.ts";
import { decode, decodeIp } from "./decode.ts";
import type { IpLayer } from "./layer.ts";
import { LINK_ETHERNET, LINK_RAW } from "./link.ts";
import { Reassembler } from "./reassemble.ts";

const [a4, b4] = [parseIp("192.0.2.1")!, parseIp("198.51.100.9")!];
const [a6, b6] = [parseIp("2001:db8::1")!, parseIp("2001:db8::2")!];
const kinds = (bytes: Uint8Array, link = LINK_RAW): string[] => decode(bytes, link).map((l) => l.kind);

describe("checksum()", () => {
  // RFC 1071 section 3: 00 01 f2 03 f4 f5 f6 f7 sums to ddf2, so the checksum is 220d.
  test("of the RFC's example", () => expect(checksum(Uint8Array.of(0, 1, 0xf2, 3, 0xf4, 0xf5, 0xf6, 0xf7))).toBe(0x220d));
  test("over bytes with a right checksum is 0, for every length and protocol", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 90 }), fc.constantFrom<[Uint8Array, Uint8Array]>([a4, b4], [a6, b6]), (payload, [src, dst]) => {
        const u = udp(src, dst, 1, 2, payload);
        expect(checksum(u, pseudoSum(src, dst, 17, u.length))).toBe(0);
        const t = tcp(src, dst, { srcPort: 1, dstPort: 2 }, payload);
        expect(checksum(t, pseudoSum(src, dst, 6, t.length))).toBe(0);
        const i = icmp(src, dst, { type: 8 }, payload);
        expect(checksum(i, src.length === 4 ? 0 : pseudoSum(src, dst, 58, i.length))).toBe(0);
        expect(checksum(ipv4({ src: a4, dst: b4, protocol: 1 }, payload).subarray(0, 20))).toBe(0);
      }),
    );
  });
});

describe("decode()", () => {
  test("gives back what was built", () => {
    fc.assert(
      fc.property(fc.nat(65_535), fc.nat(65_535), fc.uint8Array({ maxLength: 64 }), fc.boolean(), (srcPort, dstPort, payload, v6) => {
        const [src, dst] = v6 ? [a6, b6] : [a4, b4];
        const bytes = ip({ src, dst, protocol: 6 }, tcp(src, dst, { srcPort, dstPort, sequence: 7, flags: 0x18 }, payload));
        const layers = decodeIp(bytes);
        expect(layers[0]).toMatchObject({ kind: v6 ? "ipv6" : "ipv4", src, dst, end: bytes.length });
        expect(layers[1]).toMatchObject({ kind: "tcp", srcPort, dstPort, sequence: 7, flags: 0x18 });
        const data = layers[2];
        expect(data ? toHex(bytes.subarray(data.at, data.end)) : "").toBe(toHex(payload));
      }),
    );
  });
  test("link padding is no payload", () => {
    const frame = concat(
      ethernet(new Uint8Array(6), new Uint8Array(6), 0x0800, ipv4({ src: a4, dst: b4, protocol: 17 }, udp(a4, b4, 1, 2, Uint8Array.of(9)))),
      new Uint8Array(20),
    );
    const data = decode(frame, LINK_ETHERNET).at(-1)!;
    expect([data.kind, data.end - data.at]).toEqual(["data", 1]);
  });
  test("ARP, VLAN in VLAN, IPv6 extension headers and fragments", () => {
    const mac = new Uint8Array(6);
    expect(kinds(ethernet(mac, mac, 0x88a8, vlan(5, 0x8100, vlan(6, 0x0806, arp(1, mac, a4, mac, b4)))), LINK_ETHERNET)).toEqual([
      "ethernet",
      "vlan",
      "vlan",
      "arp",
    ]);
    const hopByHop = concat(Uint8Array.of(17, 0, 1, 4, 0, 0, 0, 0), udp(a6, b6, 5, 6, Uint8Array.of(1)));
    expect(kinds(ipv6({ src: a6, dst: b6, protocol: 0 }, hopByHop))).toEqual(["ipv6", "extension", "udp", "data"]);
    expect(kinds(ipv6({ src: a6, dst: b6, protocol: 17, fragmentOffset: 8, id: 1 }, new Uint8Array(16)))).toEqual(["ipv6", "fragment", "data"]);
  });
  test("encapsulations within one another end", () => {
    let bytes = ipv4({ src: a4, dst: b4, protocol: 17 }, udp(a4, b4, 1, 2, new Uint8Array(3)));
    for (let i = 0; i < 40; i++) bytes = ipv4({ src: a4, dst: b4, protocol: 4 }, bytes);
    const layers = decodeIp(bytes);
    expect(layers.length).toBeLessThan(12);
    expect(layers.at(-1)).toMatchObject({ kind: "data", why: "too deep" });
  });
  test("of any bytes and link type throws nothing, and every layer lies within them", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.constantFrom(0, 1, 12, 101, 108, 113, 228, 229, 276, 9999), (bytes, link) => {
        for (const l of decode(bytes, link)) {
          expect(l.at).toBeGreaterThanOrEqual(0);
          expect(l.end).toBeLessThanOrEqual(bytes.length);
          expect(l.at).toBeLessThanOrEqual(l.end);
        }
      }),
      { numRuns: 2000 },
    );
  });
  test("of changed real packets throws nothing either", () => {
    const seed = ipv4(
      { src: a4, dst: b4, protocol: 17 },
      udp(
        a4,
        b4,
        9,
        4789,
        concat(
          Uint8Array.of(8, 0, 0, 0, 0, 0, 1, 0),
          ethernet(
            new Uint8Array(6),
            new Uint8Array(6),
            0x0800,
            ipv4(
              { src: a4, dst: b4, protocol: 1 },
              icmp(a4, b4, { type: 3 }, ipv4({ src: b4, dst: a4, protocol: 6 }, tcp(b4, a4, { srcPort: 1, dstPort: 2 }))),
            ),
          ),
        ),
      ),
    );
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(seed.length - 1), fc.nat(255)), { maxLength: 8 }), fc.nat(seed.length), (changes, cut) => {
        const bytes = new Uint8Array(seed.subarray(0, seed.length - (cut % 30)));
        for (const [at, value] of changes) if (at < bytes.length) bytes[at] = value;
        for (const l of decodeIp(bytes)) expect(l.end).toBeLessThanOrEqual(bytes.length);
      }),
      { numRuns: 2000 },
    );
  });
});

describe("Reassembler", () => {
  const payload = Uint8Array.from({ length: 3000 }, (_, i) => i * 7);
  const whole = (v6: boolean): Uint8Array => (v6 ? udp(a6, b6, 1, 2, payload) : udp(a4, b4, 1, 2, payload));
  const pieces = (v6: boolean, cuts: number[]): Uint8Array[] => {
    const bytes = whole(v6);
    const edges = [0, ...[...new Set(cuts.map((c) => Math.min(bytes.length - 1, c * 8)))].sort((x, y) => x - y).filter((c) => c > 0), bytes.length];
    return edges.slice(0, -1).map((from, i) => {
      const fields = { src: v6 ? a6 : a4, dst: v6 ? b6 : b4, protocol: 17, id: 4, fragmentOffset: from, moreFragments: edges[i + 1]! < bytes.length };
      return ip(fields, bytes.subarray(from, edges[i + 1]));
    });
  };
  test("puts fragments together in any order, IPv4 and IPv6", () => {
    fc.assert(
      fc.property(
        fc.boolean(),
        fc.array(fc.integer({ min: 1, max: 370 }), { minLength: 1, maxLength: 6 }),
        fc.infiniteStream(fc.nat(1000)),
        (v6, cuts, order) => {
          const parts = pieces(v6, cuts)
            .map((p) => ({ p, key: order.next().value as number }))
            .sort((x, y) => x.key - y.key);
          const r = new Reassembler();
          const done = parts.map(({ p }) => r.add(p, decodeIp(p))).filter((x) => x !== undefined);
          expect(done.length).toBe(1);
          const layers = decodeIp(done[0]!);
          const data = layers.at(-1)!;
          expect(layers.map((l) => l.kind)).toEqual([v6 ? "ipv6" : "ipv4", "udp", "data"]);
          expect(toHex(done[0]!.subarray(data.at, data.end))).toBe(toHex(payload));
          expect(formatIp((layers[0] as IpLayer).src)).toBe(v6 ? "2001:db8::1" : "192.0.2.1");
        },
      ),
    );
  });
  test("a missing piece gives nothing, and nobody can fill memory", () => {
    const r = new Reassembler();
    for (let id = 0; id < 5000; id++) {
      const p = ipv4({ src: a4, dst: b4, protocol: 17, id, moreFragments: true }, new Uint8Array(800));
      expect(r.add(p, decodeIp(p))).toBeUndefined();
    }
    const last = ipv4({ src: a4, dst: b4, protocol: 17, id: 0, fragmentOffset: 800 }, new Uint8Array(8));
    expect(r.add(last, decodeIp(last))).toBeUndefined();
  });
});
