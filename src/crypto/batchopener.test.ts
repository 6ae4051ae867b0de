// The opener of batches beside its naive twin: the same texts, the same refusals, whatever the lengths.
import { expect, test } from "vitest";
import { toHex } from "../base/bytes.ts";
import { data, handshake } from "../capture/made.cases.ts";
import { type BatchOpener, oneByOne, textOf } from "../capture/opener.ts";
import { batchOpener } from "./batchopener.ts";
import { nodeCrypto } from "./node.ts";

test("the texts of batches of any lengths; damaged ones are refused", () => {
  const [mine, twin] = [batchOpener(), oneByOne(nodeCrypto)];
  const sessions = [handshake(1), handshake(2)];
  let counter = 0;
  const text = (o: BatchOpener, i: number, length: number): string | undefined => {
    const view = textOf(o, i, length);
    return view && toHex(view);
  };
  for (let round = 0; round < 40; round++) {
    const count = 1 + (round % mine.capacity);
    const lengths: number[] = [];
    for (let i = 0; i < count; i++) {
      const s = sessions[i % 2]!;
      const length = round === 39 ? mine.longest - 64 : (round * 97 + i * 31) % 2000;
      const m = data(s, "toResponder", 2 ** 33 * (i % 3) + counter++, new Uint8Array(length).fill(i));
      if ((round + i) % 7 === 3) m[16 + ((i * 13) % (m.length - 16))]! ^= 4;
      const frame = new Uint8Array(m.length + 5 + (i % 4));
      const at = 1 + (i % 4);
      frame.set(m, at);
      lengths.push(m.length - 32);
      for (const o of [mine, twin]) o.add(s.keys.toResponder, frame, at, at + m.length);
    }
    mine.run();
    twin.run();
    for (let i = 0; i < count; i++) {
      const a = text(mine, i, lengths[i]!);
      expect(a).toBe(text(twin, i, lengths[i]!));
      expect(a === undefined).toBe((round + i) % 7 === 3);
    }
  }
  mine.wipe();
});
