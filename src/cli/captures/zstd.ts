// zstd (RFC 8878), frame by frame and block by block: fzstd unpacks what is inside. Its own cutting into frames tells neither where something else begins
// nor what memory a frame asks for.
import { Decompress } from "fzstd";
import { concat } from "../../base/bytes.ts";
import { type Intake, JunkBehind } from "./intake.ts";

const FRAME = 0xfd2fb528;
/** The last four bits are anything. */
const SKIPPABLE = 0x184d2a50;
/** A capture is read twice, and the memory of the first time may still be there at the second. */
const MAX_WINDOW = 64 << 20;
const MAX_BLOCK = 128 << 10;
/** fzstd moves all of the window along for each block. Bytes moved, below which nobody minds … */
const MUCH = 2 ** 36;
/** … and for each byte unpacked: full blocks in the largest window make 512. */
const MUCH_EACH = 2 ** 14;
const RUN = 1;
const RESERVED = 3;

/** What the frames hold, a block at a time. Throws at damage, and JunkBehind at what is no frame, after all that could be read. */
export async function* unzstd(input: Intake): AsyncGenerator<Uint8Array> {
  const work = { moved: 0, unpacked: 0 };
  while ((await input.ahead(1)).length > 0) {
    const { offset } = input;
    const magic = await input.take(4).catch(() => new Uint8Array(4));
    const kind = viewOf(magic).getUint32(0, true);
    if (kind === FRAME) yield* frame(input, magic, work);
    else if ((kind & ~15) === SKIPPABLE) await skip(input, viewOf(await input.take(4)).getUint32(0, true));
    else throw new JunkBehind("zstd", offset);
  }
}

async function* frame(input: Intake, magic: Uint8Array, work: { moved: number; unpacked: number }): AsyncGenerator<Uint8Array> {
  const { bytes, window, checksum } = await frameHeader(input);
  if (window > MAX_WINDOW)
    throw new Error(`it wants ${Math.ceil(window / 2 ** 20)} MB of memory to be unpacked, more than ${MAX_WINDOW >> 20}: \`zstd -d\` does it before`);
  let out: Uint8Array[] = [];
  const stream = new Decompress((block) => {
    out.push(block.slice());
    work.unpacked += block.length;
  });
  stream.push(concat(magic, bytes));
  for (let last = false; !last;) {
    const head = await input.take(3);
    const word = head[0]! | (head[1]! << 8) | (head[2]! << 16);
    const [type, size] = [(word >> 1) & 3, word >> 3];
    last = (word & 1) === 1;
    if (type === RESERVED || size > MAX_BLOCK) throw new Error("invalid zstd data");
    stream.push(concat(head, await input.take((type === RUN ? 1 : size) + (last && checksum ? 4 : 0))), last);
    yield* out;
    out = [];
    work.moved += window;
    if (work.moved > MUCH && work.moved > work.unpacked * MUCH_EACH)
      throw new Error("it consists of blocks of a few bytes each, which would take hours: `zstd -d` does it before");
  }
}

/** What follows the magic. `window`: bytes that unpacking keeps. */
async function frameHeader(input: Intake): Promise<{ bytes: Uint8Array; window: number; checksum: boolean }> {
  const first = await input.take(1);
  const descriptor = first[0]!;
  const isSingle = (descriptor & 0x20) !== 0;
  const dictionary = [0, 1, 2, 4][descriptor & 3]!;
  const content = [isSingle ? 1 : 0, 2, 4, 8][descriptor >> 6]!;
  const rest = await input.take((isSingle ? 0 : 1) + dictionary + content);
  return {
    bytes: concat(first, rest),
    window: isSingle ? contentSize(rest.subarray(dictionary)) : windowSize(rest[0]!),
    checksum: (descriptor & 4) !== 0,
  };
}

function windowSize(descriptor: number): number {
  const base = 2 ** (10 + (descriptor >> 3));
  return base + (base / 8) * (descriptor & 7);
}
function contentSize(field: Uint8Array): number {
  const v = viewOf(field);
  if (field.length === 1) return field[0]!;
  if (field.length === 2) return v.getUint16(0, true) + 256;
  return field.length === 4 ? v.getUint32(0, true) : Number(v.getBigUint64(0, true));
}

async function skip(input: Intake, length: number): Promise<void> {
  for (let left = length; left > 0;) {
    const some = await input.ahead(left);
    if (some.length === 0) throw new Error("unexpected end of file");
    input.skip(some.length);
    left -= some.length;
  }
}

const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
