// Which of the processes that calicoctl asks for run on this node: those of /proc that share this network namespace, so that a node of the lab sees its own.
import { readdirSync, readFileSync, readlinkSync } from "node:fs";

export type Running = { readonly agent: boolean; readonly bird: boolean; readonly bird6: boolean };

function namespaceOf(pid: string): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/ns/net`);
  } catch {
    return undefined; // ended, or not ours to look at
  }
}

function argumentsOf(pid: string): string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
  } catch {
    return [];
  }
}

const base = (path: string | undefined): string => (path ?? "").replace(/^.*\//, "");

/** The name that a process goes by: Calico's agent is calico-node, ours `tortie agent` on Node. */
function nameOf(args: readonly string[]): string {
  const [program, script, word] = args;
  const isOurs = /^(main\.js|tortie)$/.test(base(script)) && word === "agent";
  return /^node(js)?$/.test(base(program)) && isOurs ? "calico-node" : base(program);
}

export function running(): Running {
  const own = namespaceOf("self");
  const names = new Set(
    readdirSync("/proc")
      .filter((p) => /^[0-9]+$/.test(p) && namespaceOf(p) === own)
      .map((p) => nameOf(argumentsOf(p))),
  );
  return { agent: names.has("calico-node"), bird: names.has("bird"), bird6: names.has("bird6") };
}
