// What a capture may be packed into: gzip or zstd. Found out by the first bytes, never by the name. However much comes out of it, little is held at a time.
import { concat } from "../../base/bytes.ts";
import { gunzipped } from "./gzip.ts";
import { Intake } from "./intake.ts";

const LONGEST_MAGIC = 4;

/** What a file that begins with these bytes is packed into. */
export function containerOf(first: Uint8Array): "gzip" | "zstd" | undefined {
  if (first[0] === 0x1f && first[1] === 0x8b) return "gzip";
  const isFrame = first[0] === 0x28 && first[1] === 0xb5 && first[2] === 0x2f && first[3] === 0xfd;
  // pzstd begins with a frame that is to be skipped.
  const isSkippable = (first[0]! & 0xf0) === 0x50 && first[1] === 0x2a && first[2] === 0x4d && first[3] === 0x18;
  return isFrame || isSkippable ? "zstd" : undefined;
}

/**
 * The bytes inside; what is in no known container comes as it is. Throws at damage of the container, and JunkBehind at what stands behind its end, after all
 * that could be read.
 */
export async function* unpacked(chunks: AsyncGenerator<Uint8Array>): AsyncGenerator<Uint8Array> {
  try {
    const first = await beginning(chunks);
    const all = joined(first, chunks);
    const container = containerOf(first);
    if (container === "gzip") yield* gunzipped(new Intake(all));
    else if (container === "zstd") yield* (await import("./zstd.ts")).unzstd(new Intake(all));
    else yield* all;
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
