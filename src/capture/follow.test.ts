import fc from "fast-check";
import { expect, test } from "vitest";
import { concat, fromUtf8, utf8 } from "../base/bytes.ts";
import { parseIp } from "../base/ip.ts";
import { ipv4, tcp, udp } from "../packet/build.ts";
import { FollowedStream } from "./follow.ts";
import { IFACE } from "./made.cases.ts";
import { flowKey } from "./packetflow.ts";
import { TrackedPacket } from "./tracked.ts";

const A = { ip: parseIp("10.0.0.1")!, port: 4000 };
const B = { ip: parseIp("10.0.0.2")!, port: 80 };
type Part = { from?: typeof A; seq: number; ack?: number; flags?: number; text?: string };

function followed(parts: readonly Part[]): FollowedStream {
  const stream = new FollowedStream(flowKey("tcp", false, A, B));
  parts.forEach(({ from = A, seq, ack = 0, flags = 16, text = "" }, i) => {
    const to = from === A ? B : A;
    const segment = tcp(from.ip, to.ip, { srcPort: from.port, dstPort: to.port, sequence: seq >>> 0, acknowledgement: ack >>> 0, flags }, utf8(text));
    stream.add(packetOf(ipv4({ src: from.ip, dst: to.ip, protocol: 6 }, segment), i));
  });
  return stream;
}
const packetOf = (data: Uint8Array, i: number): TrackedPacket =>
  new TrackedPacket({ number: i + 1, iface: IFACE, time: BigInt(i), data, originalLength: data.length, comments: [] }, [], {});
const told = (s: FollowedStream): unknown[] => s.said.map((x) => [x.side, x.missing || fromUtf8(concat(...x.bytes))]);

test.for([
  ["in order", [{ seq: 5, text: "GET " }, { seq: 9, text: "/" }, { from: B, seq: 7, text: "200" }], [[0, "GET /"], [1, "200"]]], // prettier-ignore
  [
    "begun by SYN, whose number counts",
    [
      { seq: 99, flags: 2 },
      { seq: 100, text: "a" },
    ],
    [[0, "a"]],
  ],
  [
    "out of order, across the end of the numbers",
    [
      { seq: -2, text: "ab" },
      { seq: 2, text: "ef" },
      { seq: 0, text: "cd" },
    ],
    [[0, "abcdef"]],
  ],
  [
    "sent again, in other pieces",
    [
      { seq: 1, text: "abc" },
      { seq: 1, text: "abc" },
      { seq: 2, text: "bcde" },
    ],
    [[0, "abcde"]],
  ],
  ["lost by the capture, as the other side has it", [{ seq: 1, text: "ab" }, { seq: 5, text: "ef" }, { from: B, seq: 1, ack: 7 }], [[0, "ab"], [0, 2], [0, "ef"]]], // prettier-ignore
  [
    "lost on the way: it still may come",
    [
      { seq: 1, text: "ab" },
      { seq: 5, text: "ef" },
      { from: B, seq: 1, ack: 3 },
    ],
    [[0, "ab"]],
  ],
  [
    "the ports used once more",
    [
      { seq: 1, text: "ab" },
      { seq: 900, flags: 2 },
      { seq: 901, text: "cd" },
    ],
    [[0, "abcd"]],
  ],
] as const)("a TCP stream %s", ([, parts, expected]) => {
  expect(told(followed(parts))).toEqual(expected);
});

test("datagrams stand each for itself; what an ICMP error, another flow or a tunnel holds is not theirs", () => {
  const s = new FollowedStream(flowKey("udp", false, B, A));
  const datagram = (text: string, port = B.port): Uint8Array =>
    ipv4({ src: A.ip, dst: B.ip, protocol: 17 }, udp(A.ip, B.ip, A.port, port, utf8(text)));
  [datagram("one"), datagram("two"), datagram("else", 81)].forEach((d, i) => s.add(packetOf(d, i)));
  expect(told(s)).toEqual([[0, "one"], [0, "two"]]); // prettier-ignore
  expect(s.bytes).toEqual([6, 0]);
});

test("whatever order segments come in, and however often, the text is the text", () => {
  fc.assert(
    fc.property(
      fc.string({ unit: "binary-ascii", minLength: 1, maxLength: 80 }),
      fc.integer({ min: 0, max: 0xffffffff }),
      fc.array(fc.tuple(fc.nat(79), fc.integer({ min: 1, max: 20 })), { maxLength: 40 }),
      (text, start, cuts) => {
        const some = cuts.map(([at, length]): Part => ({ seq: start + 1 + at, text: text.slice(at, at + length) }));
        const all = Array.from(text, (c, i): Part => ({ seq: start + 1 + i, text: c }));
        const s = followed([{ seq: start, flags: 2 }, ...some, ...all.toReversed()]);
        expect(told(s)).toEqual([[0, text]]);
        expect([s.waiting, s.isCut]).toEqual([0, false]);
      },
    ),
  );
});

test("of a long stream the beginning is kept, and memory for what is missing is bounded", () => {
  const text = "x".repeat(60_000);
  const long = followed(Array.from({ length: 40 }, (_, i) => ({ seq: i * 60_000, text })));
  expect([long.bytes[0], long.isCut]).toEqual([2_400_000, true]);
  expect(long.said.flatMap((x) => x.bytes).reduce((n, b) => n + b.length, 0)).toBe(1 << 20);
  const gap = followed([{ seq: 0, text: "a" }, ...Array.from({ length: 9 }, (_, i) => ({ seq: 1000 + i * 60_000, text }))]);
  expect(gap.said.map((x) => x.missing)).toContain(999);
  expect(gap.waiting).toBeLessThan(256 << 10);
});
