import { expect, test } from "vitest";
import { concat } from "../base/bytes.ts";
import { PacketIndex } from "./packetindex.ts";
import type { CaptureEvent, CapturedPacket } from "./packet.ts";
import { CaptureReader } from "./reader.ts";
import { PcapngWriter, PcapWriter } from "./writer.ts";

const bytesOf = (write: (sink: (b: Uint8Array) => void) => void): Uint8Array => {
  const parts: Uint8Array[] = [];
  write((b) => parts.push(b.slice()));
  return concat(...parts);
};
const section = (n: number, interfaces: number): Uint8Array =>
  bytesOf((sink) => {
    const w = new PcapngWriter(sink, {});
    for (let i = 0; i < interfaces; i++) {
      w.addInterface({ link: i === 0 ? 1 : 101, snaplen: 0, name: `if${n}.${i}` });
      for (let k = 0; k < 3; k++)
        w.packet(i, {
          time: BigInt(n * 100 + i * 10 + k),
          data: new Uint8Array(20 + k).fill(n + i),
          originalLength: 99,
          comments: [`${n}/${i}/${k}`],
        });
      w.statistics(i, 5n, {});
    }
  });
const pcap = bytesOf((sink) => {
  const w = new PcapWriter(sink, { link: 1, snaplen: 0 });
  for (let k = 0; k < 5; k++) w.packet(0, { time: BigInt(k) * 1000n, data: new Uint8Array(k * 7).fill(k), originalLength: k * 7 });
});

/** Reads in pieces of this size, as a file comes. */
function indexed(file: Uint8Array, piece: number, salvage = false): { index: PacketIndex; packets: CapturedPacket[] } {
  const index = new PacketIndex((offset, length) => file.subarray(offset, offset + length));
  const reader = new CaptureReader({ salvage });
  const packets: CapturedPacket[] = [];
  const take = (events: CaptureEvent[]): void => {
    index.add(events);
    for (const e of events) if (e.kind === "packet") packets.push({ ...e.packet, data: e.packet.data.slice() });
  };
  for (let at = 0; at < file.length; at += piece) take(reader.push(file.subarray(at, at + piece)));
  take(reader.end());
  return { index, packets };
}

const damaged = concat(section(1, 2), new Uint8Array(37).fill(7), section(2, 1));
test.for([
  ["pcap", pcap, false, 5],
  ["pcapng with an interface in mid-section", section(1, 2), false, 6],
  ["several sections, whose interfaces count on", concat(section(1, 2), section(2, 1), section(3, 3)), false, 18],
  ["a pcapng that is salvaged", damaged, true, 9],
] as const)("PacketIndex gives each packet again, in any order: %s", ([, file, salvage, count]) => {
  for (const piece of [file.length, 61]) {
    const { index, packets } = indexed(file, piece, salvage);
    expect([index.length, packets.length]).toEqual([count, count]);
    const order = packets.map((_, i) => (i * 5) % count).concat(packets.map((_, i) => count - 1 - i));
    for (const i of order) {
      const again = index.packet(i)!;
      expect({ ...again }).toEqual({ ...packets[i]! });
      expect(index.time(i)).toBe(packets[i]!.time);
    }
  }
});

test("PacketIndex keeps classes, over pages too, and names the packets that it has not", () => {
  const index = new PacketIndex(() => new Uint8Array());
  const packet = { number: 1, iface: {} as never, time: undefined, data: new Uint8Array(), originalLength: 0, comments: [] };
  for (let i = 0; i < 70_000; i++) index.add([{ kind: "packet", packet, offset: i * 3 }]);
  index.classify(69_999, "cookie", true);
  index.classify(1, "data");
  expect([index.classOf(69_999), index.isPut(69_999), index.classOf(1), index.isPut(1), index.classOf(2)]).toEqual([
    "cookie",
    true,
    "data",
    false,
    "other",
  ]);
  expect([index.offset(69_999), index.time(69_999), index.packet(69_999)]).toEqual([209_997, undefined, undefined]);
  expect(() => index.offset(70_000)).toThrow("There is no packet 70000");
});
