// What a disk may hold of a file when the power fails: from a program's system calls, as strace writes them down. What was synced before that moment is
// there; of what was written since, each sector (512 bytes, which disks write whole) may be there or not, in any order, as in ALICE (Pillai et al., OSDI
// 2014, https://www.usenix.org/conference/osdi14/technical-sessions/presentation/pillai) and CrashMonkey.
import { readFileSync } from "node:fs";
import { dirname } from "node:path";

const SECTOR = 512;

/** `from` and `to`: the lines of the record in which the call began and ended; Infinity: it did not end. */
type Call = { readonly from: number; readonly to: number };
type Write = Call & { readonly at: number; readonly bytes: Buffer; /** It is on disk when it ends (O_DSYNC). */ readonly durable: boolean };
/** What a sector was after one of the writes. */
type Version = { readonly write: Write; readonly bytes: Buffer };

/** What strace needs to be told so that `Recording` can read what it writes to `record`; the program's words come behind. */
export const traced = (record: string, paths: readonly string[]): string[] => [
  "strace",
  "-fyxx",
  "--string-limit=100000000",
  `--output=${record}`,
  "--trace=%desc,%file",
  "--signal=none",
  ...paths.flatMap((path) => ["-P", path]),
];

/** Calls that change nothing on the disk. */
const HARMLESS =
  /^(access|close|fadvise64|fchmod|fchmodat|chmod|fcntl|flock|fstat|fstatfs|getdents64|lseek|newfstatat|pread64|preadv|read|readlink|readlinkat|readv|stat|lstat|statfs|statx|mremap)$/;

export class Recording {
  readonly #writes = new Map<string, Write[]>();
  readonly #syncs = new Map<string, Call[]>();
  /** When a name came into its directory. */
  readonly #made = new Map<string, Call>();
  /** What was appended to the file `says`, a line each, and when the program began to say it. */
  readonly said: { readonly from: number; readonly text: string }[] = [];
  /** Lines of the record. */
  readonly length: number;

