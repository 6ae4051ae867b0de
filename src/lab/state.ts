// The one trace of `tortie lab up` on the machine itself: a directory that says who the lab's init is. It appears whole and at once, so that two starts
// cannot both win, and names a process together with its start time, so that a lab that was killed is never taken for a running one.
import { mkdirSync, readdirSync, readFileSync, renameSync, rmdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { messageOf, TortieError } from "../base/errors.ts";
import { identify, isAlive, type ProcessId, rootOf } from "../sys/ns.ts";
import { INSIDE, STATE_DIRECTORY } from "./enter.ts";

export type State = ProcessId & {
  /** starting: the process is the command that builds the lab; up: it is the lab's init. */
  readonly phase: "starting" | "up";
};

const read = (directory: string): State | undefined => {
  try {
    return JSON.parse(readFileSync(join(directory, "state.json"), "utf8")) as State;
  } catch {
    return undefined;
  }
};

/** The lab that is up or starting, or undefined. */
export function current(): State | undefined {
  const state = read(STATE_DIRECTORY);
  return state && isAlive(state) ? state : undefined;
}

/** Claims the place of the machine's one lab for this process; what a killed lab left is removed. Gives the living lab's state when there is one. */
export function claim(): State | undefined {
  const mine = `${STATE_DIRECTORY}.${process.pid}`;
  rmSync(mine, { recursive: true, force: true });
  mkdirSync(mine, { recursive: true, mode: 0o700 });
  writeFileSync(join(mine, "state.json"), JSON.stringify({ ...identify(process.pid)!, phase: "starting" } satisfies State));
  try {
    for (let tries = 0; ; tries++) {
      try {
        renameSync(mine, STATE_DIRECTORY);
        return undefined;
      } catch (thrown) {
        const living = current();
        if (living) return living;
        if (tries === 3) throw new TortieError(`Cannot claim ${STATE_DIRECTORY}: ${messageOf(thrown)}`, { cause: thrown });
        removeStale();
      }
    }
  } finally {
    rmSync(mine, { recursive: true, force: true });
  }
}

/** Says that the lab stands, and makes what is inside it reachable by a short path. */
export function publish(init: ProcessId): void {
  symlinkSync(rootOf(init.pid) + INSIDE.apiSocket, join(STATE_DIRECTORY, "api.sock"));
  symlinkSync(rootOf(init.pid) + INSIDE.logs, join(STATE_DIRECTORY, "log"));
  const next = join(STATE_DIRECTORY, "state.json.new");
  writeFileSync(next, JSON.stringify({ ...init, phase: "up" } satisfies State));
  renameSync(next, join(STATE_DIRECTORY, "state.json"));
}

/** Removes what says that a lab is up, and what commands that were killed while they said so have left. */
export function removeState(): void {
  rmSync(STATE_DIRECTORY, { recursive: true, force: true });
  const parent = dirname(STATE_DIRECTORY);
  try {
    for (const name of readdirSync(parent)) {
      const pid = /^lab(?:\.stale)?\.([0-9]+)$/.exec(name)?.[1];
      if (pid !== undefined && !identify(Number(pid))) rmSync(join(parent, name), { recursive: true, force: true });
    }
    rmdirSync(parent);
  } catch {
    // It is gone already, or a device or agent of the machine itself keeps something there.
  }
}

function removeStale(): void {
  // Aside first: another start that won in between must not lose its own.
  const aside = `${STATE_DIRECTORY}.stale.${process.pid}`;
  try {
    renameSync(STATE_DIRECTORY, aside);
  } catch {
    return;
  }
  const moved = read(aside);
  if (moved && isAlive(moved)) renameSync(aside, STATE_DIRECTORY);
  else rmSync(aside, { recursive: true, force: true });
}
