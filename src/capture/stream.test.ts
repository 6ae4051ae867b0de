import { createReadStream } from "node:fs";
import { expect, test } from "vitest";
import { bytesOf, captures } from "./fixtures.cases.ts";
import type { CaptureEvent } from "./packet.ts";
import { collect, readCapture } from "./reader.ts";
import { type ByteStream, readStream } from "./stream.ts";

const path = (name: string): URL => new URL(`../../test/captures/${name}`, import.meta.url);
async function all(stream: ByteStream): Promise<CaptureEvent[]> {
  const events: CaptureEvent[] = [];
  for await (const some of readStream(stream)) events.push(...some);
  return events;
}

test("readStream() of a Blob's stream and of a file's, whatever the pieces, is readCapture() of the bytes", async () => {
  for (const name of captures()) {
    const expected = readCapture(bytesOf(name));
    expect(collect(await all(new Blob([bytesOf(name) as Uint8Array<ArrayBuffer>]).stream())), name).toEqual(expected);
    expect(collect(await all(createReadStream(path(name), { highWaterMark: 61 }))), name).toEqual(expected);
  }
});

test("who stops reading lets go of the stream", async () => {
  let cancelled = false;
  const bytes = bytesOf("wggo-psk-v4.pcap");
  const stream = new ReadableStream<Uint8Array>({ pull: (c) => c.enqueue(bytes), cancel: () => void (cancelled = true) });
  for await (const events of readStream(stream)) if (events.length > 0) break;
  expect(cancelled).toBe(true);
});

test("readStream() throws what the stream throws", async () => {
  const stream = new ReadableStream<Uint8Array>({ pull: (c) => c.error(new Error("The file has changed")) });
  await expect(all(stream)).rejects.toThrow("The file has changed");
});
