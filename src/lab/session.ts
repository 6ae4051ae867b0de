// A person's (or a script's) command on a node or in a pod: with their terminal, their directory, and its exit code.
import { spawn } from "node:child_process";
import { constants } from "node:os";
import { TortieError } from "../base/errors.ts";
import { enterMember, environment, type LabNode, type LabPod, type RunningLab } from "./enter.ts";

// Entering a mount namespace leads to its root directory: go back to where the caller was, if that is there.
const IN_DIRECTORY = ["sh", "-c", 'cd -- "$0" 2>/dev/null; exec "$@"'];

/** Arguments of an interactive shell that shows where it is. */
const shellOf = (): string[] => ["sh", "-c", "if command -v bash >/dev/null; then exec bash --norc -i; else exec sh -i; fi"];

/** Runs a command there, or an interactive shell without one. The result is the exit code (128 + signal). */
export function session(lab: RunningLab, member: LabNode | LabPod, command: readonly string[]): Promise<number> {
  const [file, ...args] = [...enterMember(lab, member), ...IN_DIRECTORY, process.cwd(), ...(command.length > 0 ? command : shellOf())];
  const env = { ...environment(process.env), ...(command.length > 0 ? {} : { PS1: `${member.name}# ` }) };
  // Ctrl-C is for the command: we only wait for it.
  const ignore = (): void => {};
  process.on("SIGINT", ignore).on("SIGQUIT", ignore);
  return new Promise<number>((resolve, reject) => {
    const child = spawn(file, args, { stdio: "inherit", env });
    child.once("error", (e) => reject(new TortieError(`Cannot enter ${member.name}: ${e.message}`, { cause: e })));
    child.once("exit", (code, signal) => resolve(code ?? 128 + constants.signals[signal!]));
  }).finally(() => process.off("SIGINT", ignore).off("SIGQUIT", ignore));
}
