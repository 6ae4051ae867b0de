// A watch's body: one JSON text a line, of bounded length. Empty lines are keep-alives.
import { concat, fromUtf8 } from "../base/bytes.ts";
import { TortieError } from "../base/errors.ts";

/** An object is at most 3 MiB (the server's limit); a watch line holds one, escaped. */
export const LINE_LIMIT: number = 16 << 20;

/**
 * The lines of `chunks` without their newline; a keep-alive comes as "". What follows the last newline is dropped: it is half an event.
 * Throws TortieError when a line exceeds `limit` bytes.
 */
export async function* linesOf(chunks: AsyncIterable<Uint8Array>, limit: number = LINE_LIMIT): AsyncGenerator<string> {
  let parts: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of chunks) {
    let from = 0;
    for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, from)) {
      const line = fromUtf8(concat(...parts, chunk.subarray(from, end)));
      parts = [];
      length = 0;
      from = end + 1;
      yield line;
    }
    if (from === chunk.length) continue;
    parts.push(from === 0 ? chunk : chunk.slice(from));
    length += chunk.length - from;
    if (length > limit) throw new TortieError(`Cannot read the watch: a line of it exceeds ${limit} bytes`);
  }
}

/** The whole of a body as text; throws TortieError when it exceeds `limit` bytes. */
export async function textOf(chunks: AsyncIterable<Uint8Array>, limit: number = 256 << 20): Promise<string> {
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of chunks) {
    length += chunk.length;
    if (length > limit) throw new TortieError(`Cannot read the answer: it exceeds ${limit} bytes`);
    parts.push(chunk);
  }
  return fromUtf8(concat(...parts));
}
