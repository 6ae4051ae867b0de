// What else somebody may ask of a node (tortie.io/v1 nodes/NAME/keylog, audit, probe), beside captures: a command of this program with bounded arguments, whose
// output is the answer. Nothing of it is trusted to be well formed: words and numbers become arguments of a program.
import { parseCidr } from "../base/cidr.ts";
import { parseIp } from "../base/ip.ts";
import { fromBase64 } from "../base/bytes.ts";

/** The keys of the node's device, for a time: whoever gets them reads the traffic. Standard output is a key log. */
export type KeylogTask = { readonly type: "keylog"; readonly interface?: string; readonly seconds: number; readonly peers: readonly string[] };
/** `tortie audit --host`: does anything of the pods leave this node in the clear? Exit codes are the audit's. */
export type AuditTask = {
  readonly type: "audit";
  readonly seconds: number;
  readonly podCidrs: readonly string[];
  readonly canaries: readonly string[];
  readonly json?: true;
};
/** Pings. Exit codes are ping's. */
export type ProbeTask = { readonly type: "probe"; readonly address: string; readonly count: number; readonly json?: true };
export type NodeTask = KeylogTask | AuditTask | ProbeTask;
export type NodeTaskType = NodeTask["type"];

export const isNodeTask = (type: unknown): type is NodeTaskType => type === "keylog" || type === "audit" || type === "probe";

const MOST = 64;
type Query = { get(name: string): string | null; getAll(name: string): string[] };

/** The query of a URL that says it. */
export function queryOfTask(task: NodeTask): string {
  const { type: _, ...fields } = task;
  const pairs = Object.entries(fields).flatMap(([name, value]) => (Array.isArray(value) ? value : [value]).map((v) => [name, String(v)]));
  return pairs.map(([name, value]) => `${name}=${encodeURIComponent(value!)}`).join("&");
}

/** What a query asks for, to be checked by taskOf. */
export function taskAskedOf(type: NodeTaskType, query: Query): Record<string, unknown> {
  const number = (name: string): number => Number(query.get(name) || NaN);
  const given = (name: string): Record<string, unknown> => (query.get(name) === null ? {} : { [name]: query.get(name) });
  if (type === "keylog") return { type, seconds: number("seconds"), peers: query.getAll("peers"), ...given("interface") };
  const json = query.get("json") === "true" ? { json: true } : {};
  if (type === "probe") return { type, count: number("count"), ...given("address"), ...json };
  return { type, seconds: number("seconds"), podCidrs: query.getAll("podCidrs"), canaries: query.getAll("canaries"), ...json };
}

const isNumber = (n: unknown, most: number): n is number => Number.isInteger(n) && (n as number) >= 1 && (n as number) <= most;
const isTexts = (list: unknown, is: (text: string) => boolean): list is string[] =>
  Array.isArray(list) && list.length <= MOST && list.every((t) => typeof t === "string" && is(t));
const isAddress = (text: string): boolean => parseIp(text) !== undefined;

/** The task, or what is wrong with it. */
export function taskOf(value: Readonly<Record<string, unknown>>): NodeTask | string {
  const { type, seconds, peers, podCidrs, canaries, address, count, json } = value;
  switch (type) {
    case "keylog": {
      const { interface: name } = value;
      // The kernel's rule for names; a dash would make an option of it.
      if (name !== undefined && !(typeof name === "string" && /^[^-\s/:\p{Cc}][^\s/:\p{Cc}]{0,14}$/u.test(name)))
        return "interface: a name of an interface";
      if (!isNumber(seconds, 86_400)) return "seconds: a whole number from 1 to 86400";
      if (!isTexts(peers, (p) => fromBase64(p)?.length === 32)) return `peers: at most ${MOST} public keys in base64`;
      return { type, seconds, peers, ...(name === undefined ? {} : { interface: name }) };
    }
    case "audit":
      if (!isNumber(seconds, 3600)) return "seconds: a whole number from 1 to 3600";
      if (!isTexts(podCidrs, (c) => c.includes("/") && parseCidr(c) !== undefined)) return `podCidrs: at most ${MOST} ranges of addresses`;
      if (!isTexts(canaries, isAddress)) return `canaries: at most ${MOST} addresses`;
      if (json !== undefined && json !== true) return "json: true, or nothing";
      return { type, seconds, podCidrs, canaries, ...(json ? { json } : {}) };
    case "probe":
      if (typeof address !== "string" || !isAddress(address)) return "address: an IP address";
      if (!isNumber(count, 1000)) return "count: a whole number from 1 to 1000";
      if (json !== undefined && json !== true) return "json: true, or nothing";
      return { type, address, count, ...(json ? { json } : {}) };
    default:
      return "type: keylog, audit or probe";
  }
}

const each = (option: string, values: readonly string[]): string[] => values.flatMap((v) => [option, v]);

/** The arguments of `tortie` that do it. */
export function argumentsOfTask(task: NodeTask): string[] {
  switch (task.type) {
    case "keylog": {
      const on = task.interface === undefined ? [] : ["-i", task.interface];
      return ["keylog", ...on, "-w", "-", "--for", `${task.seconds}s`, ...each("--peer", task.peers)];
    }
    case "audit": {
      const ranges = [...each("--pod-cidr", task.podCidrs), ...each("--canary", task.canaries)];
      return ["audit", "--host", "--duration", String(task.seconds), ...ranges, ...(task.json ? ["-o", "json"] : [])];
    }
    case "probe":
      return ["ping", "-n", "-c", String(task.count), "-i", "0.2", ...(task.json ? ["-o", "json"] : []), task.address];
  }
}
