// A person's (or a script's) command on a node or in a pod: with their terminal, their directory, and its exit code.
import { runAttached } from "../sys/child.ts";
import { enterMember, environment, type LabNode, type LabPod, type RunningLab } from "./enter.ts";

// Entering a mount namespace leads to its root directory: go back to where the caller was, if that is there.
const IN_DIRECTORY = ["sh", "-c", 'cd -- "$0" 2>/dev/null; exec "$@"'];

/** Arguments of an interactive shell that shows where it is. */
const shellOf = (): string[] => ["sh", "-c", "if command -v bash >/dev/null; then exec bash --norc -i; else exec sh -i; fi"];

/** Runs a command there, or an interactive shell without one. The result is the exit code (128 + signal). */
export function session(lab: RunningLab, member: LabNode | LabPod, command: readonly string[]): Promise<number> {
  const words = command.length > 0 ? command : shellOf();
  const env = { ...environment(process.env), ...(command.length > 0 ? {} : { PS1: `${member.name}# ` }) };
  return runAttached([...enterMember(lab, member), ...IN_DIRECTORY, process.cwd(), ...words], { env });
}
