// Opens capture files for the commands: any name, any container (gzip), "-" for standard input; and says aloud where a file is damaged.
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { Readable } from "node:stream";
import { createGunzip } from "node:zlib";
import { messageOf, TortieError } from "../../base/errors.ts";
import type { CaptureEvent } from "../../capture/packet.ts";
import { type CaptureFile, CaptureReader, collect } from "../../capture/reader.ts";

/** Events of a capture file, as they are read. A file that cannot be opened throws TortieError; damage within it is an event. */
export async function* readEvents(path: string, options: { salvage?: boolean } = {}): AsyncGenerator<CaptureEvent> {
  const reader = new CaptureReader(options);
  for await (const chunk of await open(path)) {
    yield* reader.push(chunk);
    if (reader.stopped) break;
  }
  yield* reader.end();
}

/** A whole capture file in memory. Throws TortieError when nothing of it is a capture. */
export async function readFile(path: string, options: { salvage?: boolean } = {}): Promise<CaptureFile> {
  const events: CaptureEvent[] = [];
  for await (const e of readEvents(path, options)) events.push(e);
  const file = collect(events);
  const [damage] = file.damage;
  if (damage && file.format === undefined && file.packets.length === 0) throw new TortieError(`Cannot read the capture "${path}": ${damage.reason}`);
  return file;
}

async function open(path: string): Promise<AsyncIterable<Uint8Array>> {
  let source: Readable = process.stdin;
  if (path !== "-") {
    const found = await stat(path).catch((e: NodeJS.ErrnoException) => {
      throw new TortieError(`Cannot open the capture "${path}": ${e.code === "ENOENT" ? "there is no such file" : messageOf(e)}`, { cause: e });
    });
    if (found.isDirectory()) throw new TortieError(`Cannot open the capture "${path}": it is a directory`);
    source = createReadStream(path, { highWaterMark: 1 << 20 });
  }
  return unpacked(source, path);
}

async function* unpacked(source: Readable, path: string): AsyncGenerator<Uint8Array> {
  try {
    const chunks = (source as AsyncIterable<Buffer>)[Symbol.asyncIterator]();
    const first = await chunks.next();
    if (first.done) return;
    const all = (async function* (): AsyncGenerator<Buffer> {
      yield first.value;
      for (let next = await chunks.next(); !next.done; next = await chunks.next()) yield next.value;
    })();
    const isGzip = first.value[0] === 0x1f && first.value[1] === 0x8b;
    yield* isGzip ? (Readable.from(all).pipe(createGunzip()) as AsyncIterable<Buffer>) : all;
  } catch (e) {
    throw new TortieError(`Cannot read the capture "${path}": ${messageOf(e)}`, { cause: e });
  }
}

/** Lines for standard error: where the file broke, what was odd. Empty for a sound file. `salvaged`: the reading went on after damage. */
export function remarks(file: CaptureFile, path: string, salvaged: boolean): string[] {
  const damage = file.damage.map((d) => `"${path}" is damaged at byte ${d.offset}, ${d.block}: ${d.reason}`);
  const read = file.damage.length > 0 ? [`${file.packets.length} ${file.packets.length === 1 ? "packet was" : "packets were"} read.`] : [];
  const hint = file.damage.length > 0 && !salvaged ? ["--salvage goes on after the damage, at the next block that is whole."] : [];
  const notes = file.notes.slice(0, 20).map((n) => `Note: byte ${n.offset}: ${n.what}`);
  const more = file.notes.length > 20 ? [`Note: ${file.notes.length - 20} more of this kind`] : [];
  return [...damage, ...read, ...hint, ...notes, ...more];
}

/** True for -o json. Throws TortieError for what these commands do not print. */
export function wantsJson(format: string | undefined): boolean {
  if (format !== undefined && format !== "json") throw new TortieError(`Cannot print as "${format}": json, or nothing for text`);
  return format === "json";
}
