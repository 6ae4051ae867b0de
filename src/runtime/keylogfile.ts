// A key log in a file, for Wireshark: one write per record, appended, so that a reader never sees half of one.
import { closeSync, constants, fstatSync, openSync, writeSync } from "node:fs";
import { wipe } from "../base/bytes.ts";
import { messageOf, TortieError } from "../base/errors.ts";
import type { Log } from "../base/log.ts";
import type { UapiDevice } from "../uapi/types.ts";

export interface KeylogFile {
  /** The lines of one record. Throws when the disk is full: the caller goes on without. */
  write(lines: Uint8Array): void;
  close(): void;
}

/** Opens or makes `path` (0600). Refuses one that others can read, and what is no regular file. Throws TortieError. */
export function openKeylogFile(path: string): KeylogFile {
  let fd: number;
  try {
    fd = openSync(path, constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | constants.O_NOFOLLOW | constants.O_NONBLOCK, 0o600);
  } catch (cause) {
    throw new TortieError(`Cannot write the key log "${path}": ${(cause as NodeJS.ErrnoException).code}`, { cause });
  }
  const status = fstatSync(fd);
  const problem = problemOf({ mode: status.mode, uid: status.uid, isFile: status.isFile() });
  if (problem !== undefined) {
    closeSync(fd);
    throw new TortieError(`Cannot write the key log "${path}": ${problem}`, {
      hint: `chmod 600 ${path} if it is yours, or name a file that does not exist.`,
    });
  }
  let open = true;
  return {
    write: (lines) => {
      // Its number may be another file's by now.
      if (!open) throw new TortieError(`Cannot write the key log "${path}": it is closed`);
      writeSync(fd, lines);
    },
    close: () => {
      if (open) closeSync(fd);
      open = false;
    },
  };
}

/** Why keys must not go into such a file. */
function problemOf({ mode, uid, isFile }: { mode: number; uid: number; isFile: boolean }): string | undefined {
  if (!isFile) return "it is no regular file";
  if ((mode & 0o077) !== 0) return "others than its owner can read or write it";
  return uid === process.geteuid!() ? undefined : "it is another user's, who can read it";
}

export type KeylogFileOptions = {
  readonly path: string;
  /** It ends by itself. @default never */
  readonly seconds?: number | undefined;
  /** Public keys of the peers whose handshakes are logged. @default all */
  readonly peers?: readonly Uint8Array[] | undefined;
};

/** Writes the key log of `device` to a file. The result ends it. Throws TortieError. */
export function logToFile({ path, seconds, peers }: KeylogFileOptions, device: Pick<UapiDevice, "keylog">, log: Log): () => void {
  const file = openKeylogFile(path);
  const close = (): void => {
    clearTimeout(timer);
    file.close();
  };
  const stop = device.keylog({
    peers,
    write: (lines) => {
      try {
        file.write(lines);
      } catch (thrown) {
        log.error("the key log could not be written", { path, why: messageOf(thrown) });
      }
      wipe(lines);
    },
    ended: close,
  });
  const end = (): void => {
    stop();
    close();
  };
  const timer = seconds === undefined ? undefined : setTimeout(end, seconds * 1000).unref();
  return end;
}