  /** `base`: what `path` was at the beginning, where it was not empty. Throws when the record has a call whose effect is not known here. */
  constructor(record: string, options: { says: string; base?: { path: string; bytes: Buffer } }) {
    const lines = readFileSync(record, "latin1").split("\n").filter(Boolean);
    this.length = lines.length;
    if (options.base) {
      const { path, bytes } = options.base;
      this.#writes.set(path, [{ from: -1, to: -1, at: 0, bytes, durable: true }]);
      for (const name of [path, dirname(path)]) this.#made.set(name, { from: -2, to: -2 });
      for (const name of [dirname(path), dirname(dirname(path))]) this.#syncs.set(name, [{ from: -1, to: -1 }]);
    }
    const durable = new Map<string, boolean>();
    const position = new Map<string, number>();
    for (const call of calls(lines)) {
      const { name, args, result, from, to } = call;
      const [fd = "", path = ""] = /^(\d+)<([^>]*)>/.exec(args)?.slice(1) ?? [];
      const file = text(path);
      const strings = [...args.matchAll(/"((?:\\x[0-9a-f]{2})*)"/g)].map((m) => m[1]!);
      if (result.startsWith("-1")) continue;
      if (name === "openat") {
        durable.set(/^\d+/.exec(result)?.[0] ?? "", args.includes("O_DSYNC"));
        if (args.includes("O_CREAT")) this.#name(text(strings[0]!), { from, to });
      } else if (name === "mkdir") this.#name(text(strings[0]!), { from, to });
      else if (name === "link") this.#name(text(strings[1]!), { from, to });
      else if (name === "rename") this.#rename(text(strings[0]!), text(strings[1]!), { from, to });
      else if (name === "lseek") position.set(fd, Number(/SEEK_SET\)?$/.test(args) ? / (\d+), SEEK_SET/.exec(args)![1] : NaN));
      else if (/^(write|writev|pwrite64|pwritev)$/.test(name)) {
        const bytes = Buffer.concat(strings.map((s) => Buffer.from(s.replaceAll("\\x", ""), "hex")));
        if (file === options.says) {
          for (const line of bytes.toString().split("\n").filter(Boolean)) this.said.push({ from, text: line });
          continue;
        }
        const at = name.startsWith("p") ? Number(/(\d+)$/.exec(args)![1]) : (position.get(fd) ?? 0);
        if (!name.startsWith("p")) position.set(fd, at + bytes.length);
        if (to !== Infinity && Number(result) !== bytes.length) throw new Error(`a write by halves: ${result}`);
        add(this.#writes, file, { from, to, at, bytes, durable: durable.get(fd) ?? false });
      } else if (name === "fsync" || name === "fdatasync") add(this.#syncs, file, { from, to });
      else if (name === "mmap" ? args.includes("MAP_SHARED") && args.includes("PROT_WRITE") && !file.endsWith("-lock") : !HARMLESS.test(name))
        throw new Error(`what ${name}(${args.slice(0, 200)}) leaves on a disk is not known here`);
    }
  }

  #name(path: string, call: Call): void {
    if (!this.#made.has(path)) this.#made.set(path, call);
  }

  /** The file goes on under another name, which no other had. */
  #rename(path: string, into: string, call: Call): void {
    for (const map of [this.#writes, this.#syncs]) {
      if (map.has(into)) throw new Error(`what "${into}" was before is not known here`);
      map.set(into, (map as Map<string, never>).get(path)!);
      map.delete(path);
    }
    this.#made.set(into, call);
  }

  /** When something happened to the file or to its name, in order: the moments after which its power failures differ. */
  moments(path: string): number[] {
    const calls = [...(this.#writes.get(path) ?? []), ...(this.#syncs.get(path) ?? []), ...(this.#syncs.get(dirname(path)) ?? [])];
    return [...new Set([0, ...calls.flatMap((c) => [c.from + 1, c.to + 1]), ...this.said.map((s) => s.from + 1)])]
      .filter((m) => m >= 0 && m < Infinity)
      .toSorted((a, b) => a - b);
  }

  /** Whether the name is surely found: it, and the directory that it is in, had been made, and their directories were synced. */
  named(path: string, moment: number): boolean {
    return [path, dirname(path)].every((name) => {
      const made = this.#made.get(name);
      // It was there before.
      if (!made) return name !== path;
      return this.#synced(dirname(name), made, moment);
    });
  }

  #synced(path: string, call: Call, moment: number): boolean {
    return (this.#syncs.get(path) ?? []).some((s) => s.from > call.to && s.to < moment);
  }

  /** The writes that had begun before `moment` and are not surely on the disk. */
  pending(path: string, moment: number): Write[] {
    if (!this.#begun(path, moment)) return [];
    return (this.#writes.get(path) ?? []).filter((w) => w.from < moment && !this.#sure(path, w, moment));
  }
  #begun(path: string, moment: number): boolean {
    return (this.#made.get(path)?.from ?? -1) < moment;
  }
  #sure(path: string, write: Write, moment: number): boolean {
    return write.to < moment && (write.durable || this.#synced(path, write, moment));
  }

  /**
   * The file after a power failure at `moment`. Of the writes of `pending`, those sectors have come to the disk for which `came` says so. `fill` makes what
   * stands where nothing came to the disk, in front of something that did.
   */
  file(path: string, moment: number, came: (write: Write, sector: number) => boolean, fill: (bytes: Buffer) => void = () => {}): Buffer {
    if (!this.#begun(path, moment)) return Buffer.alloc(0);
    const pending = new Set(this.pending(path, moment));
    const there = new Map<number, Buffer>();
    let size = 0;
    for (const [sector, versions] of this.#sectors(path)) {
      // The disk gets what the sector is in memory when it is written: with all that was written to it until then.
      const last = versions.findLast(({ write }) => write.from < moment && (!pending.has(write) || came(write, sector)));
      if (!last) continue;
      there.set(sector, last.bytes);
      size = Math.max(size, sector * SECTOR + last.bytes.length);
    }
    const file = Buffer.alloc(size);
    fill(file);
    for (const [sector, bytes] of there) file.fill(0, sector * SECTOR, Math.min(size, (sector + 1) * SECTOR)).set(bytes, sector * SECTOR);
    return file;
  }

  readonly #bySector = new Map<string, Map<number, Version[]>>();
  #sectors(path: string): Map<number, Version[]> {
    const known = this.#bySector.get(path);
    if (known) return known;
    const sectors = new Map<number, Version[]>();
    for (const write of this.#writes.get(path) ?? [])
      for (let sector = Math.floor(write.at / SECTOR); sector * SECTOR < write.at + write.bytes.length; sector++) {
        const versions = sectors.get(sector) ?? [];
        const start = sector * SECTOR;
        const [from, to] = [Math.max(write.at, start), Math.min(write.at + write.bytes.length, start + SECTOR)];
        const before = versions.at(-1)?.bytes ?? Buffer.alloc(0);
        const bytes = Buffer.alloc(Math.max(before.length, to - start));
        bytes.set(before);
        bytes.set(write.bytes.subarray(from - write.at, to - write.at), from - start);
        versions.push({ write, bytes });
        sectors.set(sector, versions);
      }
    this.#bySector.set(path, sectors);
    return sectors;
  }
}

type Traced = Call & { readonly name: string; readonly args: string; readonly result: string };
/** The calls in the order in which they began. */
function calls(lines: readonly string[]): Traced[] {
  const open = new Map<string, { from: number; text: string }>();
  const all: Traced[] = [];
  const take = (whole: string, from: number, to: number): void => {
    const m = /^([a-z0-9_]+)\((.*)\) += (.*)$/s.exec(whole);
    if (!m) throw new Error(`cannot read what strace says: ${whole.slice(0, 200)}`);
    all.push({ name: m[1]!, args: m[2]!, result: m[3]!, from, to });
  };
  for (const [i, line] of lines.entries()) {
    const [, pid = "", rest = ""] = /^(\d+) +(.*)$/s.exec(line) ?? [];
    const resumed = /^<\.\.\. \w+ resumed>(.*)$/s.exec(rest);
    const begun = open.get(pid);
    if (rest.startsWith("+++") || rest.startsWith("---")) continue;
    if (rest.endsWith("<unfinished ...>")) open.set(pid, { from: i, text: rest.slice(0, -"<unfinished ...>".length) });
    else if (!resumed) take(rest, i, i);
    else if (begun) {
      open.delete(pid);
      take(begun.text + resumed[1], begun.from, i);
    }
  }
  // The process ended in them.
  for (const { from, text: begun } of open.values()) take(`${begun.replace(/[ ,]*$/, "")}) = ?`, from, Infinity);
  return all.toSorted((a, b) => a.from - b.from);
}

const text = (hex: string): string => Buffer.from(hex.replace(/\\x/g, ""), hex.includes("\\x") ? "hex" : "latin1").toString();
function add<V>(map: Map<string, V[]>, key: string, value: V): void {
  const values = map.get(key);
  if (values) values.push(value);
  else map.set(key, [value]);
}
