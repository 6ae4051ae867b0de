// Sessions followed by keys and proof (section 2.4), and what they tell of the peers (section 8.1): on real handshakes and data of made-up peers.
import { describe, expect, test } from "vitest";
import { concat } from "../base/bytes.ts";
import { nodeCrypto } from "../crypto/node.ts";
import { alarmsOf } from "./alarms.ts";
import { Analysis, type AnalysisOptions } from "./analysis.ts";
import { parseKeyLog } from "./keylog.ts";
import { writeInner } from "./fixtures.cases.ts";
import { A, B, BEGAN, data, handshake, IFACE, log, type Made, pair, ping, Scene } from "./made.cases.ts";
import { peerPairs } from "./peers.ts";
import { clockSkew, keepaliveInterval, missing, roundTrip, type Session } from "./session.ts";
import type { TrackedPacket } from "./tracker.ts";

function analysed(scene: Scene, keys = "", options: Partial<AnalysisOptions> = {}): { analysis: Analysis; packets: TrackedPacket[]; one: Session } {
  const analysis = new Analysis({ crypto: nodeCrypto, logs: [parseKeyLog(keys)], ...options });
  const events = scene.packets.map((packet) => ({ kind: "packet", packet }) as const);
  const packets: TrackedPacket[] = [];
  if (!options.live) analysis.learn(events);
  analysis.open(events, (t) => {
    for (const m of t.messages) m.opened?.keep();
    packets.push(t);
  });
  return { analysis, packets, one: analysis.sessions[0]! };
}
const alarms = (scene: Scene, keys = ""): string[] =>
  peerPairs(analysed(scene, keys).analysis.sessions)
    .flatMap(alarmsOf)
    .map((a) => a.code);
const s = handshake(1);
const opened = (packets: readonly TrackedPacket[]): number =>
  packets.flatMap((t) => t.messages).filter((m) => m.opened?.authenticated && m.opened.length > 0).length;

describe("which session a message belongs to", () => {
  test("the response before its initiation, the data before both", () => {
    const scene = new Scene()
      .add(0.002, A, B, data(s, "toResponder", 0, ping(0)))
      .add(0.001, B, A, s.response)
      .add(0, A, B, s.initiation);
    const { analysis, packets } = analysed(scene, log.initiator(s));
    expect([analysis.sessions.length, opened(packets)]).toEqual([1, 1]);
  });
  test("two handshakes at once with the same index and addresses: the tags decide", () => {
    const other = handshake(2, { initiator: pair(3), responder: pair(4), initiatorIndex: s.initiatorIndex, responderIndex: s.responderIndex });
    const scene = new Scene().add(0, A, B, s.initiation).add(0, A, B, other.initiation).add(1, B, A, s.response).add(1, B, A, other.response);
    for (let i = 0; i < 3; i++)
      for (const x of [s, other]) scene.add(2, A, B, data(x, "toResponder", i, ping(i))).add(2, B, A, data(x, "toInitiator", i, ping(i)));
    const { analysis, packets } = analysed(scene, log.initiator(s) + log.responder(other));
    expect(opened(packets)).toBe(12);
    expect(analysis.sessions.map((x) => x.counts.toResponder.decrypted + x.counts.toInitiator.decrypted)).toEqual([6, 6]);
  });
  test("both sides chose the same index", () => {
    const same = handshake(3, { initiatorIndex: 7, responderIndex: 7 });
    const scene = new Scene().handshake(0, same);
    for (let i = 0; i < 3; i++) scene.add(1, A, B, data(same, "toResponder", i, ping(i))).add(1, B, A, data(same, "toInitiator", i));
    for (const keys of ["", log.responder(same)]) {
      const { toResponder, toInitiator } = analysed(scene, keys).one.counts;
      expect([toResponder.transport, toResponder.keepalives, toInitiator.transport, toInitiator.keepalives]).toEqual([3, 0, 0, 3]);
    }
  });
  test("made-up handshakes of one index do not keep the real one from opening", () => {
    const scene = new Scene();
    for (let i = 0; i < 200; i++) {
      const forged = new Uint8Array(s.initiation);
      forged[8] = i;
      scene.add(0, A, B, forged);
    }
    scene.handshake(1, s).add(2, A, B, data(s, "toResponder", 0, ping(0)));
    expect(opened(analysed(scene, log.initiator(s)).packets)).toBe(1);
  });
});

