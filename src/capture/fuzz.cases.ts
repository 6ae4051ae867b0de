// A fuzzer of capture files: mutated copies of real ones are read to their end, and what was read of them is written and read again.
import { concat } from "../base/bytes.ts";
import type { Dice, Fuzzer } from "../base/random.cases.ts";
import { ByLink } from "./bylink.ts";
import { bytesOf, captures, copy } from "./fixtures.cases.ts";
import { CaptureReader, collect } from "./reader.ts";
import type { CaptureEvent } from "./packet.ts";

export const ownCaptures = (): Uint8Array[] => captures().map((name) => bytesOf(name));

/** Numbers that length fields should not have. */
const EXTREMES = [
  0,
  1,
  3,
  4,
  8,
  12,
  0x7fff,
  0xffff,
  0x10000,
  262_144,
  262_145,
  16 << 20,
  (16 << 20) + 4,
  0x7fffffff,
  0x80000000,
  0xfffffffc,
  0xffffffff,
];

/** Of files, fields of four bytes matter more than bytes. */
function damaged(dice: Dice, file: Uint8Array): Uint8Array {
  const bytes = dice.mutated(file);
  const v = new DataView(bytes.buffer);
  for (let n = dice.below(4); n > 0 && bytes.length >= 8; n--) {
    const at = dice.below(Math.min(bytes.length - 3, dice.chance(0.5) ? 400 : bytes.length)) & ~3;
    v.setUint32(at, dice.pick(EXTREMES), dice.chance(0.7));
  }
  return bytes;
}

function inPieces(dice: Dice, bytes: Uint8Array, salvage: boolean): CaptureEvent[] {
  const reader = new CaptureReader({ salvage });
  const events: CaptureEvent[] = [];
  const most = dice.pick([1, 50, 4096, bytes.length]);
  for (let at = 0; at < bytes.length && !reader.stopped;) {
    const next = at + 1 + dice.below(most);
    for (const e of reader.push(bytes.subarray(at, next))) events.push(e);
    at = next;
  }
  return [...events, ...(dice.chance(0.9) ? reader.end() : reader.broken("the pipe broke"))];
}

/** Files to mutate come from `corpus`. */
export const captureFiles = (corpus: readonly Uint8Array[]): Fuzzer => ({
  name: "capture files",
  start: (dice) => () => {
    const bytes = damaged(dice, dice.pick(corpus));
    const file = collect(inPieces(dice, bytes, dice.chance(0.5)));
    const expect = (holds: boolean, what: string): void => {
      if (!holds) throw new Error(what);
    };
    expect(file.notes.length + file.damage.length <= 1000, "more than 1000 remarks");
    let held = 0;
    for (const p of file.packets) {
      held += p.data.length;
      expect(p.originalLength >= p.data.length, `packet ${p.number} has more bytes than its original`);
      expect(p.time === undefined || typeof p.time === "bigint", "a time that is none");
    }
    expect(held <= bytes.length, `${held} bytes of packets in a file of ${bytes.length}`);
    const files: Uint8Array[][] = [];
    const writer = new ByLink(() => {
      const parts: Uint8Array[] = [];
      files.push(parts);
      return (b) => void parts.push(b);
    });
    copy(file, writer);
    let again = 0;
    for (const parts of files) {
      const reader = new CaptureReader();
      const written = collect([...reader.push(concat(...parts)), ...reader.end()]);
      expect(written.damage.length === 0, `what was written is damaged: ${written.damage[0]?.reason}`);
      again += written.packets.length;
    }
    expect(again === file.packets.length, `${again} of ${file.packets.length} packets were written`);
  },
});
