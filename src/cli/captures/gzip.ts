// gzip (RFC 1952), member by member: zlib would throw away what it unpacked last when something else stands behind the end of a member.
import { crc32, createInflateRaw } from "node:zlib";
import { type Intake, JunkBehind } from "./intake.ts";

/** Bytes given to the decompressor at once: at most 1032 times as many come out of them. */
const PIECE = 16 << 10;
/** Bytes that it gives at once: when it meets damage, what it has not given is lost. */
const GIVEN = 64 << 10;

const DEFLATE = 8;
const HAS_CHECKSUM = 2;
const HAS_EXTRA = 4;
const HAS_NAME = 8;
const HAS_COMMENT = 16;
const RESERVED = 0xe0;

/** What the members hold. Throws at damage, and JunkBehind at what is no member, after all that could be read. */
export async function* gunzipped(input: Intake): AsyncGenerator<Uint8Array> {
  do {
    await header(input);
    yield* member(input);
  } while (await another(input));
}

/** Whether another member follows. Zeros up to the end are padding, as of tapes. */
async function another(input: Intake): Promise<boolean> {
  const { offset } = input;
  const first = await input.ahead(1);
  if (first[0] === 0x1f) return true;
  for (let some = first; some.length > 0; some = await input.ahead(PIECE)) {
    if (some.some((byte) => byte !== 0)) throw new JunkBehind("gzip", offset);
    input.skip(some.length);
  }
  return false;
}

async function header(input: Intake): Promise<void> {
  const { offset } = input;
  const head = await input.take(10);
  if (head[0] !== 0x1f || head[1] !== 0x8b) throw new JunkBehind("gzip", offset);
  const [method, flags] = [head[2]!, head[3]!];
  if (method !== DEFLATE || flags & RESERVED) throw new Error(`a gzip header that nobody knows (method ${method}, flags ${flags})`);
  if (flags & HAS_EXTRA) {
    const [low, high] = await input.take(2);
    await input.take(low! | (high! << 8));
  }
  for (const text of [HAS_NAME, HAS_COMMENT]) if (flags & text) while ((await input.take(1))[0] !== 0);
  if (flags & HAS_CHECKSUM) await input.take(2);
}

async function* member(input: Intake): AsyncGenerator<Uint8Array> {
  let sum = 0;
  let length = 0;
  for await (const bytes of inflated(input)) {
    sum = crc32(bytes, sum);
    length = (length + bytes.length) >>> 0;
    yield bytes;
  }
  const trailer = await input.take(8);
  const v = new DataView(trailer.buffer);
  if (v.getUint32(0, true) !== sum) throw new Error("incorrect data check");
  if (v.getUint32(4, true) !== length) throw new Error("incorrect length check");
}

/** Raw deflate data up to its end, and no byte farther. */
async function* inflated(input: Intake): AsyncGenerator<Uint8Array> {
  const inflate = createInflateRaw({ chunkSize: GIVEN });
  let out: Uint8Array[] = [];
  // An iterator over the stream would lose what was unpacked just before the damage.
  inflate.on("data", (bytes: Buffer) => out.push(bytes));
  const failed = new Promise<Error>((resolve) => inflate.once("error", resolve));
  const ended = new Promise<"end">((resolve) => inflate.once("end", () => resolve("end")));
  try {
    for (let result: Error | "end" | undefined; result !== "end";) {
      const piece = await input.ahead(PIECE);
      if (piece.length === 0) throw new Error("unexpected end of file");
      const before = inflate.bytesWritten;
      const written = new Promise<undefined>((resolve) => void inflate.write(piece, () => resolve(undefined)));
      result = await Promise.race([written, failed, ended]);
      const now = out;
      out = [];
      yield* now;
      if (result instanceof Error) throw result;
      input.skip(inflate.bytesWritten - before);
    }
  } finally {
    inflate.destroy();
  }
}
