import { describe, expect, test } from "vitest";
import { concat } from "../base/bytes.ts";
import { ACK, Arena, build, type Fields, headerLength, payloadOf, PSH, readVirtio, TCP, UDP, virtioBytes, virtioOf } from "./rig.cases.ts";

const arena = new Arena();
const NONE = new Uint8Array(10);

/** Consecutive packets of one flow. */
function run(f: Omit<Fields, "payload">, lengths: readonly number[]): Fields[] {
  let seq = f.seq ?? 1;
  return lengths.map((length, i) => {
    const one = { ...f, seq, id: ((f.id ?? 0) + i) & 0xffff, payload: payloadOf(length, i) };
    seq += length;
    return one;
  });
}
/** How many packets each write carries; -1 for one that is not what its packets make. */
function shape(sent: readonly Fields[], options = {}, damage: (packet: Uint8Array, i: number) => void = () => undefined): number[] {
  const packets = sent.map((f, i) => {
    const p = build(f);
    damage(p, i);
    return p;
  });
  const { writes, strays } = arena.coalesce(packets, options);
  expect(strays).toEqual([]);
  const out: number[] = [];
  for (const written of writes) {
    const header = written.subarray(0, 10);
    const packet = written.subarray(10);
    const at = packets.findIndex((p) => p.length > 0 && Buffer.compare(p, packet) === 0);
    if (at >= 0) {
      expect(header).toEqual(NONE);
      out.push(1);
      continue;
    }
    const { segments } = arena.split(header, packet);
    for (const segment of segments) expect(packets.some((p) => Buffer.compare(p, segment) === 0)).toBe(true);
    out.push(segments.length);
  }
  return out;
}

describe.for([4, 6] as const)("IPv%i", (version) => {
  const tcp = { version, protocol: TCP } as const;
  const udp = { version, protocol: UDP } as const;
  test.for<{ name: string; sent: readonly Fields[]; writes: readonly number[] }>([
    { name: "TCP in order", sent: run(tcp, [100, 100, 100]), writes: [3] },
    { name: "a short last one", sent: run(tcp, [100, 100, 40]), writes: [3] },
    { name: "nothing after a short one", sent: run(tcp, [100, 40, 40, 40]), writes: [2, 2] },
    { name: "a longer one starts anew", sent: run(tcp, [100, 101, 101]), writes: [1, 2] },
    { name: "one alone", sent: run(tcp, [100]), writes: [1] },
    { name: "64 at most", sent: run(tcp, Array<number>(130).fill(10)), writes: [64, 64, 2] },
    { name: "65,535 bytes at most", sent: run(tcp, Array<number>(50).fill(1400)), writes: [46, 4] },
    { name: "UDP, equal sizes", sent: run(udp, [100, 100, 100, 30, 100]), writes: [4, 1] },
    { name: "UDP, 64 at most", sent: run(udp, Array<number>(65).fill(1)), writes: [64, 1] },
  ])("$name", ({ sent, writes }) => expect(shape(sent)).toEqual(writes));

  test("the merged packet is what the kernel itself would have handed over", () => {
    for (const f of [tcp, udp]) {
      const sent = run(f, [200, 200, 70]);
      const whole: Fields = { ...sent[0]!, payload: concat(...sent.map((s) => s.payload)) };
      const { writes, pieces } = arena.coalesce(sent.map((s) => build(s)));
      expect(writes).toEqual([concat(virtioBytes(virtioOf(whole, 200)), build(whole, true))]);
      expect(pieces).toEqual([3]);
      expect(readVirtio(writes[0]!).headerLength).toBe(headerLength(sent[0]!));
    }
  });
  test("PSH ends an item and is kept", () => {
    const sent = run(tcp, [100, 100, 100, 100]);
    expect(shape(sent.map((f, i) => (i === 1 ? { ...f, flags: ACK | PSH } : f)))).toEqual([2, 2]);
  });
});
