// A key file that somebody goes on writing, as a device's key log does: what comes is handed on, line by line.
import { type FileHandle, open } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { fromUtf8, wipe } from "../../base/bytes.ts";
import { type KeyLog, parseKeyLog } from "../../capture/keylog.ts";

const LOOK_FOR_MORE_MS = 250;
const PIECE = 1 << 20;
/** Of a record that is not yet whole. */
const MAX_HELD = 4096;

/** Calls `take` with what is written behind byte `from` (a new file of that name: from its beginning) until `stop`. Never throws: what cannot be read has nothing new. */
export async function followKeys(path: string, from: number, take: (log: KeyLog) => void, stop: AbortSignal): Promise<void> {
  let at = from;
  let inode: number | undefined;
  let held = "";
  while (!stop.aborted) {
    let file: FileHandle | undefined;
    try {
      file = await open(path, "r");
      const { ino, size } = await file.stat();
      if (size < at || (inode !== undefined && inode !== ino)) [at, held] = [0, ""];
      inode = ino;
      while (at < size && !stop.aborted) {
        const piece = Buffer.alloc(Math.min(PIECE, size - at));
        const { bytesRead } = await file.read(piece, 0, piece.length, at);
        if (bytesRead === 0) break;
        at += bytesRead;
        const text = held + fromUtf8(piece.subarray(0, bytesRead));
        wipe(piece);
        const end = text.lastIndexOf("\n") + 1;
        if (end > 0) take(parseKeyLog(text.slice(0, end)));
        // A pre-shared key belongs to the ephemeral key before it, and may come a moment later.
        const record = text.lastIndexOf("LOCAL_EPHEMERAL_PRIVATE_KEY", end);
        held = record >= 0 && text.length - record <= MAX_HELD ? text.slice(record) : text.slice(end).slice(-MAX_HELD);
      }
    } catch {
      // Renamed while it is written anew: the next look finds it.
    } finally {
      await file?.close();
    }
    await sleep(LOOK_FOR_MORE_MS, undefined, { signal: stop }).catch(() => {});
  }
}