describe("what counters tell", () => {
  const traffic = (...counters: number[]): Scene => {
    const scene = new Scene().handshake(0, s);
    counters.forEach((n, i) => scene.add(1 + i / 100, A, B, data(s, "toResponder", n, ping(n))));
    return scene;
  };
  test.for<[string, number[], Partial<Session["counts"]["toResponder"]> & { lost: number }]>([
    ["in order", [0, 1, 2, 3], { lost: 0, gaps: 0, reordered: 0 }],
    ["a gap", [0, 1, 5], { lost: 3, gaps: 1, widestGap: { counters: 3, frame: 5 } }],
    ["late ones close it", [0, 3, 1, 2], { lost: 0, gaps: 1, reordered: 2, reorderDistance: 2, late: 0 }],
    ["behind the receiver's window", [0, 9000, 1], { lost: 8998, reordered: 1, reorderDistance: 8999, late: 1 }],
    ["from the middle on", [700, 701], { lost: 0, lowest: 700, highest: 701 }],
  ])("%s", ([, counters, { lost, ...expected }]) => {
    for (const keys of ["", log.initiator(s)]) {
      const c = analysed(traffic(...counters), keys).one.counts.toResponder;
      expect(c).toMatchObject(expected);
      expect(missing(c)).toBe(lost);
    }
  });
  test("a copy on another interface, a replay, and a nonce used twice are different things", () => {
    const m = data(s, "toResponder", 5, ping(5));
    const scene = new Scene().handshake(0, s).add(1, A, B, m);
    scene.add(1.00001, A, B, m, { iface: { ...IFACE, id: 1 } });
    scene.add(2, A, B, m);
    scene.add(3, A, B, data(s, "toResponder", 5, ping(6)));
    expect(analysed(scene).one.counts.toResponder).toMatchObject({ transport: 4, duplicates: 1, replays: 1, conflicts: 1 });
    expect(alarms(scene)).toEqual(expect.arrayContaining(["replay", "nonce-reuse"]));
  });
  test.for<[string, after: number, again: { id?: number; ttl?: number }, "duplicates" | "replays"]>([
    ["the same packet within a moment: two taps in one interface", 0.000_02, { id: 7 }, "duplicates"],
    ["the same packet later", 0.02, { id: 7 }, "replays"],
    ["with fewer hops left, the clock of the other tap being another", 0.02, { id: 7, ttl: 63 }, "duplicates"],
    ["with fewer hops left, long after", 5, { id: 7, ttl: 63 }, "replays"],
    ["another packet, however soon", 0.000_02, { id: 8 }, "replays"],
    ["without an identification", 0.000_02, { id: 0 }, "duplicates"],
  ])("once more: %s", ([, after, again, kind]) => {
    const m = data(s, "toResponder", 0, ping(0));
    for (const keys of ["", log.initiator(s)]) {
      const scene = new Scene()
        .handshake(0, s)
        .add(1, A, B, m, { id: 7 })
        .add(1 + after, A, B, m, again);
      expect(analysed(scene, keys).one.counts.toResponder).toMatchObject({ transport: 2, duplicates: 0, replays: 0, [kind]: 1 });
      expect(alarms(scene).includes("replay")).toBe(kind === "replays");
    }
  });
  test("a super-datagram at one tap, its messages at the next: copies, whatever their identifications", () => {
    const all = [0, 1, 2].map((n) => data(s, "toResponder", n, ping(n)));
    const scene = new Scene().handshake(0, s).add(1, A, B, concat(...all), { id: 100 });
    all.forEach((m, i) => scene.add(1.000_01 + i / 1e6, A, B, m, { id: 100 + i }));
    expect(analysed(scene).one.counts.toResponder).toMatchObject({ transport: 6, duplicates: 3, replays: 0 });
  });
  test("forged messages spoil no order where keys tell them", () => {
    const forged = data(s, "toResponder", 2 ** 40, ping(0));
    forged[20]! ^= 1;
    const scene = traffic(0, 1)
      .add(2, A, B, forged)
      .add(3, A, B, data(s, "toResponder", 2, ping(2)));
    const c = analysed(scene, log.initiator(s)).one.counts.toResponder;
    expect([c.failed, c.highest, missing(c)]).toEqual([1, 2, 0]);
  });
  test("keepalives and their interval", () => {
    const scene = new Scene().handshake(0, s);
    for (let i = 0; i < 5; i++) scene.add(25 * i, A, B, data(s, "toResponder", i));
    expect(keepaliveInterval(analysed(scene).one.counts.toResponder)).toBe(25);
  });
});

