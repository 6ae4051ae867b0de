// Reading no faster than what is printed is taken: a slow reader holds the reading up, and nothing gathers in memory.

/** The same pieces; the next one comes when there is room again where they are printed. */
export async function* paced<T>(pieces: AsyncIterable<T>, out: NodeJS.WriteStream = process.stdout): AsyncGenerator<T> {
  for await (const piece of pieces) {
    yield piece;
    // Behind all that was written, and also told when the reader went away. No event says both: standard output forgets its errors, but not that it is full.
    if (out.writableNeedDrain) await new Promise<unknown>((resolve) => out.write("", resolve));
  }
}
