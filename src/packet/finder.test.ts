// The finder beside its naive twin: what the full decoder finds, it finds, or says that it must be asked.
import fc from "fast-check";
import { expect, test } from "vitest";
import { concat, toHex } from "../base/bytes.ts";
import { parseIp } from "../base/ip.ts";
import { datagramOf } from "../capture/split.ts";
import { ethernet, gre, icmp, ip, tcp, udp, vlan, vxlan } from "./build.ts";
import { decode } from "./decode.ts";
import { UdpFinder } from "./finder.ts";
import { fragmentOf } from "./reassemble.ts";

const [a4, b4] = [parseIp("192.0.2.1")!, parseIp("198.51.100.9")!];
const [a6, b6] = [parseIp("2001:db8::1")!, parseIp("2001:db8::2")!];
const MAC = new Uint8Array(6);
const ETHERTYPE = { 4: 0x0800, 6: 0x86dd } as const;

const packets = fc
  .record({
    family: fc.constantFrom<4 | 6>(4, 6),
    what: fc.constantFrom("udp", "udp", "udp", "tcp", "icmp", "vxlan", "gre", "ipip"),
    payload: fc.uint8Array({ maxLength: 100 }),
    port: fc.constantFrom(51_820, 4789, 6081, 53),
    fragment: fc.constantFrom({}, {}, {}, { moreFragments: true }, { fragmentOffset: 8 }),
  })
  .map(({ family, what, payload, port, fragment }) => {
    const [src, dst] = family === 4 ? [a4, b4] : [a6, b6];
    const datagram = udp(src, dst, 51_820, port, payload);
    const inner = ip({ src: a4, dst: b4, protocol: 17 }, udp(a4, b4, 1, 2, payload));
    const carried: Record<string, [number, Uint8Array]> = {
      udp: [17, datagram],
      tcp: [6, tcp(src, dst, { srcPort: 1, dstPort: 2 }, payload)],
      icmp: [family === 4 ? 1 : 58, icmp(src, dst, { type: family === 4 ? 3 : 1 }, inner)],
      vxlan: [17, udp(src, dst, 1, 4789, vxlan(7, ethernet(MAC, MAC, 0x0800, inner)))],
      gre: [47, gre(0x0800, inner)],
      ipip: [4, inner],
    };
    const [protocol, content] = carried[what]!;
    return { family, bytes: ip({ src, dst, protocol, ...fragment }, content) };
  });
const frames = fc.oneof(
  packets.map(({ bytes }) => ({ link: 101, bytes })),
  packets.map(({ family, bytes }) => ({ link: family === 4 ? 228 : 229, bytes })),
  packets.map(({ family, bytes }) => ({ link: 1, bytes: ethernet(MAC, MAC, ETHERTYPE[family], bytes) })),
  packets.map(({ family, bytes }) => ({ link: 1, bytes: ethernet(MAC, MAC, 0x8100, vlan(5, ETHERTYPE[family], bytes)) })),
  packets.map(({ family, bytes }) => ({
    link: 276,
    bytes: concat(Uint8Array.of(family === 4 ? 8 : 0x86, family === 4 ? 0 : 0xdd), new Uint8Array(18), bytes),
  })),
  packets.map(({ family, bytes }) => ({
    link: 113,
    bytes: concat(new Uint8Array(14), Uint8Array.of(family === 4 ? 8 : 0x86, family === 4 ? 0 : 0xdd), bytes),
  })),
  packets.map(({ family, bytes }) => ({ link: 0, bytes: concat(Uint8Array.of(family === 4 ? 2 : 10, 0, 0, 0), bytes) })),
);
const damaged = fc
  .tuple(frames, fc.option(fc.nat(200)), fc.array(fc.tuple(fc.nat(120), fc.nat(255)), { maxLength: 2 }))
  .map(([{ link, bytes }, cut, changes]) => {
    const out = new Uint8Array(cut === null ? bytes : bytes.subarray(0, cut));
    for (const [at, value] of changes) if (at < out.length) out[at] = value;
    return { link, bytes: out };
  });

test("every frame, whole, cut and damaged", () => {
  const finder = new UdpFinder();
  const said = { udp: 0, none: 0, ask: 0 };
  fc.assert(
    fc.property(damaged, ({ link, bytes }) => {
      const finding = finder.find(bytes, link);
      said[finding]++;
      if (finding === "ask") return;
      const layers = decode(bytes, link);
      const d = datagramOf(bytes, layers);
      expect(fragmentOf(layers)).toBe(undefined);
      expect(d !== undefined).toBe(finding === "udp");
      if (finding === "none") return;
      const { src, dst, addressLength, srcPort, dstPort, payload, end, length } = finder;
      const ends = [src, dst].map((at) => toHex(bytes.subarray(at, at + addressLength)));
      expect([toHex(bytes.subarray(payload, end)), length, srcPort, dstPort, ...ends]).toEqual([
        toHex(d!.payload),
        d!.length,
        d!.src.port,
        d!.dst.port,
        toHex(d!.src.ip),
        toHex(d!.dst.ip),
      ]);
    }),
    { numRuns: 4000 },
  );
  expect(Math.min(said.udp, said.none, said.ask)).toBeGreaterThan(100);
});