describe("endpoints", () => {
  const elsewhere = { ...A, port: 4000 };
  const moved = new Scene().handshake(0, s).add(1, A, B, data(s, "toResponder", 0, ping(0)));
  moved.add(2, elsewhere, B, data(s, "toResponder", 1, ping(1))).add(3, B, elsewhere, data(s, "toInitiator", 0, ping(0)));
  test.for([
    ["with keys", log.responder(s), true],
    ["without", "", false],
  ] as const)("roaming, %s", ([, keys, proven]) => {
    const { one, analysis } = analysed(moved, keys);
    expect(analysis.sessions.length).toBe(1);
    expect(one.roamings).toMatchObject([{ side: "initiator", frame: 4, from: A, to: elsewhere, proven }]);
    expect(one.initiator).toEqual(elsewhere);
  });
  test("two taps round a NAT: one session, no roaming, everything opens", () => {
    const outside = { ip: Uint8Array.of(198, 51, 100, 7), port: 1024 };
    const tap = { ...IFACE, id: 1 };
    const scene = new Scene().add(0, A, B, s.initiation).add(0.001, outside, B, s.initiation, { iface: tap });
    scene.add(0.002, B, outside, s.response, { iface: tap }).add(0.003, B, A, s.response);
    for (let i = 0; i < 4; i++) {
      const m = data(s, "toResponder", i, ping(i));
      scene.add(1 + i, A, B, m).add(1.0001 + i, outside, B, m, { iface: tap });
    }
    const { analysis, one, packets } = analysed(scene, log.initiator(s));
    expect([analysis.sessions.length, one.repeats, one.counts.toResponder.duplicates, opened(packets)]).toEqual([1, 2, 4, 8]);
    // Each packet once in what is exported.
    expect(writeInner(packets, () => {})).toBe(4);
    expect(one.roamed).toBeLessThanOrEqual(1);
  });
});

describe("pairs of peers", () => {
  test("retries are one attempt; what stands replaces what stood", () => {
    const tries = [0, 1, 2].map((i) => handshake(10 + i, { clock: BEGAN + 5000 * i }));
    const next = handshake(20, { clock: BEGAN + 130_000 });
    const scene = new Scene().add(0, A, B, tries[0]!.initiation).add(5.2, A, B, tries[1]!.initiation).handshake(10.4, tries[2]!);
    scene
      .add(11, A, B, data(tries[2]!, "toResponder", 0, ping(0)))
      .handshake(130, next)
      .add(131, A, B, data(next, "toResponder", 0));
    for (const keys of ["", log.private(pair(2)) + log.public(pair(1))]) {
      const pairs = peerPairs(analysed(scene, keys).analysis.sessions);
      expect(pairs.length).toBe(1);
      expect(pairs[0]!.attempts.map((a) => [a.sessions.length, a.answered?.number])).toEqual([
        [3, 2],
        [1, 3],
      ]);
      expect(pairs[0]!.chain.map((c) => [c.session.number, c.replaces?.number])).toEqual([
        [2, undefined],
        [3, 2],
      ]);
      expect(alarmsOf(pairs[0]!)).toEqual([]);
    }
  });
  test("round trip and clock difference", () => {
    const late = handshake(30, { clock: BEGAN - 3_600_000 });
    const { one } = analysed(new Scene().handshake(0, late, 0.0125), log.private(late.responder));
    expect(roundTrip(one)).toBe(12_500_000n);
    // The timestamp's last 24 bits are not told.
    expect(Number(clockSkew(one)! / 1_000_000n)).toBeGreaterThanOrEqual(3_600_000);
    expect(Number(clockSkew(one)! / 1_000_000n)).toBeLessThan(3_600_018);
  });
  const until = (x: Made, from: number, to: number, scene: Scene): Scene => {
    for (let t = from; t <= to; t += 10) scene.add(t, A, B, data(x, "toResponder", t, ping(t)));
    return scene;
  };
  const flood = Array.from({ length: 60 }, (_, i) => handshake(100 + i));
  test.for<[string, string[], Scene, string?]>([
    ["nothing", [], until(s, 1, 101, new Scene().handshake(0, s))],
    ["data after the session's end, and no renewal", ["stale-data", "no-rekey"], until(s, 1, 191, new Scene().handshake(0, s))],
    ["one initiation, no response", ["one-way-handshakes"], new Scene().add(0, A, B, s.initiation)],
    ["six unanswered ones", ["handshake-storm"], flood.slice(0, 6).reduce((scene, x, i) => scene.add(5.1 * i, A, B, x.initiation), new Scene())],
    ["a flood", ["handshake-storm"], flood.reduce((scene, x, i) => scene.add(i / 60, A, B, x.initiation), new Scene())],
    ["responses that do not arrive", ["responses-lost"], flood.slice(0, 4).reduce((scene, x, i) => scene.handshake(5.1 * i, x), new Scene())],
    [
      "a restart with a wrong clock",
      ["clock-back"],
      until(s, 1, 21, new Scene().handshake(0, s)).handshake(40, handshake(40, { clock: BEGAN - 60_000 })),
      log.private(s.responder),
    ],
  ])("alarms: %s", ([, expected, scene, keys]) => expect(alarms(scene, keys)).toEqual(expected));
});

