// Reading no faster than what is printed is taken: a slow reader of standard output holds the reading up, and nothing gathers in memory.
import { once } from "node:events";

/** The same pieces; the next one comes when standard output has room again. */
export async function* paced<T>(pieces: AsyncIterable<T>): AsyncGenerator<T> {
  for await (const piece of pieces) {
    yield piece;
    // A reader that went away (an error) takes nothing more, and holds nothing up.
    if (process.stdout.writableNeedDrain && !process.stdout.errored) await once(process.stdout, "drain").catch(() => {});
  }
}
