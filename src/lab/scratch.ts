// Directories below /tmp for one run of a command. /tmp is the machine's own, so that a capture can be opened from outside the lab; the name says
// whose it is, so that the next run removes what a killed one left.
import { mkdirSync, readdirSync, readlinkSync, rmSync } from "node:fs";
import { join } from "node:path";
import { identify } from "../sys/ns.ts";

const BASE = "/tmp";
/** tortie-PURPOSE-PID-STARTTIME-NAMESPACE */
const OURS = /^tortie-(?:exercise|audit)-([0-9]+)-([0-9]+)-([0-9]+)$/;
/** In whose numbers PID is. Who of another namespace (a lab's, a container's that shares /tmp) lives cannot be seen from here: its directories stay. */
const namespace = (): string => readlinkSync("/proc/self/ns/pid").replaceAll(/[^0-9]/g, "");

/** Removes the directories of processes that are gone. */
export function sweepScratch(): void {
  const own = namespace();
  for (const name of readdirSync(BASE)) {
    const owner = OURS.exec(name);
    if (owner?.[3] === own && identify(Number(owner[1]))?.startTime !== owner[2]) rmSync(join(BASE, name), { recursive: true, force: true });
  }
}

/** Makes this process's directory for the purpose, and removes those of processes that are gone. */
export function makeScratch(purpose: "exercise" | "audit"): string {
  sweepScratch();
  const directory = join(BASE, `tortie-${purpose}-${process.pid}-${identify(process.pid)!.startTime}-${namespace()}`);
  mkdirSync(directory, { mode: 0o700 });
  return directory;
}
