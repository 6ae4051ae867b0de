// A tree of processes that ends as a whole. Its init is process 1 of a PID namespace: when it ends, in whatever way, the kernel kills everything below
// it, and the mount, network and UTS namespaces go with the last process. Nothing of it appears in the caller's own namespaces but one `unshare`.
import { type ChildProcess, spawn, type StdioOptions } from "node:child_process";
import { TortieError } from "../base/errors.ts";
import { childrenOf, identify, isAlive, type ProcessId } from "./ns.ts";

export type TreeOptions = {
  /** Shell text that init runs first, before the main program: mounts. A failing command ends the tree. */
  readonly setup: string;
  /** The main program: the tree ends when it ends. Orphans below it are reaped by init. */
  readonly main: readonly string[];
  readonly stdio: StdioOptions;
  readonly env: NodeJS.ProcessEnv;
  /** The tree is killed when the caller ends, in whatever way. */
  readonly dieWithCaller: boolean;
};

// The shell stays as process 1 for its `wait`, which reaps everybody. A program in the background would read /dev/null: descriptor 9 keeps the real input.
// What to set up comes by the environment, to keep the list of processes readable.
const INIT = `setup=$TORTIE_SETUP; unset TORTIE_SETUP; eval "$setup"
exec 9<&0
"$@" <&9 9<&- &
exec 9<&- <&-
wait $!`;

/** Starts the tree in a session of its own, so that a Ctrl-C reaches the caller only. */
export function startTree(options: TreeOptions): ChildProcess {
  const deathSignal = options.dieWithCaller ? ["setpriv", "--pdeathsig", "KILL"] : [];
  const unshare = ["unshare", "--pid", "--mount", "--net", "--uts", "--fork", "--kill-child", "--mount-proc", "--"];
  const shell = ["sh", "-ec", INIT, "init", ...options.main];
  const [file, ...args] = [...deathSignal, ...unshare, ...shell];
  return spawn(file!, args, { stdio: options.stdio, env: { ...options.env, TORTIE_SETUP: options.setup }, detached: true });
}

/** The tree's init as the caller sees it: kill it, and all is gone. Waits until it was forked. */
export async function initOf(unshare: ChildProcess): Promise<ProcessId> {
  for (let i = 0; i < 200 && unshare.exitCode === null && unshare.signalCode === null; i++) {
    const id = unshare.pid === undefined ? undefined : childrenOf(unshare.pid).map((pid) => identify(pid))[0];
    if (id) return id;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new TortieError("Cannot start a process tree: unshare ended at once");
}

/** Kills a tree by its init and waits until the kernel has cleared it; false when it is still there after `timeoutMs`. */
export async function killTree(init: ProcessId, timeoutMs = 10_000): Promise<boolean> {
  if (isAlive(init)) {
    try {
      process.kill(init.pid, "SIGKILL");
    } catch {
      // It ended by itself in between.
    }
  }
  for (const end = Date.now() + timeoutMs; Date.now() < end;) {
    // Process 1 is reaped only after everybody else in its namespace is.
    if (identify(init.pid)?.startTime !== init.startTime) return true;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  return false;
}