describe("a capture without an end", () => {
  const events = (scene: Scene) => scene.packets.map((packet) => ({ kind: "packet", packet }) as const);
  test("keys that come late open what is still kept, once, in order", () => {
    const scene = new Scene().handshake(0, s);
    for (let i = 0; i < 5; i++) scene.add(1, A, B, data(s, "toResponder", i, ping(i)));
    // Memory of a chunk is used again.
    const analysis = new Analysis({ crypto: nodeCrypto, live: true });
    for (const e of events(scene)) {
      const chunk = new Uint8Array(e.packet.data);
      analysis.open([{ kind: "packet", packet: { ...e.packet, data: chunk } }]);
      chunk.fill(0xff);
    }
    const late: number[] = [];
    analysis.addKeys(parseKeyLog(log.initiator(s)), (t) => void late.push(t.packet.number));
    expect(late).toEqual([3, 4, 5, 6, 7]);
    expect(analysis.sessions[0]!.counts.toResponder.decrypted).toBe(5);
    analysis.addKeys(parseKeyLog(log.responder(s)), (t) => void late.push(t.packet.number));
    expect(late.length).toBe(5);
  });
  test("a block of keys in the stream does the same", () => {
    const scene = new Scene().handshake(0, s).add(1, A, B, data(s, "toResponder", 0, ping(0)));
    const analysis = new Analysis({ crypto: nodeCrypto, live: true });
    let n = 0;
    const secrets = { type: 0x57474b4c, data: new TextEncoder().encode(log.initiator(s)) };
    analysis.open([...events(scene), { kind: "secrets", secrets }], (t) => void (n += t.messages.filter((m) => m.opened).length));
    expect(n).toBe(1);
  });
  test("what no key opens is kept within bounds, and a flood forgets no session that stands", () => {
    const scene = new Scene().handshake(0, s);
    const analysis = new Analysis({ crypto: nodeCrypto, live: true });
    analysis.open(events(scene));
    const forged = new Uint8Array(s.initiation);
    for (let i = 0; i < 6000; i++) {
      new DataView(forged.buffer).setUint32(4, i, true);
      new DataView(forged.buffer).setUint32(8, i, true);
      analysis.open(events(new Scene().add(1, A, B, forged)));
    }
    const big = ping(0, 1400);
    const one = new Scene().add(2, A, B, data(s, "toResponder", 0, big)).packets[0]!;
    for (let i = 0; i < 9000; i++) analysis.open([{ kind: "packet", packet: one }]);
    let late = 0;
    analysis.addKeys(parseKeyLog(log.initiator(s)), () => void late++);
    expect(late).toBeGreaterThan(1000);
    expect(late).toBeLessThanOrEqual(8192);
  });
});

test("a super-datagram larger than a batch opens whole", () => {
  const messages = Array.from({ length: 100 }, (_, i) => data(s, "toResponder", i, ping(i)));
  const scene = new Scene().handshake(0, s);
  for (let i = 0; i < 3; i++) scene.add(1, A, B, data(s, "toResponder", 200 + i, ping(i)));
  scene.add(2, A, B, concat(...messages));
  const { packets, one } = analysed(scene, log.initiator(s));
  expect(packets.at(-1)!.messages.length).toBe(100);
  expect([opened(packets), one.counts.toResponder.failed]).toEqual([103, 0]);
});

test("a flood of handshakes stays within bounds, and what is beyond them is counted", () => {
  const flood = new Uint8Array(s.initiation);
  const events = new Scene().add(0, A, B, flood).packets;
  const analysis = new Analysis({ crypto: nodeCrypto });
  const N = 14_000;
  for (const pass of ["learn", "open"] as const)
    for (let i = 0; i < N; i++) {
      const data = new Uint8Array(events[0]!.data);
      new DataView(data.buffer).setUint32(28 + 8, i, true);
      analysis[pass]([{ kind: "packet", packet: { ...events[0]!, number: i + 1, data } }]);
    }
  expect(analysis.sessions.length).toBeLessThan(N);
  expect(analysis.sessions.length + analysis.untracked).toBe(N);
});
