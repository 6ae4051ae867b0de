// What a capture may be packed into: gzip or zstd. Found out by the first bytes, never by the name. However much comes out of it, little is held at a time.
import { createGunzip } from "node:zlib";
import { concat } from "../../base/bytes.ts";

/** Bytes given to the decompressor at once: at most 1032 times as many come out of them. */
const PIECE = 16 << 10;
/** Bytes that it gives at once: when it meets damage, what it has not given is lost. */
const GIVEN = 64 << 10;
/** The same for zstd, of which 4 bytes may stand for 128 KB: 16 MB at once. */
const ZSTD_PIECE = 512;
const LONGEST_MAGIC = 4;

/** What a file that begins with these bytes is packed into. */
export function containerOf(first: Uint8Array): "gzip" | "zstd" | undefined {
  if (first[0] === 0x1f && first[1] === 0x8b) return "gzip";
  return first[0] === 0x28 && first[1] === 0xb5 && first[2] === 0x2f && first[3] === 0xfd ? "zstd" : undefined;
}

/** The bytes inside; what is in no known container comes as it is. Throws at damage of the container, after all that could be read. */
export async function* unpacked(chunks: AsyncGenerator<Uint8Array>): AsyncGenerator<Uint8Array> {
  try {
    const first = await beginning(chunks);
    const all = joined(first, chunks);
    const container = containerOf(first);
    yield* container === "gzip" ? gunzipped(all) : container === "zstd" ? unzstd(all) : all;
  } finally {
    // Also when nobody wanted more than the beginning: the file is closed.
    await chunks.return(undefined);
  }
}

/** The first chunk, or as many as it takes to know what they are. */
async function beginning(chunks: AsyncGenerator<Uint8Array>): Promise<Uint8Array> {
  let first: Uint8Array = new Uint8Array();
  while (first.length < LONGEST_MAGIC) {
    const next = await chunks.next();
    if (next.done) break;
    first = first.length === 0 ? next.value : concat(first, next.value);
  }
  return first;
}

async function* joined(first: Uint8Array, rest: AsyncGenerator<Uint8Array>): AsyncGenerator<Uint8Array> {
  if (first.length > 0) yield first;
  yield* rest;
}

async function* gunzipped(chunks: AsyncGenerator<Uint8Array>): AsyncGenerator<Uint8Array> {
  const gunzip = createGunzip({ chunkSize: GIVEN });
  let out: Uint8Array[] = [];
  const failed = new Promise<Error>((resolve) => gunzip.once("error", resolve));
  gunzip.on("data", (bytes: Buffer) => out.push(bytes));
  // An iterator over the stream would lose what was unpacked just before the damage.
  const step = async (start: (done: () => void) => void): Promise<Error | undefined> =>
    await Promise.race([new Promise<undefined>((resolve) => start(() => resolve(undefined))), failed]);
  const taken = (): Uint8Array[] => {
    const now = out;
    out = [];
    return now;
  };
  try {
    for await (const chunk of chunks) {
      for (let at = 0; at < chunk.length; at += PIECE) {
        const error = await step((done) => gunzip.write(chunk.subarray(at, at + PIECE), done));
        yield* taken();
        if (error) throw error;
      }
    }
    const error = await step((done) => gunzip.once("end", done).end());
    yield* taken();
    if (error) throw error;
  } finally {
    gunzip.destroy();
  }
}

async function* unzstd(chunks: AsyncGenerator<Uint8Array>): AsyncGenerator<Uint8Array> {
  const { Decompress } = await import("fzstd");
  let out: Uint8Array[] = [];
  const stream = new Decompress((bytes) => out.push(bytes.slice()));
  const given = function* (bytes: Uint8Array, last: boolean): Generator<Uint8Array> {
    try {
      stream.push(bytes, last);
    } finally {
      // What was unpacked before damage is worth having.
      yield* out;
      out = [];
    }
  };
  for await (const chunk of chunks) for (let at = 0; at < chunk.length; at += ZSTD_PIECE) yield* given(chunk.subarray(at, at + ZSTD_PIECE), false);
  yield* given(new Uint8Array(), true);
}
