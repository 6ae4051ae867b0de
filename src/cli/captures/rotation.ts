// When a capture goes on in another file, and how the files are called: tcpdump's -C (size), -G (time) and -W (how many).
import { extname } from "node:path";
import { TortieError } from "../../base/errors.ts";

export type RotationOptions = {
  /** Bytes of a file; the packet that would go beyond begins the next one. */
  bytes?: number | undefined;
  /** Seconds of a file. */
  seconds?: number | undefined;
  /** With `seconds`: stop after so many files; else: so many files at most, the oldest is replaced. */
  files?: number | undefined;
};

const DIGITS = 5;
const two = (n: number): string => String(n).padStart(2, "0");

/** strftime(3), as far as names of files need it: %Y %m %d %H %M %S %s %%. Local time. */
export function formatName(pattern: string, at: Date): string {
  const values: Readonly<Record<string, string>> = {
    Y: String(at.getFullYear()),
    m: two(at.getMonth() + 1),
    d: two(at.getDate()),
    H: two(at.getHours()),
    M: two(at.getMinutes()),
    S: two(at.getSeconds()),
    s: String(Math.floor(at.getTime() / 1000)),
    "%": "%",
  };
  return pattern.replaceAll(/%(.)/g, (whole, letter: string) => values[letter] ?? whole);
}

export class Rotation {
  readonly #name: string;
  readonly #o: RotationOptions;
  #number = 0;
  #begun = 0;
  #before = "";

  /** Throws TortieError for what makes no sense together. */
  constructor(name: string, options: RotationOptions) {
    this.#name = name;
    this.#o = options;
    const { bytes, seconds, files } = options;
    if (files !== undefined && bytes === undefined && seconds === undefined)
      throw new TortieError("Cannot keep to a number of files: -C or -G says when a new one begins");
    if (name === "-" && this.rotates) throw new TortieError("Cannot begin a new file on standard output: -C and -G need -w FILE");
  }

  get rotates(): boolean {
    return this.#o.bytes !== undefined || this.#o.seconds !== undefined;
  }

  /** A file of `size` bytes is full: `more` do not go into it, or its time is up. `now` in ms since 1970. */
  full(size: number, more: number, now: number): boolean {
    const { bytes, seconds } = this.#o;
    return (bytes !== undefined && size + more > bytes) || (seconds !== undefined && now - this.#begun >= seconds * 1000);
  }

  /** Name of the next file; undefined when there were enough. */
  next(now: number): string | undefined {
    const { seconds, files } = this.#o;
    this.#begun = now;
    if (!this.rotates) return this.#name;
    if (seconds !== undefined && files !== undefined && this.#number >= files) return undefined;
    const timed = formatName(this.#name, new Date(now));
    const dated = timed !== this.#name && timed !== this.#before;
    this.#before = timed;
    const number = files !== undefined && seconds === undefined ? this.#number % files : this.#number;
    this.#number++;
    return dated ? timed : numbered(timed, number, files === undefined ? DIGITS : String(files - 1).length);
  }
}

/** "wire.pcapng", 7 → "wire-00007.pcapng": in order when sorted by name. */
function numbered(name: string, number: number, digits: number): string {
  const extension = extname(name);
  return `${name.slice(0, name.length - extension.length)}-${String(number).padStart(digits, "0")}${extension}`;
}
