import { describe, expect, test } from "vitest";
import { opensslPackets } from "../crypto/packets.ts";
import { DataHalf } from "./data.ts";
import { Done } from "./done.ts";
import { oneByOne } from "./onebyone.ts";
import { Reclaimer } from "./reclaim.ts";
import { type Node, packet, pair } from "./rig.cases.ts";
import { createTables, DATA_THREADS, Head, initTables, tablesSize } from "./tables.ts";

const LIMITS = { peers: 1, trieNodes: 0, stagedSlots: 0, stagedBytes: 0, handshakeCells: 0 };

describe("Reclaimer", () => {
  test("waits for each thread that was at work, and for no other", () => {
    const t = createTables(new ArrayBuffer(tablesSize(LIMITS)), 0, LIMITS);
    initTables(t);
    const r = new Reclaimer(t);
    const freed: string[] = [];
    const retire = (name: string): void => r.retire(() => freed.push(name) > 0);
    retire("all rest");
    expect(freed).toEqual(["all rest"]);
    const epoch = t.head + Head.EPOCH;
    t.i32[epoch] = 5;
    t.i32[epoch + DATA_THREADS - 1] = 7;
    retire("two at work");
    t.i32[epoch] = 6;
    r.collect();
    expect(freed).toHaveLength(1);
    t.i32[epoch + 1] = 1;
    t.i32[epoch + DATA_THREADS - 1] = 9;
    r.collect();
    expect(freed).toEqual(["all rest", "two at work"]);
    expect(r.waiting).toBe(0);
  });
});

describe("while the data thread works", () => {
  const ping = packet("10.0.0.1", "10.0.0.2");
  const connected = (): ReturnType<typeof pair> => {
    const p = pair();
    p.a.send(ping);
    p.net.settle();
    return p;
  };
  const keys = (n: Node): number => n.tables.i32.slice(n.tables.keypairs, n.tables.indices).filter((w) => w !== 0).length;

  test("keys and slots of a removed peer stay until it rests, and are unusable at once", () => {
    const { net, a, ab } = connected();
    a.data.enter();
    a.effects.push(...a.device.removePeer(ab, net.moment));
    expect(a.data.sender.send(4 * a.tables.staged, 0, 0, net.now)).toBeLessThan(0);
    expect(a.device.usage()).toMatchObject({ peers: 1, keypairs: 1, indices: 0 });
    expect(keys(a)).toBeGreaterThan(16);
    while (a.data.sender.work(4 * a.tables.staged, net.now) === Done.SEALED);
    a.data.leave();
    expect(a.device.usage()).toEqual({ peers: 0, keypairs: 0, indices: 0, nodes: 0, waiting: 0 });
    expect(keys(a)).toBe(0);
  });
  test("a slot whose staged packets were not dropped yet is not given away", () => {
    const { net, a, b } = connected();
    const silent = a.addPeer(new Uint8Array(32).fill(9), { endpoint: b.at, allowed: ["10.9.0.0/16"] });
    a.send(packet("10.0.0.1", "10.9.0.1"));
    // The wake is not performed.
    expect(a.device.removePeer(silent, net.moment)).toMatchObject([{ kind: "wake" }]);
    expect(a.device.usage()).toMatchObject({ peers: 2, waiting: 1 });
    a.work();
    expect(a.device.usage()).toMatchObject({ peers: 1, waiting: 0 });
    expect(a.device.drops().staged_purged).toBe(1);
  });
  test("what another thread stages after the staging list was emptied is dropped too", () => {
    const { net, a, b } = connected();
    const silent = a.addPeer(new Uint8Array(32).fill(9), { endpoint: b.at, allowed: ["10.9.0.0/16"] });
    const { buffer } = a.tables.u8;
    const other = new DataHalf(createTables(buffer, 0, a.tables.limits), oneByOne(opensslPackets(buffer)), 1, 2);
    const at = 4 * a.tables.cells;
    a.tables.u8.set(packet("10.0.0.1", "10.9.0.1"), at);
    other.enter();
    expect(other.sender.route(at, 76, 1, net.now)).toBe(Done.WAIT);
    a.perform(a.device.removePeer(silent, net.moment));
    expect(other.sender.stage(at, 76, net.now)).toBe(Done.STAGED);
    other.leave();
    net.pass(100);
    expect(a.device.usage()).toMatchObject({ peers: 1, waiting: 0 });
    expect(a.device.drops().staged_purged).toBe(1);
  });
});
