// The bytes of a capture, as often as they are wanted: a file is read again, what comes only once (standard input, a pipe) is kept in a temporary file as it comes.
import { randomUUID } from "node:crypto";
import { createReadStream, openSync, read, unlinkSync, write } from "node:fs";
import { open, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { messageOf, TortieError } from "../../base/errors.ts";

const CHUNK = 256 << 10;

export interface Source {
  /** Bytes in all; undefined for what is still coming. */
  readonly size: number | undefined;
  /** All bytes from the first on. `reuse`: a chunk of a file is good until the next is asked for; else each is memory of its own. */
  chunks(reuse?: boolean): AsyncGenerator<Uint8Array>;
}

/** A pipe that nobody waits for must not keep the process alive. */
type Input = AsyncIterable<Uint8Array> & { ref?(): unknown; unref?(): unknown };

/** Pipes that were begun: whoever opens one again gets what came before too. */
const pipes = new Map<string, Source>();

/**
 * What is at a path; "-" is standard input. Throws TortieError.
 * `once`: it is not read a second time, so that a pipe need not be kept.
 */
export async function sourceOf(path: string, options: { once?: boolean } = {}): Promise<Source> {
  const known = pipes.get(path);
  if (known) return known;
  if (path !== "-") {
    const found = await stat(path).catch((e: NodeJS.ErrnoException) => {
      throw new TortieError(`Cannot open the capture "${path}": ${e.code === "ENOENT" ? "there is no such file" : messageOf(e)}`, { cause: e });
    });
    if (found.isDirectory()) throw new TortieError(`Cannot open the capture "${path}": it is a directory`);
    if (found.isFile()) return { size: found.size, chunks: (reuse = false) => fileChunks(path, reuse) };
  }
  const input: Input = path === "-" ? process.stdin : createReadStream(path, { highWaterMark: CHUNK });
  const pipe: Source = options.once ? { size: undefined, chunks: () => through(input) } : new KeptPipe(input);
  pipes.set(path, pipe);
  return pipe;
}

async function* through(input: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  yield* input;
}

/** The next piece is read while the one before is worked on: two buffers do. */
async function* fileChunks(path: string, reuse: boolean): AsyncGenerator<Uint8Array> {
  const file = await open(path);
  let spare: Uint8Array | undefined;
  const read = (at: number): Promise<{ bytesRead: number; buffer: Uint8Array }> => {
    const buffer = spare ?? Buffer.allocUnsafeSlow(CHUNK);
    spare = undefined;
    return file.read(buffer, 0, CHUNK, at);
  };
  let next = read(0);
  try {
    for (let at = 0; ;) {
      const { bytesRead, buffer } = await next;
      if (bytesRead === 0) return;
      at += bytesRead;
      next = read(at);
      yield buffer.subarray(0, bytesRead);
      if (reuse) spare = buffer;
    }
  } finally {
    await next.catch(() => {});
    await file.close();
  }
}

/** A pipe and the temporary file that its bytes go through: it has no name, so that it is gone when this process is, and nobody else can open it. */
class KeptPipe implements Source {
  readonly size = undefined;
  readonly #input: Input;
  readonly #pieces: AsyncIterator<Uint8Array>;
  #file: number | undefined;
  #kept = 0;
  #ended = false;
  #pulling: Promise<void> | undefined;

  constructor(input: Input) {
    this.#input = input;
    this.#pieces = input[Symbol.asyncIterator]();
  }

  async *chunks(): AsyncGenerator<Uint8Array> {
    for (let at = 0; ;) {
      while (at >= this.#kept && !this.#ended) await (this.#pulling ??= this.#pull());
      if (at >= this.#kept) return;
      const length = Math.min(CHUNK, this.#kept - at);
      const { bytesRead, buffer } = await readAt(this.#file!, Buffer.allocUnsafeSlow(length), 0, length, at);
      at += bytesRead;
      yield buffer.subarray(0, bytesRead);
    }
  }

  async #pull(): Promise<void> {
    try {
      this.#input.ref?.();
      const next = await this.#pieces.next();
      if (next.done) this.#ended = true;
      else {
        await this.#keep(next.value).catch((e: unknown) => {
          throw new TortieError(`Cannot keep what comes in ${tmpdir()}: ${messageOf(e)}`, {
            hint: "A pipe is kept there so that it can be read twice: set TMPDIR to where there is room, or save the capture to a file first.",
            cause: e,
          });
        });
      }
    } finally {
      this.#input.unref?.();
      this.#pulling = undefined;
    }
  }

  async #keep(bytes: Uint8Array): Promise<void> {
    this.#file ??= nameless();
    for (let at = 0; at < bytes.length;) {
      const { bytesWritten } = await writeAt(this.#file, bytes, at, bytes.length - at, this.#kept);
      at += bytesWritten;
      this.#kept += bytesWritten;
    }
  }
}

const readAt = promisify(read);
const writeAt = promisify(write);

function nameless(): number {
  const path = join(tmpdir(), `tortie-${randomUUID()}`);
  const file = openSync(path, "wx+", 0o600);
  unlinkSync(path);
  return file;
}
