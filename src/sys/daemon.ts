// A program that outlives us: started in a session of its own, its output in a file, found again by a pid file that names the very process.
import { spawn } from "node:child_process";
import { closeSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { identify, isAlive, type ProcessId } from "./ns.ts";

export type Daemon = {
  readonly pid: number | undefined;
  /** How it ended, if that happens while we live: "exit code 1", "SIGKILL", or why it could not be started. Never rejects. */
  readonly ended: Promise<string>;
};

/** Starts a daemon. Neither our end nor a signal to our terminal reaches it. */
export function startDaemon(argv: readonly string[], options: { env: NodeJS.ProcessEnv; logFile: string; pidFile: string }): Daemon {
  for (const file of [options.logFile, options.pidFile]) mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  const log = openSync(options.logFile, "a", 0o600);
  const [file, ...args] = argv;
  const child = spawn(file!, args, { env: options.env, stdio: ["ignore", log, log], detached: true });
  closeSync(log);
  const id = child.pid === undefined ? undefined : identify(child.pid);
  if (id) writeFileSync(options.pidFile, JSON.stringify(id), { mode: 0o600 });
  const ended = new Promise<string>((resolve) => {
    child.once("error", (e) => resolve(e.message));
    child.once("exit", (code, signal) => resolve(signal ?? `exit code ${code}`));
  });
  child.unref();
  return { pid: child.pid, ended };
}

/** The living process that a pid file names. */
export function readPidFile(pidFile: string): ProcessId | undefined {
  try {
    const id = JSON.parse(readFileSync(pidFile, "utf8")) as ProcessId;
    return Number.isInteger(id.pid) && id.pid > 1 && isAlive(id) ? id : undefined;
  } catch {
    return undefined;
  }
}

/** Ends the process of a pid file: asked first, killed when it has not ended after `patienceMs`. */
export async function stopDaemon(pidFile: string, patienceMs = 2_000): Promise<void> {
  const id = readPidFile(pidFile);
  for (const [signal, ms] of [
    ["SIGTERM", patienceMs],
    ["SIGKILL", 1_000],
  ] as const) {
    if (!id || !isAlive(id)) break;
    try {
      process.kill(id.pid, signal);
    } catch {
      break; // it ended in between
    }
    for (const end = performance.now() + ms; isAlive(id) && performance.now() < end;) await new Promise((resolve) => setTimeout(resolve, 10));
  }
  rmSync(pidFile, { force: true });
}
