// The memory of another process, to look for what must not be there.
import { closeSync, openSync, readFileSync, readSync } from "node:fs";

export type Mapping = {
  readonly from: number;
  readonly to: number;
  readonly mode: string;
  readonly offset: number;
  readonly name: string;
  readonly flags: string;
};

/** Its mappings, with the kernel's VmFlags ("rd wr … lo dd"). */
export function mappings(pid: number): Mapping[] {
  const found: Mapping[] = [];
  for (const block of readFileSync(`/proc/${pid}/smaps`, "utf8").split(/\n(?=[0-9a-f]+-)/)) {
    const m = /^([0-9a-f]+)-([0-9a-f]+) (\S+) ([0-9a-f]+) \S+ \S+ *(.*)$/m.exec(block)!;
    found.push({
      from: parseInt(m[1]!, 16),
      to: parseInt(m[2]!, 16),
      mode: m[3]!,
      offset: parseInt(m[4]!, 16),
      name: m[5]!,
      flags: /^VmFlags: (.*)$/m.exec(block)?.[1] ?? "",
    });
  }
  return found;
}

const PAGE = 4096;
const SIZE = 16 << 20;
/** What lies across two pieces is in both. */
const OVERLAP = 256;

/** Reads of the process's memory, piece by piece; pages that cannot be read are left out. */
export function* pieces(pid: number, { from, to }: Pick<Mapping, "from" | "to">): Generator<Buffer, void, undefined> {
  const fd = openSync(`/proc/${pid}/mem`, "r");
  const buffer = Buffer.allocUnsafe(SIZE);
  try {
    for (let at = from; at < to;) {
      let n: number;
      try {
        n = readSync(fd, buffer, 0, Math.min(SIZE, to - at), at);
      } catch (e) {
        if ((e as NodeJS.ErrnoException).code !== "EIO") throw e;
        at += PAGE;
        continue;
      }
      yield buffer.subarray(0, n);
      at += at + n < to && n > OVERLAP ? n - OVERLAP : n;
    }
  } finally {
    closeSync(fd);
  }
}

/** `length` bytes from `from` on. */
export function peek(pid: number, from: number, length: number): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(length);
  const fd = openSync(`/proc/${pid}/mem`, "r");
  try {
    for (let n = 0; n < length;) n += readSync(fd, out, n, length - n, from + n);
  } finally {
    closeSync(fd);
  }
  return out;
}
