// The log of a pod: what its process wrote, kept by whoever started it in the format of the container runtime interface, an entry a line:
//   2026-11-23T12:00:00.123456789Z stdout F text
// F: a full line; P: its end comes with the next entry of the stream.
// https://github.com/kubernetes/design-proposals-archive/blob/main/node/kubelet-cri-logging.md
import { type FileHandle, open, stat } from "node:fs/promises";
import { Readable } from "node:stream";
import type { PodLog } from "../api/podlog.ts";
import { pause } from "../client/pause.ts";
import type { Session } from "../sys/session.ts";

/** How often one that follows looks. */
const LOOK_MS = 100;
const CHUNK = 64 << 10;
/** Output goes in pieces of about so many bytes. */
const PIECE = 32 << 10;
const [SPACE, NEWLINE, FULL] = [0x20, 0x0a, 0x46];

type Entry = { readonly time: string; readonly full: boolean; readonly text: Buffer };

/** Undefined for what is not in the format. */
function parseEntry(line: Buffer): Entry | undefined {
  const [time, stream] = [line.indexOf(SPACE), line.indexOf(SPACE, line.indexOf(SPACE) + 1)];
  const tags = line.indexOf(SPACE, stream + 1);
  if (time < 0 || stream < 0 || tags < 0) return undefined;
  return { time: line.toString("latin1", 0, time), full: line[stream + 1] === FULL, text: line.subarray(tags + 1) };
}

async function openOrNothing(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path);
  } catch (thrown) {
    // A process that has written nothing has no log.
    if ((thrown as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw thrown;
  }
}

/** The entries of a log as they come; "now" is where it is read up to its present end. */
async function* entriesOf(path: string, follow: boolean, signal: AbortSignal): AsyncGenerator<Entry | "now"> {
  let file = await openOrNothing(path);
  try {
    let rest: Buffer = Buffer.alloc(0);
    for (;;) {
      // Whether it is still the one that is written to is asked first: nothing comes after the end of one that was put aside.
      const [own, there] = [await file?.stat(), await stat(path).catch(() => undefined)];
      for (;;) {
        const { bytesRead = 0, buffer } = (await file?.read(Buffer.allocUnsafe(CHUNK))) ?? {};
        if (bytesRead === 0) break;
        const bytes = Buffer.concat([rest, buffer!.subarray(0, bytesRead)]);
        let from = 0;
        for (let end; (end = bytes.indexOf(NEWLINE, from)) >= 0; from = end + 1) {
          const entry = parseEntry(bytes.subarray(from, end));
          if (entry) yield entry;
        }
        rest = bytes.subarray(from);
      }
      if (there && own?.ino !== there.ino) {
        await file?.close();
        file = await openOrNothing(path);
        rest = Buffer.alloc(0);
        continue;
      }
      yield "now";
      if (!follow || signal.aborted) return;
      await pause(LOOK_MS, signal);
    }
  } finally {
    await file?.close();
  }
}

/** What of the log at `path` is asked for, as a person reads it. `now` in ms since 1970. */
export async function* readLog(path: string, asked: PodLog, now: number, signal: AbortSignal): AsyncGenerator<Buffer> {
  const since =
    asked.sinceTime !== undefined ? Date.parse(asked.sinceTime) : asked.sinceSeconds !== undefined ? now - asked.sinceSeconds * 1000 : undefined;
  let left = asked.limitBytes ?? Infinity;
  // What is kept back until the present end is reached, when only the last lines are wanted.
  let last: Buffer[] | undefined = asked.tailLines === undefined ? undefined : [];
  let lines: Buffer[] = [];
  let [bytes, whole] = [0, true];
  const line: Buffer[] = [];
  const taken = (): Buffer => {
    const all = Buffer.concat(lines).subarray(0, left);
    left -= all.length;
    [lines, bytes] = [[], 0];
    return all;
  };
  for await (const entry of entriesOf(path, asked.follow === true, signal)) {
    if (entry === "now") {
      // A line without its end is given where it stands.
      if (line.length > 0) (last ?? lines).push(...line.splice(0));
      if (last) lines = asked.tailLines === 0 ? [] : last.slice(-asked.tailLines!);
      last = undefined;
      if (lines.length > 0) yield taken();
    } else if (since === undefined || Date.parse(entry.time) >= since) {
      if (whole && asked.timestamps) line.push(Buffer.from(`${entry.time} `));
      line.push(entry.text);
      whole = entry.full;
      if (!whole) continue;
      const text = Buffer.concat([...line.splice(0), Buffer.of(NEWLINE)]);
      if (last) {
        last.push(text);
        if (last.length > 2 * asked.tailLines! + 1000) last = last.slice(-asked.tailLines!);
        continue;
      }
      lines.push(text);
      bytes += text.length;
      if (bytes >= PIECE || bytes >= left) yield taken();
    }
    if (left <= 0) return;
  }
}

/** Reading a log as a session is run: what is read is its standard output. */
export function logSession(path: string, asked: PodLog): Session {
  const over = new AbortController();
  const stdout = Readable.from(readLog(path, asked, Date.now(), over.signal));
  return {
    stdout,
    stderr: undefined,
    write: (_data, taken) => taken(),
    end: () => {},
    resize: () => {},
    exit: new Promise((resolve, reject) => {
      stdout.once("close", () => resolve(0));
      stdout.once("error", reject);
    }),
    kill: () => over.abort(),
    close: () => void stdout.destroy(),
  };
}
