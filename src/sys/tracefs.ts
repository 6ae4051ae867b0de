// Probes of the running kernel by kprobe events (Documentation/trace/kprobetrace.rst), in a tracefs instance of our own: what others trace is not disturbed,
// and they do not see ours. Everything is named after this process, so that what a killed one left is found and removed by the next.
import {
  closeSync,
  constants,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  readSync,
  rmdirSync,
  writeSync,
} from "node:fs";
import { TortieError } from "../base/errors.ts";
import { identify } from "./ns.ts";
import { readable } from "./poller.ts";

/** Where it is mounted by habit: by itself since Linux 4.1, or below debugfs. */
export const TRACEFS_PLACES: readonly string[] = ["/sys/kernel/tracing", "/sys/kernel/debug/tracing"];
/** Per processor. An event with four keys takes some 200 bytes of it. */
const BUFFER_KB = 256;
const CHUNK = 64 << 10;

/** Where tracefs is mounted, with kprobe events in it. */
export const tracefs = (): string | undefined => TRACEFS_PLACES.find((p) => existsSync(`${p}/kprobe_events`));

/** Of this process: another one with its number would have another start. The namespace, because numbers mean nothing outside it. */
function ownName(pid = process.pid): string {
  const namespace = /\d+/.exec(readlinkSync("/proc/self/ns/pid"))?.[0] ?? "0";
  return `tortie_${namespace}_${pid}_${identify(pid)?.startTime ?? "0"}`;
}

function write(path: string, text: string, flags: number = constants.O_WRONLY): void {
  const fd = openSync(path, flags);
  try {
    writeSync(fd, text);
  } finally {
    closeSync(fd);
  }
}
/** Appended: what is written from the beginning removes everybody's probes. */
const define = (root: string, text: string): void => write(`${root}/kprobe_events`, text, constants.O_WRONLY | constants.O_APPEND);

/** Removes an instance and the probes of its name, in whatever state they are. */
function remove(root: string, name: string): void {
  const instance = `${root}/instances/${name}`;
  const quietly = (what: () => void): void => {
    try {
      what();
    } catch {
      // It is gone, or was never there.
    }
  };
  quietly(() => write(`${instance}/events/${name}/enable`, "0"));
  quietly(() => rmdirSync(instance));
  for (const line of readFileSync(`${root}/kprobe_events`, "utf8").split("\n")) {
    const probe = /^\S+:(\S+?\/\S+) /.exec(line)?.[1];
    if (probe?.startsWith(`${name}/`)) quietly(() => define(root, `-:${probe}`));
  }
}

/** Removes what killed processes of ours left. The result is their number. */
export function removeLeftovers(root: string): number {
  const probes = readFileSync(`${root}/kprobe_events`, "utf8").matchAll(/^\S+:(tortie_\d+_\d+_\d+)\//gm);
  const names = new Set([...readdirSync(`${root}/instances`), ...Array.from(probes, (m) => m[1]!)]);
  const dead = [...names].filter((name) => {
    const pid = /^tortie_\d+_(\d+)_\d+$/.exec(name)?.[1];
    const living = pid === undefined ? undefined : ownName(Number(pid));
    // Of another namespace: who knows.
    return living !== undefined && name !== living && name.split("_")[1] === living.split("_")[1];
  });
  for (const name of dead) remove(root, name);
  return dead.length;
}

/** A probe at the beginning of a kernel function: `name` of ours, and what is read there ("type=+24(%si):u8 …"). */
export type ProbeDefinition = { readonly name: string; readonly symbol: string; readonly fetch: string; readonly filter?: string };

export interface Probes {
  /** Lines of events, without their ends; whoever gets them wipes them. Ends when `signal` aborts. */
  lines(signal: AbortSignal): AsyncIterable<Uint8Array>;
  /** Removes everything. */
  close(): void;
}

/** The kernel's own words on the last line that it did not take. */
function complaint(root: string): string {
  try {
    const last = readFileSync(`${root}/error_log`, "utf8")
      .split("\n")
      .findLast((line) => line.includes("error:"));
    return last ? `: ${last.replace(/^.*error:\s*/, "")}` : "";
  } catch {
    return "";
  }
}

/** Sets the probes; from then on nothing that they see is missed while somebody reads. Throws TortieError, and leaves nothing then. */
export function openProbes(root: string, probes: readonly ProbeDefinition[]): Probes {
  const name = ownName();
  const instance = `${root}/instances/${name}`;
  let pipe = -1;
  try {
    mkdirSync(instance);
    for (const p of probes) {
      try {
        define(root, `p:${name}/${p.name} ${p.symbol} ${p.fetch}`);
      } catch (cause) {
        throw new TortieError(`Cannot probe the kernel's "${p.symbol}"${complaint(root) || `: ${(cause as NodeJS.ErrnoException).code}`}`, { cause });
      }
      if (p.filter !== undefined) write(`${instance}/events/${name}/${p.name}/filter`, p.filter);
    }
    write(`${instance}/buffer_size_kb`, String(BUFFER_KB));
    // A reader is woken by the first event, not by a half full buffer. Kernels before 4.20 know no other way.
    if (existsSync(`${instance}/buffer_percent`)) write(`${instance}/buffer_percent`, "0");
    pipe = openSync(`${instance}/trace_pipe`, constants.O_RDONLY | constants.O_NONBLOCK);
    write(`${instance}/events/${name}/enable`, "1");
  } catch (thrown) {
    if (pipe >= 0) closeSync(pipe);
    remove(root, name);
    if (thrown instanceof TortieError) throw thrown;
    throw new TortieError(`Cannot trace the kernel: ${(thrown as Error).message}`, { cause: thrown });
  }
  return {
    lines: (signal) => linesOf(pipe, signal),
    close: () => {
      closeSync(pipe);
      remove(root, name);
    },
  };
}

async function* linesOf(fd: number, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  const buffer = new Uint8Array(new ArrayBuffer(CHUNK));
  let held = 0;
  while (!signal.aborted) {
    let n = 0;
    try {
      n = readSync(fd, buffer, held, CHUNK - held, null);
    } catch (e) {
      if ((e as NodeJS.ErrnoException).code !== "EAGAIN" && (e as NodeJS.ErrnoException).code !== "EINTR") throw e;
    }
    if (n === 0) {
      await readable(fd, signal);
      continue;
    }
    held += n;
    let start = 0;
    for (let end = buffer.indexOf(10); end >= 0 && end < held; end = buffer.indexOf(10, start)) {
      yield buffer.slice(start, end);
      start = end + 1;
    }
    // A line that does not fit is none of ours.
    if (start === 0 && held === CHUNK) start = held;
    buffer.copyWithin(0, start, held);
    held -= start;
    buffer.fill(0, held);
  }
}
