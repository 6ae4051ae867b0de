// Captures that come as a stream: a File in a browser, the body of an answer, a file of Node's.
import type { CaptureEvent } from "./packet.ts";
import { CaptureReader, type ReaderOptions } from "./reader.ts";

/** What ReadableStream has everywhere; some browsers cannot iterate over one. */
type WebStream = {
  getReader(): {
    read(): Promise<{ readonly done: boolean; readonly value?: Uint8Array | undefined }>;
    cancel(): Promise<unknown>;
  };
};

/** Pieces of a file in order: `blob.stream()`, `response.body`, `createReadStream(path)`. */
export type ByteStream = WebStream | AsyncIterable<Uint8Array>;

/**
 * The events of a capture (interfaces, packets, key blocks, damage …), an array for each piece of the stream. Packets share memory with their piece.
 * Damage in the file is an event; what the stream throws is thrown. gzip: `blob.stream().pipeThrough(new DecompressionStream("gzip"))`.
 */
export async function* readStream(stream: ByteStream, options: ReaderOptions = {}): AsyncGenerator<CaptureEvent[]> {
  const reader = new CaptureReader(options);
  for await (const piece of "getReader" in stream ? pieces(stream) : stream) {
    const events = reader.push(piece);
    if (events.length > 0) yield events;
    if (reader.stopped) return;
  }
  yield reader.end();
}

async function* pieces(stream: WebStream): AsyncGenerator<Uint8Array> {
  const reader = stream.getReader();
  try {
    for (let next = await reader.read(); !next.done; next = await reader.read()) yield next.value!;
  } finally {
    await reader.cancel();
  }
}
