// The difference between what is in the kernel and what should be, as lines for `ip -batch` and `bridge -batch`. Pure.
import type { Address, Forwarding, Link, Neighbour, RouteEntry, Rule } from "../../sys/ip.ts";
import { type Desired, type Encryption, MAIN_TABLE, PROTOCOL_PLAIN, type Route, type Vxlan } from "../calc/types.ts";

/** What there is, or should be, of one sort of thing: identity → the words that make it. */
export type Things = ReadonlyMap<string, string>;
export type Sort = "address" | "table" | "main" | "rule" | "neighbour" | "forwarding";
export type State = Readonly<Record<Sort, Things>>;
/** What was read. `table` holds the routes of the private table. */
export type Actual = {
  readonly links: readonly Link[];
  readonly addresses: readonly Address[];
  readonly rules: readonly Rule[];
  readonly main: readonly RouteEntry[];
  readonly tables: ReadonlyMap<number, readonly RouteEntry[]>;
  readonly neighbours: readonly Neighbour[];
  readonly forwarding: readonly Forwarding[];
};

const PROTOCOLS: Readonly<Record<string, number>> = { unspec: 0, redirect: 1, kernel: 2, boot: 3, static: 4 };
const protocolOf = (name: string): number => PROTOCOLS[name] ?? Number(name);

const routeWords = (r: Route): string =>
  [
    r.type === "unicast" ? r.dst : `${r.type} ${r.dst}`,
    ...(r.via === undefined ? [] : [`via ${r.via}`]),
    ...(r.dev === undefined ? [] : [`dev ${r.dev}`]),
    ...(r.scope === undefined ? [] : [`scope ${r.scope}`]),
    ...(r.onlink ? ["onlink"] : []),
    `proto ${r.protocol}`,
    `table ${r.table}`,
  ].join(" ");

function entryWords(e: RouteEntry, table: number): string {
  const words = routeWords({
    table,
    dst: e.dst,
    type: e.type as Route["type"],
    protocol: protocolOf(e.protocol),
    ...(e.dev === undefined ? {} : { dev: e.dev }),
    ...(e.via === undefined ? {} : { via: e.via }),
    ...(e.onlink ? { onlink: true } : {}),
    ...(e.scope === "link" ? { scope: "link" } : {}),
  });
  return e.metric === 0 ? words : `${words} metric ${e.metric}`;
}
const routeKey = (table: number, dst: string, metric = 0): string => `${table} ${dst} ${metric}`;

const ruleWords = (priority: number, mark: number, table: number): string =>
  `not fwmark 0x${mark.toString(16)}/0x${mark.toString(16)} priority ${priority} table ${table}`;

/** Words by which an existing rule is deleted. */
function existingRule(r: Rule): string {
  const mark = r.fwmark === undefined ? "" : `fwmark 0x${r.fwmark.toString(16)}/0x${(r.fwmask ?? 0xffffffff).toString(16)} `;
  return `${r.not ? "not " : ""}${mark}priority ${r.priority} table ${r.table}`;
}

const addressWords = (address: string, dev: string): string => `${address}/32 dev ${dev}`;
const neighbourWords = (address: string, mac: string, dev: string): string => `${address} lladdr ${mac} dev ${dev} nud permanent`;
const forwardingWords = (mac: string, dst: string, dev: string): string => `${mac} dev ${dev} dst ${dst} self permanent`;

const ownAddress = (e: Encryption | Vxlan | undefined): [string, string][] =>
  e?.address === undefined ? [] : [[`${e.interface} ${e.address}/32`, addressWords(e.address, e.interface)]];

/** What should be. Without encryption nothing of the private table and no rule. */
export function wanted({ encryption, vxlan, plainRoutes }: Desired): State {
  const neighbours = vxlan?.neighbours ?? [];
  return {
    address: new Map([...ownAddress(encryption), ...ownAddress(vxlan)]),
    table: new Map((encryption?.routes ?? []).map((r) => [routeKey(r.table, r.dst), routeWords(r)])),
    main: new Map(plainRoutes.map((r) => [routeKey(r.table, r.dst), routeWords(r)])),
    rule: new Map(
      encryption ? [ruleWords(encryption.rulePriority, encryption.fwmark, encryption.table)].map((words): [string, string] => [words, words]) : [],
    ),
    neighbour: new Map(neighbours.map((n) => [n.address, neighbourWords(n.address, n.mac, vxlan!.interface)])),
    forwarding: new Map(neighbours.map((n) => [n.mac, forwardingWords(n.mac, n.nodeAddress, vxlan!.interface)])),
  };
}

/**
 * What there is and is ours to change: rules that lead to our tables; in them the routes of our interfaces and those without interface; in the main
 * table those of our protocol; every IPv4 address, static neighbour and forwarding entry of our interfaces.
 */
export function existing(actual: Actual, interfaces: ReadonlySet<string>, vxlanInterface: string): State {
  const addresses = actual.addresses.filter((a) => interfaces.has(a.dev) || a.dev === vxlanInterface);
  const table = [...actual.tables].flatMap(([t, entries]) =>
    entries
      .filter((e) => e.dev === undefined || interfaces.has(e.dev))
      .map((e): [string, string] => [routeKey(t, e.dst, e.metric), entryWords(e, t)]),
  );
  const rules = actual.rules.filter((r) => actual.tables.has(Number(r.table)));
  return {
    address: new Map(addresses.map((a) => [`${a.dev} ${a.address}/${a.prefix}`, `${a.address}/${a.prefix} dev ${a.dev}`])),
    table: new Map(table),
    main: new Map(
      actual.main
        .filter((e) => protocolOf(e.protocol) === PROTOCOL_PLAIN)
        .map((e) => [routeKey(MAIN_TABLE, e.dst, e.metric), entryWords(e, MAIN_TABLE)]),
    ),
    // A rule that matches on more than the mark is never the wanted one: its identity must differ.
    rule: new Map(rules.map((r) => [r.more ? `${existingRule(r)} and more` : existingRule(r), existingRule(r)])),
    neighbour: new Map(actual.neighbours.filter((n) => n.permanent).map((n) => [n.address, neighbourWords(n.address, n.mac, vxlanInterface)])),
    forwarding: new Map(actual.forwarding.filter((f) => f.dst !== "").map((f) => [f.mac, forwardingWords(f.mac, f.dst, vxlanInterface)])),
  };
}

const VERBS: Readonly<Record<Sort, { program: "ip" | "bridge"; set: string; unset: string }>> = {
  address: { program: "ip", set: "address replace", unset: "address del" },
  table: { program: "ip", set: "route replace", unset: "route del" },
  main: { program: "ip", set: "route replace", unset: "route del" },
  rule: { program: "ip", set: "rule add", unset: "rule del" },
  neighbour: { program: "ip", set: "neigh replace", unset: "neigh del" },
  forwarding: { program: "bridge", set: "fdb replace", unset: "fdb del" },
};

/** Lines that make `want` of `have`, for the sorts named: what is new or different is set first, then what is not wanted is taken away. */
export function difference(have: State, want: State, sorts: readonly Sort[], program: "ip" | "bridge"): string[] {
  return sorts
    .filter((sort) => VERBS[sort].program === program)
    .flatMap((sort) => {
      const { set, unset } = VERBS[sort];
      const missing = [...want[sort]].filter(([key, words]) => have[sort].get(key) !== words).map(([, words]) => `${set} ${words}`);
      const extra = [...have[sort]].filter(([key]) => !want[sort].has(key)).map(([, words]) => `${unset} ${words}`);
      return [...missing, ...extra];
    });
}
