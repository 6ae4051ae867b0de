// Nodes and pods as processes: each holds a network, mount and UTS namespace and does nothing. Runs inside the lab.
import { spawn } from "node:child_process";
import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { TortieError } from "../base/errors.ts";
import { run } from "../sys/exec.ts";
import { enter } from "../sys/ns.ts";
import type { Setup } from "./links.ts";
import { toScript } from "./links.ts";
import { MEMBER } from "./mounts.ts";

export type Member = {
  /** The process that holds the namespaces. */
  readonly pid: number;
  /** Resolves if it ends: nothing can enter its namespaces any more. */
  readonly ended: Promise<string>;
};

/** Starts a member; resolves once its file system stands. */
export function startMember(name: string, env: NodeJS.ProcessEnv): Promise<Member> {
  const child = spawn("unshare", ["--net", "--mount", "--uts", "--", "sh", "-ec", MEMBER, "member", name], {
    stdio: ["ignore", "pipe", "pipe"],
    env,
  });
  return new Promise((resolve, reject) => {
    let words = "";
    child.stderr.on("data", (chunk: Buffer) => (words += chunk.toString()));
    child.once("error", reject);
    child.once("exit", (code, signal) => reject(new TortieError(`Cannot make "${name}": ${words.trim() || (signal ?? `exit code ${code}`)}`)));
    const ended = new Promise<string>((end) => child.once("exit", (code, signal) => end(signal ?? `exit code ${code}`)));
    child.stdout.once("data", () => resolve({ pid: child.pid!, ended }));
  });
}

/** Applies a setup to the network of process `pid`. */
export async function apply(setup: Setup, pid: number): Promise<void> {
  const [file, ...args] = [...enter(pid, ["net"]), "sh", "-es"];
  await run(file, args, { input: toScript(setup) });
}

/** Writes a file into a member's own file system. */
export function place(pid: number, path: string, text: string): void {
  const there = `/proc/${pid}/root${path}`;
  mkdirSync(dirname(there), { recursive: true });
  writeFileSync(there, text, { mode: 0o600 });
  chmodSync(there, 0o600);
}
