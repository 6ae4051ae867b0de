// Links, addresses, routes, rules and neighbours of this network namespace by iproute2: read as JSON, changed in batches, so that one program run
// carries any number of changes. Whoever builds a line makes its words from parsed addresses and checked names only.
import { run } from "./exec.ts";

export type Link = {
  readonly name: string;
  readonly up: boolean;
  readonly mtu: number;
  /** "tun", "vxlan", "veth", …; undefined for hardware. */
  readonly kind: string | undefined;
  readonly mac: string | undefined;
  /** What the kind says about itself, e.g. vxlan's id, port, local, link, learning. */
  readonly data: Readonly<Record<string, unknown>>;
};
export type Address = { readonly dev: string; readonly address: string; readonly prefix: number; readonly scope: string };
export type RouteEntry = {
  /** "unicast", "throw", "blackhole", … */
  readonly type: string;
  /** With prefix length; "default" is "0.0.0.0/0". */
  readonly dst: string;
  readonly dev: string | undefined;
  readonly via: string | undefined;
  readonly onlink: boolean;
  readonly scope: string;
  /** Name or number, as iproute2 says it; "boot" when it says nothing. */
  readonly protocol: string;
  readonly metric: number;
};
export type Rule = {
  readonly priority: number;
  /** Name or number. */
  readonly table: string;
  readonly not: boolean;
  readonly fwmark: number | undefined;
  readonly fwmask: number | undefined;
  /** True when it matches on anything else too. */
  readonly more: boolean;
};
export type Neighbour = { readonly address: string; readonly mac: string; readonly permanent: boolean };
export type Forwarding = { readonly mac: string; readonly dst: string };

type Json = Record<string, unknown>;
const text = (v: unknown): string | undefined => (typeof v === "string" ? v : undefined);
const number = (v: unknown): number | undefined => (typeof v === "number" ? v : typeof v === "string" ? Number(v) : undefined);
const strings = (v: unknown): string[] => (Array.isArray(v) ? v.filter((x) => typeof x === "string") : []);

async function read(program: "ip" | "bridge", args: readonly string[], accept: readonly number[] = [0]): Promise<Json[]> {
  const { stdout, code } = await run(program, ["-json", ...args], { accept });
  // With an error iproute2 leaves an open bracket behind.
  return code === 0 && stdout.trim() !== "" ? (JSON.parse(stdout) as Json[]).filter((o) => Object.keys(o).length > 0) : [];
}

export async function links(): Promise<Link[]> {
  return (await read("ip", ["-details", "link", "show"])).map((l) => {
    const info = (l.linkinfo ?? {}) as Json;
    return {
      name: text(l.ifname) ?? "",
      up: strings(l.flags).includes("UP"),
      mtu: number(l.mtu) ?? 0,
      kind: text(info.info_kind),
      mac: l.link_type === "ether" ? text(l.address) : undefined,
      data: (info.info_data ?? {}) as Json,
    };
  });
}

/** IPv4 addresses. */
export async function addresses(): Promise<Address[]> {
  return (await read("ip", ["-4", "address", "show"])).flatMap((l) =>
    ((l.addr_info ?? []) as Json[]).map((a) => ({
      dev: text(l.ifname) ?? "",
      address: text(a.local) ?? "",
      prefix: number(a.prefixlen) ?? 32,
      scope: text(a.scope) ?? "",
    })),
  );
}

/** IPv4 routes of one table; a table that does not exist has none. */
export async function routes(table: number): Promise<RouteEntry[]> {
  return (await read("ip", ["-4", "-details", "route", "show", "table", String(table)], [0, 2])).map((r) => {
    const dst = text(r.dst) === "default" ? "0.0.0.0/0" : (text(r.dst) ?? "");
    return {
      type: text(r.type) ?? "unicast",
      dst: dst.includes("/") ? dst : `${dst}/32`,
      dev: text(r.dev),
      via: text(r.gateway),
      onlink: strings(r.flags).includes("onlink"),
      scope: text(r.scope) ?? "global",
      protocol: text(r.protocol) ?? "boot",
      metric: number(r.metric) ?? 0,
    };
  });
}

const PLAIN_RULE = new Set(["priority", "src", "table", "not", "fwmark", "fwmask", "protocol"]);

/** IPv4 rules. */
export async function rules(): Promise<Rule[]> {
  return (await read("ip", ["-4", "rule", "show"])).map((r) => {
    const fwmark = number(r.fwmark);
    return {
      priority: number(r.priority) ?? 0,
      table: text(r.table) ?? "",
      not: "not" in r,
      fwmark,
      fwmask: fwmark === undefined ? undefined : (number(r.fwmask) ?? 0xffffffff),
      more: r.src !== "all" || Object.keys(r).some((k) => !PLAIN_RULE.has(k)),
    };
  });
}

/** Static and learnt IPv4 neighbours of one link. */
export async function neighbours(dev: string): Promise<Neighbour[]> {
  return (await read("ip", ["-4", "neigh", "show", "dev", dev])).map((n) => ({
    address: text(n.dst) ?? "",
    mac: text(n.lladdr) ?? "",
    permanent: strings(n.state).includes("PERMANENT"),
  }));
}

/** Where a VXLAN device sends frames for a hardware address. */
export async function forwarding(dev: string): Promise<Forwarding[]> {
  return (await read("bridge", ["fdb", "show", "dev", dev])).map((f) => ({ mac: text(f.mac) ?? "", dst: text(f.dst) ?? "" }));
}

/** Carries out lines such as "route replace throw 10.0.0.0/24 table 1": all of them, also when one fails; then throws TortieError with the words of those. */
export async function change(program: "ip" | "bridge", lines: readonly string[]): Promise<void> {
  if (lines.length > 0) await run(program, ["-force", "-batch", "-"], { input: `${lines.join("\n")}\n` });
}
