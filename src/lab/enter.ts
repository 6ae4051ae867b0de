// Finding a running lab and getting into it: what the CLI, captures and audits of the whole lab use. The lab's processes live in a PID namespace and a
// mount namespace of their own; everything below the lab's /run is reached from outside through /proc/INIT/root.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { TortieError } from "../base/errors.ts";
import { type Argv, enter, identify, isAlive, type ProcessId, rootOf } from "../sys/ns.ts";

/** Where `tortie lab up` keeps, on the machine itself, who its init is. Everything else is inside the lab. */
export const STATE_DIRECTORY = "/run/tortie/lab";
/** Inside the lab (the lab's own /run, which no node sees). */
export const INSIDE = {
  directory: "/run/tortie",
  inventory: "/run/tortie/lab.json",
  apiSocket: "/run/tortie/api.sock",
  kubeconfig: "/run/tortie/admin.kubeconfig",
  serverData: "/run/tortie/server",
  logs: "/run/tortie/log",
} as const;
/** In every node's and pod's own /run: `bin` has our programs where no real one is installed, `own` has ours in any case. */
export const PROGRAMS = { bin: "/run/tortie/bin", own: "/run/tortie/own" } as const;
/** In every node: the administrator's access to the API, as a person at the node would have it. */
export const NODE_KUBECONFIG = "/etc/calico/kubeconfig";

export type LabNode = {
  readonly name: string;
  /** The node's own address, without a prefix length. */
  readonly address: string;
  /** The process that holds the node's namespaces, by its number inside the lab. */
  readonly pid: number;
};
export type LabPod = {
  readonly namespace: string;
  readonly name: string;
  readonly node: string;
  readonly address: string;
  readonly pid: number;
  /** The node's side of the pod's veth pair (cali…). */
  readonly hostInterface: string;
};
/** What the supervisor writes to INSIDE.inventory once the lab stands. */
export type Inventory = { readonly nodes: readonly LabNode[]; readonly pods: readonly LabPod[] };
export type RunningLab = Inventory & {
  /** The lab's init, by its number as the caller sees it. */
  readonly init: number;
  /** Path of the lab's file system for the caller: `${root}${INSIDE.logs}`. */
  readonly root: string;
  /** Path of the API server's unix socket for the caller. Its user is an administrator. */
  readonly apiSocket: string;
};

/** The init of the running lab: of TORTIE_LAB (a process number, set for what the lab itself starts), else of `tortie lab up`. */
export function findInit(): ProcessId | undefined {
  const given = process.env.TORTIE_LAB;
  if (given !== undefined) return /^[1-9][0-9]{0,9}$/.test(given) ? identify(Number(given)) : undefined;
  try {
    const id = JSON.parse(readFileSync(join(STATE_DIRECTORY, "state.json"), "utf8")) as ProcessId & { phase: string };
    return id.phase === "up" && isAlive(id) ? id : undefined;
  } catch {
    return undefined;
  }
}

/** The lab of an init, or undefined while it is not up yet. */
export function labOf(init: number): RunningLab | undefined {
  const root = rootOf(init);
  try {
    const inventory = JSON.parse(readFileSync(`${root}${INSIDE.inventory}`, "utf8")) as Inventory;
    return { ...inventory, init, root, apiSocket: `${root}${INSIDE.apiSocket}` };
  } catch {
    return undefined;
  }
}

/** The running lab, or undefined. */
export function findLab(): RunningLab | undefined {
  const id = findInit();
  return id && labOf(id.pid);
}

/** Path of the running lab's API socket, or undefined: for whoever looks for an API without being told where. */
export const labApiSocket = (): string | undefined => findLab()?.apiSocket;

/** As findLab, or an error that says how to start one. */
export function requireLab(): RunningLab {
  const lab = findLab();
  if (!lab) throw new TortieError("Cannot reach a lab: none is running", { hint: "tortie lab up starts one." });
  return lab;
}

export function nodeOf(lab: Inventory, name: string): LabNode {
  const node = lab.nodes.find((n) => n.name === name);
  if (!node) throw new TortieError(`Cannot find node "${name}" in the lab: its nodes are ${lab.nodes.map((n) => n.name).join(", ")}`);
  return node;
}

/** The pod called `name` or `namespace/name`. */
export function podOf(lab: Inventory, name: string): LabPod {
  const pod = lab.pods.find((p) => p.name === name || `${p.namespace}/${p.name}` === name);
  if (!pod) throw new TortieError(`Cannot find pod "${name}" in the lab: its pods are ${lab.pods.map((p) => p.name).join(", ")}`);
  return pod;
}

/** Arguments that run a program in the lab but in none of its nodes (router and API server); the program and its arguments go after them. */
export const enterLab = (lab: RunningLab): Argv => enter(lab.init, ["pid", "mount", "net", "uts"]);

/** Arguments that run a program on a node or in a pod, from outside or inside the lab; the program and its arguments go after them. */
export const enterMember = (lab: RunningLab, member: { readonly pid: number }): Argv => [
  ...enter(lab.init, ["pid", "mount"]),
  ...enter(member.pid, ["net", "mount", "uts"]),
];

/** The environment of what runs in the lab but in none of its nodes: it finds the lab and its API by itself. */
export function labEnvironment(base: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const { KUBECONFIG: _kubeconfig, ...rest } = environment(base, { own: true });
  return { ...rest, TORTIE_LAB: "1" };
}

/** The environment of what runs on a node or in a pod: our programs where the real ones are missing, or first with `own`. */
export function environment(base: NodeJS.ProcessEnv, options: { own?: boolean } = {}): NodeJS.ProcessEnv {
  const path = [
    ...(options.own ? [PROGRAMS.own] : []),
    PROGRAMS.bin,
    base.PATH ?? "",
    "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
  ];
  const { TORTIE_LAB: _lab, TORTIE_SOCKET: _socket, TORTIE_KEEP: _keep, ...rest } = base;
  return { ...rest, PATH: path.filter(Boolean).join(":"), KUBECONFIG: NODE_KUBECONFIG };
}
