// What a pod's process writes, kept as the pod's log in the format of the container runtime interface (src/agent/podlog.ts reads it).
import { appendFileSync, constants, openSync, renameSync, statSync } from "node:fs";
import { Socket } from "node:net";
import type { Readable } from "node:stream";

/** A log longer than this is put aside; one is kept. */
const LIMIT: number = 4 << 20;
/** A longer line is kept in parts. */
const LONGEST: number = 16 << 10;

/** What is written to a named pipe, by whoever, without end. */
export const readPipe = (path: string): Readable =>
  // Open for both, it never comes to an end; as a socket it is waited for without a thread.
  new Socket({ fd: openSync(path, constants.O_RDWR | constants.O_NONBLOCK), readable: true, writable: false }).unref();

/** Keeps what comes from now on. `now` in ms since 1970. */
export function keepLog(path: string, output: Readable, now: () => number): void {
  let rest: Buffer = Buffer.alloc(0);
  output.on("data", (chunk: Buffer) => {
    const time = new Date(now()).toISOString();
    const entries: Buffer[] = [];
    rest = Buffer.concat([rest, chunk]);
    for (let end; (end = rest.indexOf(0x0a)) >= 0 || rest.length > LONGEST;) {
      const part = end < 0 || end > LONGEST;
      const text = rest.subarray(0, part ? LONGEST : end);
      entries.push(Buffer.from(`${time} stdout ${part ? "P" : "F"} `), text, Buffer.from("\n"));
      rest = rest.subarray(part ? LONGEST : end + 1);
    }
    if (entries.length > 0) append(path, Buffer.concat(entries));
  });
}

function append(path: string, bytes: Buffer): void {
  try {
    if ((statSync(path, { throwIfNoEntry: false })?.size ?? 0) + bytes.length > LIMIT) renameSync(path, `${path}.1`);
    appendFileSync(path, bytes, { mode: 0o600 });
  } catch {
    // The node's memory is full: a log that cannot be written must not end the lab.
  }
}
