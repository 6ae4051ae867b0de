// One server a directory: the store has one writer. The holder's pid and start time stand in DIR/holder; a holder that is gone counts for nothing, so a
// kill -9 leaves nothing to clean up.
import { linkSync, readFileSync, rmSync, unlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { messageOf, TortieError } from "../base/errors.ts";

/** A killed process takes a moment to go, and whoever killed it may be starting this one already. */
const [WAIT_MS, STEP_MS] = [1000, 20];

/**
 * "PID STARTED" of a process, or undefined when there is none. Field 22 of /proc/PID/stat tells apart processes that had the same pid. One that has ended
 * and that its parent has not asked about (state Z) holds nothing any more.
 */
function identify(pid: number | string): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    const after = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return after[0] === "Z" || after[0] === "X" ? undefined : `${pid} ${after[19]}`;
  } catch {
    return undefined;
  }
}

/** The process that has the directory, or undefined. */
export function holderOf(directory: string): number | undefined {
  const holder = read(join(directory, "holder"));
  const pid = holder.split(" ")[0]!;
  return holder !== "" && identify(pid) === holder ? Number(pid) : undefined;
}

/** Takes the directory; the result gives it back. Throws TortieError when another process has it. */
export function holdDirectory(directory: string): () => void {
  const path = join(directory, "holder");
  const own = identify(process.pid) ?? `${process.pid} 0`;
  const draft = `${path}.${process.pid}`;
  const refused = (cause: unknown): TortieError => new TortieError(`Cannot use "${directory}": ${messageOf(cause)}`, { cause });
  try {
    writeFileSync(draft, own, { mode: 0o600 });
  } catch (cause) {
    throw refused(cause);
  }
  try {
    for (let attempt = 0, waited = 0; attempt < 3;) {
      try {
        linkSync(draft, path);
        return () => unlinkSync(path);
      } catch (cause) {
        if ((cause as NodeJS.ErrnoException).code !== "EEXIST") throw refused(cause);
      }
      const holder = holderOf(directory);
      if (holder !== undefined) {
        if (waited < WAIT_MS) {
          Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, STEP_MS);
          waited += STEP_MS;
          continue;
        }
        throw new TortieError(`Cannot use "${directory}": the server with pid ${holder} uses it`, {
          hint: "Stop it, or choose another --data.",
        });
      }
      attempt++;
      rmSync(path, { force: true });
    }
    throw new TortieError(`Cannot use "${directory}": another server starts there`);
  } finally {
    unlinkSync(draft);
  }
}

function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
