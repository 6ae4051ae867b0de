// A program that runs beside us: started, watched, ended. Its output goes to a file.
import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, openSync } from "node:fs";

export type Started = {
  readonly child: ChildProcess;
  /** How it ended: "exit code 1", "SIGKILL", or why it could not be started. Never rejects. */
  readonly ended: Promise<string>;
};

/** Starts a program; standard output and error are appended to `logFile`. */
export function start(argv: readonly string[], options: { env: NodeJS.ProcessEnv; logFile: string }): Started {
  const log = openSync(options.logFile, "a", 0o600);
  const [file, ...args] = argv;
  const child = spawn(file!, args, { env: options.env, stdio: ["ignore", log, log] });
  closeSync(log);
  const ended = new Promise<string>((resolve) => {
    child.once("error", (e) => resolve(e.message));
    child.once("exit", (code, signal) => resolve(signal ?? `exit code ${code}`));
  });
  return { child, ended };
}
