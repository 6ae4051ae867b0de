// Opens capture files for the commands: any name, any container, "-" for standard input; and says aloud where a file is damaged.
import { messageOf, TortieError } from "../../base/errors.ts";
import type { Facts } from "../../capture/facts.ts";
import type { CaptureEvent } from "../../capture/packet.ts";
import { type CaptureFile, CaptureReader, collect, CONTAINER, type ReaderOptions } from "../../capture/reader.ts";
import { unpacked } from "./container.ts";
import { JunkBehind } from "./intake.ts";
import { Progress } from "./progress.ts";
import { sourceOf } from "./source.ts";

export type ReadOptions = ReaderOptions & {
  /** Nobody reads it a second time: standard input need not be kept. @default false */
  once?: boolean;
  /** Nobody keeps a packet when the next events are asked for: their memory is used again. @default false */
  reuse?: boolean;
  /** What is being done, for the progress line on standard error; none where packets are printed on the same terminal. @default "Reading FILE" */
  progress?: string | false;
};

/**
 * Events of a capture file, as they are read: an array for each piece of the file. Any path can be read again, standard input too.
 * Packets share memory with their piece. A file that cannot be opened throws TortieError; damage within it is an event.
 */
export async function* readEvents(path: string, options: ReadOptions = {}): AsyncGenerator<CaptureEvent[]> {
  const source = await sourceOf(path, options);
  const reader = new CaptureReader(options);
  const what = options.progress ?? `Reading ${path === "-" ? "standard input" : path}`;
  const progress = new Progress(what === false ? "" : what, source.size, what === false ? { write: () => {} } : process.stderr);
  try {
    for await (const chunk of unpacked(counted(source.chunks(options.reuse), progress))) {
      const events = reader.push(chunk);
      if (events.length > 0) yield events;
      if (reader.stopped) return;
    }
  } catch (e) {
    if (e instanceof TortieError) throw e;
    if (e instanceof JunkBehind) {
      yield [...reader.end(), { kind: "damage", damage: { offset: e.offset, block: CONTAINER, reason: e.message } }];
      return;
    }
    yield reader.broken(messageOf(e));
    return;
  } finally {
    progress.end();
  }
  yield reader.end();
}

async function* counted(chunks: AsyncGenerator<Uint8Array>, progress: Progress): AsyncGenerator<Uint8Array> {
  let done = 0;
  for await (const chunk of chunks) {
    progress.at((done += chunk.length));
    yield chunk;
  }
}

/** A whole capture file in memory. Throws TortieError when nothing of it is a capture. */
export async function readFile(path: string, options: ReadOptions = {}): Promise<CaptureFile> {
  const events: CaptureEvent[] = [];
  for await (const some of readEvents(path, options)) for (const e of some) events.push(e);
  const file = collect(events);
  const [damage] = file.damage;
  if (damage && file.format === undefined && file.packets.length === 0) throw new TortieError(`Cannot read the capture "${path}": ${damage.reason}`);
  return file;
}

/** Lines for standard error: where the file broke, what was odd. Empty for a sound file. `salvaged`: the reading went on after damage. */
export function remarks(file: Pick<Facts, "packets" | "damage" | "notes">, path: string, salvaged: boolean): string[] {
  const damage = file.damage.map((d) => `"${path}" is damaged at byte ${d.offset}, ${d.block}: ${d.reason}`);
  const read = file.damage.length > 0 ? [`${file.packets} ${file.packets === 1 ? "packet was" : "packets were"} read.`] : [];
  const hint =
    file.damage.some((d) => d.block !== CONTAINER) && !salvaged ? ["--salvage goes on after the damage, at the next block that is whole."] : [];
  return [...damage, ...read, ...hint, ...firstOf(file.notes.map((n) => `Note: byte ${n.offset}: ${n.what}`))];
}

/** Notes, as many as a person reads. */
export const firstOf = (notes: readonly string[]): string[] =>
  notes.length > 20 ? [...notes.slice(0, 20), `Note: ${notes.length - 20} more of this kind`] : [...notes];

/** True for -o json. Throws TortieError for what these commands do not print. */
export function wantsJson(format: string | undefined): boolean {
  if (format !== undefined && format !== "json") throw new TortieError(`Cannot print as "${format}": json, or nothing for text`);
  return format === "json";
}
