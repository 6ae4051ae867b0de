// A file that lines are added to, and that is rotated by its size: FILE, FILE.1 (the last one), FILE.2, … A line is with the kernel before `write` returns, so
// before what it tells of is answered: a kill -9 loses none; a power failure may, as nothing is synced. (Kubernetes' --audit-log-mode=blocking.) That costs
// 3 µs a line; handing it to a thread of Node's pool cost 17 to 55. A failure is said once and when it is over, with what was lost.
import { closeSync, constants, fstatSync, openSync, readSync, renameSync, writeSync } from "node:fs";
import { messageOf } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";

export type AuditFileOptions = {
  readonly path: string;
  /** A file is put aside before it gets longer than this. */
  readonly maxBytes: number;
  /** Files that are kept, the current one among them. */
  readonly keep: number;
  readonly log: Log;
};

/** A pipe whose reader is slow or gone is a failure, not something to wait for; on files O_NONBLOCK means nothing. */
const FLAGS: number = constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | constants.O_NONBLOCK;
const NEWLINE = 0x0a;

export class AuditFile {
  readonly #options: AuditFileOptions;
  #file: number | undefined;
  #size = 0;
  /** The last line in the file has no end. */
  #torn = false;
  #lost = 0;
  #failure: string | undefined;

  constructor(options: AuditFileOptions) {
    this.#options = options;
  }

  /** Why lines cannot be written at the moment, or undefined. */
  get failure(): string | undefined {
    return this.#failure;
  }

  /** Opens the file, so that one that cannot be written is known before the first line is lost; never throws. */
  begin(): void {
    try {
      this.#open();
    } catch (thrown) {
      this.#fail(thrown);
    }
  }

  /** Adds one line; never throws. */
  write(line: string): void {
    const { log, path } = this.#options;
    try {
      this.#append(line);
      if (this.#failure !== undefined) log.warn("the audit log is written again", { path, lost: this.#lost });
      this.#failure = undefined;
      this.#lost = 0;
    } catch (thrown) {
      this.#lost++;
      this.#fail(thrown);
    }
  }

  #fail(thrown: unknown): void {
    const { log, path } = this.#options;
    if (this.#failure === undefined) log.error("the audit log cannot be written", { path, error: messageOf(thrown) });
    this.#failure = messageOf(thrown);
    this.close();
  }

  close(): void {
    if (this.#file !== undefined) closeSync(this.#file);
    this.#file = undefined;
  }

  #append(line: string): void {
    let file = this.#file ?? this.#open();
    if (this.#size > 0 && this.#size + Buffer.byteLength(line) + 1 > this.#options.maxBytes) file = this.#rotate();
    const bytes = Buffer.from(`${this.#torn ? "\n" : ""}${line}\n`);
    for (let at = 0; at < bytes.length;) {
      at += writeSync(file, bytes, at);
      this.#torn = bytes[at - 1] !== NEWLINE;
    }
    this.#size += bytes.length;
  }

  #open(flags = FLAGS): number {
    const { path } = this.#options;
    this.#file = openSync(path, flags, 0o600);
    this.#size = fstatSync(this.#file).size;
    // A kill -9 in the middle of a write.
    if (this.#size > 0) this.#torn = lastByte(path, this.#size) !== NEWLINE;
    return this.#file;
  }

  #rotate(): number {
    const { path, keep } = this.#options;
    this.close();
    this.#torn = false;
    for (let n = keep - 1; n >= 1; n--) moved(n === 1 ? path : `${path}.${n - 1}`, `${path}.${n}`);
    // One file alone is kept: it begins anew.
    return this.#open(keep === 1 ? FLAGS | constants.O_TRUNC : FLAGS);
  }
}

function lastByte(path: string, size: number): number | undefined {
  const file = openSync(path, constants.O_RDONLY);
  try {
    const byte = Buffer.alloc(1);
    return readSync(file, byte, 0, 1, size - 1) === 1 ? byte[0] : undefined;
  } finally {
    closeSync(file);
  }
}

function moved(from: string, to: string): void {
  try {
    renameSync(from, to);
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code !== "ENOENT") throw thrown;
  }
}
