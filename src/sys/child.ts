// Programs that run beside us, in the five ways in which we need them. Only this folder starts processes.
import { type ChildProcess, type ChildProcessByStdio, spawn } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { constants } from "node:os";
import type { Readable, Writable } from "node:stream";
import type { Argv } from "./ns.ts";

/** How a program ended: "exit code 1", "SIGKILL", or why it could not be started. Never rejects. */
const endOf = (child: ChildProcess): Promise<string> =>
  new Promise((resolve) => {
    child.once("error", (e) => resolve(e.message));
    child.once("exit", (code, signal) => resolve(signal ?? `exit code ${code}`));
  });

/** Runs a daemon; standard output and error are appended to `logFile`. Resolves with how it ended; never rejects. */
export function runLogged([file, ...args]: Argv, options: { env: NodeJS.ProcessEnv; logFile: string }): Promise<string> {
  const log = openSync(options.logFile, "a", 0o600);
  const child = spawn(file, args, { env: options.env, stdio: ["ignore", log, log] });
  closeSync(log);
  return endOf(child);
}

export type Started = { readonly pid: number; readonly ended: Promise<string> };

/** Starts a program that says something once it is ready. Rejects with what it said on standard error when it ends before. */
export function startReady([file, ...args]: Argv, options: { env: NodeJS.ProcessEnv }): Promise<Started> {
  const child = spawn(file, args, { env: options.env, stdio: ["ignore", "pipe", "pipe"] });
  const ended = endOf(child);
  let words = "";
  child.stderr.on("data", (chunk: Buffer) => (words = (words + chunk.toString()).slice(-4_000)));
  return new Promise((resolve, reject) => {
    void ended.then((how) => reject(new Error(words.trim() || how)));
    child.stdout.once("data", () => resolve({ pid: child.pid!, ended }));
  });
}

/** Runs a program with our own terminal, for a person. Ctrl-C is for the program. Resolves with its exit code (128 + signal). */
export function runAttached([file, ...args]: Argv, options: { env: NodeJS.ProcessEnv }): Promise<number> {
  const ignore = (): void => {};
  process.on("SIGINT", ignore).on("SIGQUIT", ignore);
  return new Promise<number>((resolve, reject) => {
    const child = spawn(file, args, { stdio: "inherit", env: options.env });
    child.once("error", reject);
    child.once("exit", (code, signal) => resolve(code ?? 128 + constants.signals[signal!]));
  }).finally(() => process.off("SIGINT", ignore).off("SIGQUIT", ignore));
}

/** Starts a program whose input and output are ours to handle, in a process group of its own. */
export const startPiped = ([file, ...args]: Argv, options: { env: NodeJS.ProcessEnv }): ChildProcessByStdio<Writable, Readable, Readable> =>
  spawn(file, args, { stdio: ["pipe", "pipe", "pipe"], env: options.env, detached: true });

/** A program may print so much to `runForOutput`. */
const OUTPUT_LIMIT = 1 << 20;

/**
 * Runs a program for what it prints. Its standard error is ours; with `input` so is standard input, for what it asks a person. Resolves with how it ended
 * ("" where it went well) and what it printed; rejects with the system's error when it cannot be started, and when `signal` ends it.
 */
export function runForOutput(
  [file, ...args]: Argv,
  options: { env: NodeJS.ProcessEnv; input: boolean; signal: AbortSignal },
): Promise<{ ended: string; output: string }> {
  const { env, input, signal } = options;
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, { env, signal, stdio: [input ? "inherit" : "ignore", "pipe", "inherit"] });
    const printed: Buffer[] = [];
    let bytes = 0;
    child.stdout.on("data", (chunk: Buffer) => {
      printed.push(chunk);
      if ((bytes += chunk.length) > OUTPUT_LIMIT) child.kill("SIGKILL");
      // What the program started in turn may write on.
      if (bytes > OUTPUT_LIMIT) child.stdout.destroy();
    });
    child.once("error", (thrown) => {
      child.stdout.destroy();
      reject(thrown);
    });
    child.once("close", (code, ending) => {
      const ended = bytes > OUTPUT_LIMIT ? "it printed more than 1 MiB" : (ending ?? (code === 0 ? "" : `exit code ${code}`));
      resolve({ ended, output: Buffer.concat(printed).toString("utf8") });
    });
  });
}
