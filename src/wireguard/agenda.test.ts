import { describe, expect, test } from "vitest";
import { Agenda } from "./agenda.ts";
import { note, takeNoted } from "./noted.ts";
import { packet, pair, SMALL } from "./rig.cases.ts";
import { Ask, createTables, initTables, Row, rowOf, type Tables, tablesSize } from "./tables.ts";

const LIMITS = { ...SMALL, peers: 200 };
function tables(): Tables {
  const t = createTables(new ArrayBuffer(tablesSize(LIMITS)), 0, LIMITS);
  initTables(t);
  return t;
}

test("each noted peer is taken once, whichever they are", () => {
  const t = tables();
  const peers = [0, 1, 30, 31, 32, 33, 63, 64, 127, 198, 199];
  for (const peer of [...peers, ...peers]) note(t, peer);
  const taken: number[] = [];
  takeNoted(t, (peer) => taken.push(peer));
  expect(taken.toSorted((x, y) => x - y)).toEqual(peers);
  takeNoted(t, (peer) => taken.push(peer));
  expect(taken).toHaveLength(peers.length);
});

describe("Agenda", () => {
  /** Ticks of 25 ms; the seconds in which the peer was looked at. `due`: when something of it is due, asked at each look. */
  const looks = (agenda: Agenda, due: (peer: number, now: number) => number, from: number, to: number): [number, number][] => {
    const seen: [number, number][] = [];
    for (let now = from; now < to; now += 25)
      for (const peer of agenda.now(now)) {
        seen.push([peer, now]);
        agenda.later(peer, due(peer, now), now);
      }
    return seen;
  };
  test("a noted peer is looked at for a second, as its stamp may be seen later than its note; then never, if it waits for nothing", () => {
    const t = tables();
    const agenda = new Agenda(t);
    note(t, 7);
    const seen = looks(agenda, () => Infinity, 100_000, 200_000);
    expect(seen.map(([peer]) => peer)).toEqual(Array.from({ length: 41 }, () => 7));
    expect(seen.at(-1)![1]).toBe(101_000);
    expect(agenda.size).toBe(0);
  });
  test("what waits is left alone until a second before it is due, and is looked at from then on until it says otherwise", () => {
    const t = tables();
    const agenda = new Agenda(t);
    note(t, 1);
    note(t, 2);
    const dues = new Map([
      [1, 110_500],
      [2, 640_000],
    ]);
    const seen = looks(agenda, (peer, now) => (now >= dues.get(peer)! ? Infinity : dues.get(peer)!), 100_000, 700_000);
    for (const [peer, due] of dues) {
      const times = seen.filter(([p, now]) => p === peer && now > 101_100).map(([, now]) => now);
      expect(times[0]).toBeGreaterThanOrEqual(due - 1000);
      expect(times).toContain(due);
      expect(times.length).toBeLessThan(100);
    }
    expect(agenda.size).toBe(0);
  });
  test("a note brings back what was put off; a sleep brings back all that is overdue", () => {
    const t = tables();
    const agenda = new Agenda(t);
    for (let peer = 0; peer < 100; peer++) note(t, peer);
    looks(agenda, (peer) => 200_000 + 1000 * peer, 100_000, 102_000);
    expect(agenda.size).toBe(100);
    note(t, 50);
    expect([...agenda.now(103_000)]).toEqual([50]);
    expect([...agenda.now(249_500)].toSorted((x, y) => x - y)).toEqual(Array.from({ length: 51 }, (_, i) => i));
  });
  test("a forgotten peer is in no list", () => {
    const t = tables();
    const agenda = new Agenda(t);
    note(t, 1);
    note(t, 2);
    looks(agenda, () => 150_000, 100_000, 102_000);
    agenda.forget(1);
    expect(agenda.size).toBe(1);
    expect([...agenda.now(150_000)]).toEqual([2]);
    agenda.forget(2);
    expect([...agenda.now(150_000)]).toEqual([]);
  });
});

test("of two hundred peers a tick looks at the one that has something to do", () => {
  const { net, a, b } = pair({ limits: LIMITS });
  for (let i = 0; i < 190; i++) a.addPeer(new Uint8Array(32).fill(i + 2), { endpoint: b.at });
  a.send(packet("10.0.0.1", "10.0.0.2"));
  net.pass(3000);
  const { i32 } = a.tables;
  // The row's words as a tick reads them: who is not looked at could have anything there.
  for (const p of a.device.peers()) if (p.slot !== 0) i32[rowOf(a.tables, p.slot) + Row.ASKS] = Ask.HANDSHAKE;
  net.log.length = 0;
  net.pass(60_000, 50);
  expect(net.log.map((d) => d.bytes[0])).not.toContain(1);
});
