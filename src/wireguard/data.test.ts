import { expect, test } from "vitest";
import { Done } from "./data.ts";
import { packet, pair } from "./rig.cases.ts";
import { writeEndpoint } from "./endpoint.ts";

// Foreign functions box addresses; what is ours to keep is that the path around them allocates nothing.
test("the packet path allocates nothing", () => {
  const { net, a, b } = pair({
    packets: (memory) => {
      const u8 = new Uint8Array(memory);
      return { name: "none", seal: () => {}, open: (_key, _counter, from, to, length) => (u8.copyWithin(to, from, from + length), true) };
    },
  });
  a.send(packet("10.0.0.1", "10.0.0.2"));
  net.settle();
  const at = a.tables.end + 1024;
  const inner = packet("10.0.0.1", "10.0.0.2", 1000);
  const from = b.tables.end + 512;
  writeEndpoint(b.tables.u8, b.tables.u32, from, a.at);
  let wrong = 0;
  const packets = (n: number): void => {
    for (let i = 0; i < n; i++) {
      for (let j = 0; j < 20; j++) a.tables.u8[at + j] = inner[j]!;
      if (a.data.send(at, inner.length, net.now) !== Done.SEAL) wrong++;
      for (let j = 0; j < 40; j++) b.tables.u8[at + j] = a.tables.u8[a.data.messageAt + j]!;
      if (b.data.receive(at, a.data.messageLength, from, net.now) !== Done.DELIVER) wrong++;
    }
  };
  packets(20_000);
  // A number boxed per packet is 1.2 MB and more, or a collection that takes away as much; others' garbage may disturb one try, not all.
  const changes = [1, 2, 3].map(() => {
    const before = process.memoryUsage().heapUsed;
    packets(100_000);
    return Math.abs(process.memoryUsage().heapUsed - before);
  });
  expect(wrong).toBe(0);
  expect(Math.min(...changes)).toBeLessThan(100_000);
});
