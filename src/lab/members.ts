// Nodes and pods as processes: each holds a network, mount and UTS namespace and does nothing. Runs inside the lab.
import { chmodSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { messageOf, TortieError } from "../base/errors.ts";
import { type Started, startReady } from "../sys/child.ts";
import { run } from "../sys/exec.ts";
import { enter, rootOf } from "../sys/ns.ts";
import type { Setup } from "./links.ts";
import { toScript } from "./links.ts";
import { MEMBER } from "./mounts.ts";

/** The process that holds a member's namespaces. When it ends, nothing can enter them any more. */
export type Member = Started;

/** Starts a member; resolves once its file system stands. */
export async function startMember(name: string, env: NodeJS.ProcessEnv): Promise<Member> {
  try {
    return await startReady(["unshare", "--net", "--mount", "--uts", "--", "sh", "-ec", MEMBER, "member", name], { env });
  } catch (cause) {
    throw new TortieError(`Cannot make "${name}": ${messageOf(cause)}`, { cause });
  }
}

/** Applies a setup to the network of process `pid`. */
export async function apply(setup: Setup, pid: number): Promise<void> {
  const [file, ...args] = [...enter(pid, ["net"]), "sh", "-es"];
  await run(file, args, { input: toScript(setup) });
}

/** Writes a file into a member's own file system. */
export function place(pid: number, path: string, text: string): void {
  const there = rootOf(pid) + path;
  mkdirSync(dirname(there), { recursive: true });
  writeFileSync(there, text, { mode: 0o600 });
  chmodSync(there, 0o600);
}

/** Takes a file away from a member's own file system. */
export const displace = (pid: number, path: string): void => rmSync(rootOf(pid) + path, { force: true });
