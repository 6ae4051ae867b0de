import { describe, expect, test } from "vitest";
import { nobleCrypto } from "../crypto/noble.ts";
import { Indices } from "./indices.ts";
import { Keypairs } from "./keypairs.ts";
import { Reclaimer } from "./reclaim.ts";
import { nextWanting, pushWant } from "./rings.ts";
import { packet, pair, SMALL } from "./rig.cases.ts";
import { createTables, initTables, Keypair, keypairOf, Row, rowOf, tablesSize, Want } from "./tables.ts";

const PEER = 2;

function fresh(): { derive: (who: "i" | "r") => void; confirm: () => void; order: () => number[]; keypairs: Keypairs } {
  const t = createTables(new ArrayBuffer(tablesSize(SMALL)), 0, SMALL);
  initTables(t);
  const indices = new Indices<unknown>(t, nobleCrypto);
  const keypairs = new Keypairs(t, indices, new Reclaimer(t));
  const row = rowOf(t, PEER);
  let number = 0;
  return {
    keypairs,
    derive: (who) => {
      const keys = { send: new Uint8Array(32).fill(++number), receive: new Uint8Array(32) };
      expect(keypairs.install(PEER, keys, { local: indices.allocate({}), remote: number, initiator: who === "i", now: 1 })).toBe(true);
      expect(
        keys.send.every((b) => b === 0),
        "the keys are wiped",
      ).toBe(true);
    },
    // As the data half does it.
    confirm: () => {
      [t.i32[row + Row.PREVIOUS], t.i32[row + Row.CURRENT], t.i32[row + Row.NEXT]] = [t.i32[row + Row.CURRENT]!, t.i32[row + Row.NEXT]!, 0];
      keypairs.sweep(PEER);
    },
    order: () =>
      [Row.PREVIOUS, Row.CURRENT, Row.NEXT].map((w) => (t.i32[row + w] === 0 ? 0 : t.u32[keypairOf(t, t.i32[row + w]! - 1) + Keypair.REMOTE]!)),
  };
}

describe("previous, current and next", () => {
  test.for([
    { name: "initiator", steps: "i", want: [0, 1, 0] },
    { name: "initiator again", steps: "ii", want: [1, 2, 0] },
    { name: "initiator, thrice", steps: "iii", want: [2, 3, 0] },
    { name: "responder, unconfirmed", steps: "r", want: [0, 0, 1] },
    { name: "responder again, before it was confirmed", steps: "rr", want: [0, 0, 2] },
    { name: "responder, confirmed", steps: "rc", want: [0, 1, 0] },
    { name: "responder, confirmed twice", steps: "rcrc", want: [1, 2, 0] },
    { name: "responder drops the previous at once", steps: "iir", want: [0, 2, 3] },
    { name: "initiator while next waits: next becomes previous, current goes", steps: "iri", want: [2, 3, 0] },
    { name: "both by turns", steps: "ircirc", want: [3, 4, 0] },
  ])("$name", ({ steps, want }) => {
    const k = fresh();
    for (const s of steps) {
      if (s === "c") k.confirm();
      else k.derive(s as "i" | "r");
    }
    expect(k.order()).toEqual(want);
    expect(k.keypairs.inUse).toBe(want.filter((n) => n !== 0).length);
    k.keypairs.clear(PEER);
    expect(k.keypairs.inUse).toBe(0);
  });
  test("rows run out by name, and the keys are wiped all the same", () => {
    const k = fresh();
    const keys = { send: new Uint8Array(32).fill(1), receive: new Uint8Array(32).fill(1) };
    for (let i = 0; i < 32; i++)
      k.keypairs.install(i % 8, { send: keys.send.slice(), receive: keys.receive.slice() }, { local: i, remote: i, initiator: true, now: 1 });
    // Two a peer are live; the others were freed at once.
    expect(k.keypairs.inUse).toBe(16);
  });
});

test("the data half promotes next before the control half hears of it; both keypairs live", () => {
  const { net, a, b, ba } = pair();
  const handshake = (): void => {
    net.pass(1000);
    b.perform(b.device.forceHandshake(ba, net.moment));
    net.settle();
  };
  handshake();
  const first = a.tables.i32[rowOf(a.tables, 0) + Row.CURRENT]! - 1;
  handshake();
  expect(a.tables.i32[rowOf(a.tables, 0) + Row.PREVIOUS]).toBe(first + 1);
  // Unheard by the control half the first data of the next session comes.
  const tick = a.device.tick.bind(a.device);
  a.device.tick = () => [];
  handshake();
  const t = a.tables;
  const row = rowOf(t, 0);
  const usable = [Row.CURRENT, Row.PREVIOUS].map((w) => t.i32[keypairOf(t, t.i32[row + w]! - 1) + Keypair.USABLE]);
  expect([t.i32[row + Row.NEXT], ...usable]).toEqual([0, 3, 3]);
  a.device.tick = tick;
  a.send(packet("10.0.0.1", "10.0.0.2"));
  net.settle();
  expect(b.inbox).toHaveLength(1);
});

test("a peer stands in the ring of wants once", () => {
  const t = createTables(new ArrayBuffer(tablesSize(SMALL)), 0, SMALL);
  initTables(t);
  for (let i = 0; i < 100; i++) {
    pushWant(t, 3, Want.FLUSH);
    pushWant(t, 5, Want.PURGE);
  }
  expect([nextWanting(t), nextWanting(t), nextWanting(t)]).toEqual([3, 5, -1]);
});
