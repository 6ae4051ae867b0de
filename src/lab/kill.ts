// SIGKILL for one daemon of the lab, to see that nothing breaks: the supervisor (or, for a device, its agent) starts it again.
import { readlinkSync } from "node:fs";
import { TortieError } from "../base/errors.ts";
import { run } from "../sys/exec.ts";
import { enter, processes } from "../sys/ns.ts";
import { nodeOf, type RunningLab } from "./enter.ts";

export const DAEMONS = ["agent", "device", "server"] as const;
export type DaemonName = (typeof DAEMONS)[number];

// node …/main.js agent …: started by its path or by a link to it, whatever Node's own options are.
const commandOf = (args: readonly string[]): string | undefined => args[args.findIndex((a) => /\/(cli\/main\.js|tortie)$/.test(a)) + 1];

/** Kills the daemon (of `node`, which the server has none of) and gives the numbers of the killed processes inside the lab. */
export async function killDaemon(lab: RunningLab, daemon: DaemonName, node: string | undefined): Promise<number[]> {
  const proc = `${lab.root}/proc`;
  const holder = node === undefined ? 1 : nodeOf(lab, node).pid;
  const net = readlinkSync(`${proc}/${holder}/ns/net`);
  const found = processes(proc).filter((p) => p.net === net && commandOf(p.args) === daemon);
  if (found.length === 0)
    throw new TortieError(`Cannot kill the ${daemon}${node === undefined ? "" : ` of ${node}`}: none is running`, {
      hint: daemon === "device" ? "A node has a device while encryption is on." : "",
    });
  const pids = found.map((p) => p.pid);
  const [file, ...args] = [...enter(lab.init, ["pid", "mount"]), "sh", "-c", 'kill -9 "$@"', "sh", ...pids.map(String)];
  await run(file, args);
  return pids;
}
