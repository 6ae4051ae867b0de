// Running programs. Only this folder does. An error has three layers: what and how it ended, the program's own words, the captured output.
import { execFile } from "node:child_process";
import { TortieError } from "../base/errors.ts";

export type Ran = { readonly stdout: string; readonly stderr: string; readonly code: number };
export type RunOptions = {
  /** Written to the program's standard input, which is then closed. */
  input?: string | Uint8Array;
  /** @default 10000 */
  timeoutMs?: number;
  signal?: AbortSignal;
  env?: NodeJS.ProcessEnv;
  cwd?: string;
  /** Exit codes that are no error. @default [0] */
  accept?: readonly number[];
};

/** Runs a program to its end. Never through a shell; never put a secret into `args`. Throws TortieError. */
export function run(file: string, args: readonly string[], options: RunOptions = {}): Promise<Ran> {
  const { input, timeoutMs = 10_000, accept = [0], ...rest } = options;
  return new Promise((resolve, reject) => {
    const child = execFile(
      file,
      args,
      { ...rest, timeout: timeoutMs, killSignal: "SIGKILL", maxBuffer: 64 << 20, encoding: "utf8" },
      (error, stdout, stderr) => {
        const code = error ? (typeof error.code === "number" ? error.code : -1) : 0;
        if (code >= 0 && accept.includes(code)) return resolve({ stdout, stderr, code });
        const missing = (error as NodeJS.ErrnoException | null)?.code === "ENOENT";
        const how = missing
          ? "it is not installed"
          : error?.killed
            ? `it did not end within ${timeoutMs} ms`
            : error?.signal
              ? `it was ended by ${error.signal}`
              : `it ended with ${code}`;
        const words = stderr.trim() || stdout.trim();
        reject(new TortieError(`Cannot run "${[file, ...args].join(" ")}": ${how}${words ? `: ${words}` : ""}`, { cause: error }));
      },
    );
    child.stdin?.on("error", () => {}); // the program need not read its input
    child.stdin?.end(input);
  });
}

/** True when the program is on PATH. */
export async function installed(program: string): Promise<boolean> {
  return (await run("/bin/sh", ["-c", 'command -v "$1"', "sh", program], { accept: [0, 1, 127] })).code === 0;
}
