// Reading no faster than what is printed is taken: a slow reader holds the reading up, and nothing gathers in memory.
import { once } from "node:events";

/** The same pieces; the next one comes when there is room again where they are printed. */
export async function* paced<T>(pieces: AsyncIterable<T>, out: NodeJS.WriteStream = process.stdout): AsyncGenerator<T> {
  for await (const piece of pieces) {
    yield piece;
    // A reader that went away (an error) takes nothing more, and holds nothing up.
    if (out.writableNeedDrain && !out.errored) await once(out, "drain").catch(() => {});
  }
}
