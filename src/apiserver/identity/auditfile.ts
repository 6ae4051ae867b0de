// A file that lines are added to, and that is rotated by its size: FILE, FILE.1 (the last one), FILE.2, … A failure is said once and when it is over, with what was
// lost; nobody waits for the disk.
import { type FileHandle, open, rename } from "node:fs/promises";
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

/** Characters that may wait for the disk. */
const WAITING = 16 * 1024 * 1024;

export class AuditFile {
  readonly #options: AuditFileOptions;
  #file: FileHandle | undefined;
  #size = 0;
  #queue: string[] = [];
  #waiting = 0;
  #lost = 0;
  #working: Promise<void> | undefined;
  #failure: string | undefined;

  constructor(options: AuditFileOptions) {
    this.#options = options;
  }

  /** Why lines cannot be written at the moment, or undefined. */
  get failure(): string | undefined {
    return this.#failure;
  }

  /** Adds one line; returns at once. */
  write(line: string): void {
    if (this.#waiting > WAITING) {
      this.#lost++;
      return;
    }
    this.#queue.push(`${line}\n`);
    this.#waiting += line.length + 1;
    this.#working ??= this.#drain().finally(() => (this.#working = undefined));
  }

  /** Waits for what is still to be written. */
  async close(): Promise<void> {
    await this.#working;
    await this.#file?.close();
    this.#file = undefined;
  }

  async #drain(): Promise<void> {
    const { log, path } = this.#options;
    while (this.#queue.length > 0) {
      const lines = this.#queue;
      this.#queue = [];
      const text = lines.join("");
      this.#waiting -= text.length;
      try {
        await this.#append(Buffer.from(text));
        if (this.#failure !== undefined) log.warn("the audit log is written again", { path, lost: this.#lost });
        this.#failure = undefined;
        this.#lost = 0;
      } catch (thrown) {
        this.#lost += lines.length;
        if (this.#failure === undefined) log.error("the audit log cannot be written", { path, error: messageOf(thrown) });
        this.#failure = messageOf(thrown);
        await this.#file?.close().catch(() => {});
        this.#file = undefined;
      }
    }
  }

  async #append(bytes: Buffer): Promise<void> {
    const { maxBytes } = this.#options;
    await this.#open();
    if (this.#size > 0 && this.#size + bytes.length > maxBytes) await this.#rotate();
    await this.#file!.appendFile(bytes);
    this.#size += bytes.length;
  }

  async #open(): Promise<void> {
    if (this.#file) return;
    this.#file = await open(this.#options.path, "a", 0o600);
    this.#size = (await this.#file.stat()).size;
  }

  async #rotate(): Promise<void> {
    const { path, keep } = this.#options;
    await this.#file!.close();
    this.#file = undefined;
    for (let n = keep - 1; n >= 1; n--) await rename(n === 1 ? path : `${path}.${n - 1}`, `${path}.${n}`).catch(unlessMissing);
    // One file alone is kept: it begins anew.
    if (keep === 1) await (await open(path, "w", 0o600)).close();
    await this.#open();
  }
}

function unlessMissing(thrown: NodeJS.ErrnoException): void {
  if (thrown.code !== "ENOENT") throw thrown;
}
