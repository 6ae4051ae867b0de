// Leaving a process in the background, and knowing that it is up: the child says so, or why not, on a pipe that only the two of them have.
import { spawn } from "node:child_process";
import { closeSync, realpathSync, writeSync } from "node:fs";
import { TortieError } from "../base/errors.ts";

const READY_FD = 3;
const READY_ENV = "TORTIE_READY_FD";

/** Number of the first of `descriptors` in the child. */
export const FIRST_DESCRIPTOR: number = READY_FD + 1;

export type BackgroundOptions = {
  readonly env: NodeJS.ProcessEnv;
  /** Let the child's output go where ours goes. */
  readonly output: boolean;
  /** Descriptors that the child gets as FIRST_DESCRIPTOR and up. */
  readonly descriptors: readonly number[];
};

/**
 * Starts this program again with `args`, detached; resolves when it called `reportReady`. Throws TortieError with the child's own words when it called
 * `reportFailure` or ended before.
 */
export function startInBackground(args: readonly string[], options: BackgroundOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    const output = options.output ? "inherit" : "ignore";
    // Under its own name, by whatever other one it was called.
    const child = spawn(process.execPath, [...process.execArgv, realpathSync(process.argv[1]!), ...args], {
      detached: true,
      stdio: ["ignore", output, output, "pipe", ...options.descriptors],
      env: { ...options.env, [READY_ENV]: String(READY_FD) },
    });
    let said = "";
    const pipe = child.stdio[READY_FD]!;
    pipe.on("data", (chunk: Buffer) => (said += chunk.toString()));
    pipe.on("error", () => {});
    child.once("error", reject);
    pipe.once("close", () => {
      child.unref();
      const [verdict, message, hint] = said.split("\0");
      if (verdict === "ready") resolve();
      else reject(new TortieError(message ?? "Cannot start in the background: the process ended at once", { hint: hint ?? "" }));
    });
  });
}

function report(text: string): void {
  const fd = process.env[READY_ENV];
  delete process.env[READY_ENV];
  if (fd === undefined) return;
  writeSync(Number(fd), text);
  closeSync(Number(fd));
}

/** Tells the process that started this one, if it waits. */
export const reportReady = (): void => report("ready\0");
export const reportFailure = (message: string, hint: string): void => report(`failed\0${message}\0${hint}`);
