// Looks at a machine while it is captured: links with counters, routes, rules, WireGuard's peers, translated flows. All of it by programs that every
// Linux has (iproute2, and wg where it is installed), so that it works the same in a namespace of the lab and on a real host.
import { messageOf, TortieError } from "../../base/errors.ts";
import type {
  LinkObservation,
  LinkRole,
  NodeObservation,
  PeerObservation,
  RouteObservation,
  RuleObservation,
  Snapshot,
} from "../../capture/audit/observed.ts";
import { type Place, runIn } from "./place.ts";

type Json = Record<string, unknown>;
export type LinkFact = {
  readonly name: string;
  readonly index: number;
  readonly kind: string;
  readonly up: boolean;
  readonly loopback: boolean;
  readonly mtu: number;
  readonly master: string | undefined;
  /** The link that this one lies on, in the same namespace. */
  readonly parent: string | undefined;
  readonly xdp: string | undefined;
  readonly vfs: number;
  readonly packets: number;
  readonly bytes: number;
};
export type DeviceFact = {
  readonly name: string;
  readonly publicKey: string;
  readonly port: number;
  readonly peers: readonly (PeerObservation & { endpoint: string })[];
};
export type Look = {
  readonly time: number;
  readonly links: readonly LinkFact[];
  readonly addresses: readonly { readonly dev: string; readonly address: string }[];
  readonly rules: readonly RuleObservation[];
  readonly routes: readonly RouteObservation[];
  readonly devices: readonly DeviceFact[];
  /** Undefined when it cannot be read. */
  readonly conntrack: string | undefined;
};

/** Links whose packets leave the machine by another link, where they are seen as they leave. */
const WRAPPING = new Set([
  "tun",
  "wireguard",
  "vxlan",
  "geneve",
  "ipip",
  "sit",
  "gre",
  "gretap",
  "ip6gre",
  "ip6tnl",
  "ip_vti",
  "vti6",
  "dummy",
  "ifb",
  "nlmon",
  "xfrm",
  "bareudp",
]);
/** Links that are a view of another one of the same machine. */
const VIEWS = new Set(["vlan", "macvlan", "ipvlan", "macvtap"]);
const PART = "@@@@";

const SCRIPT = `
p() { echo '${PART}'; }
date +%s.%N; p
ip -json -details -statistics link show; p
ip -json address show; p
ip -json -4 rule show; p; ip -json -6 rule show; p
ip -json -4 route show table all; p; ip -json -6 route show table all; p
$WG show all dump 2>/dev/null; p
if [ -r /proc/net/nf_conntrack ]; then echo yes; cat /proc/net/nf_conntrack; elif conntrack -L 2>/dev/null; then echo yes; else echo no; fi; p
for f in /sys/class/net/*/device/sriov_numvfs; do [ -r "$f" ] && echo "$f $(cat "$f")"; done
exit 0
`;

/** Throws TortieError. `wg`: words that run wg(8) there. */
export async function look(place: Place, wg: readonly string[] = ["wg"]): Promise<Look> {
  const quoted = wg.map((w) => `'${w.replaceAll("'", `'\\''`)}'`).join(" ");
  const printed = await runIn(place, "sh", "-c", SCRIPT.replace("$WG", quoted));
  const parts = printed.split(`${PART}\n`);
  try {
    const list = (i: number): Json[] => (JSON.parse(parts[i]!.trim() || "[]") as Json[]).filter((o) => Object.keys(o).length > 0);
    const vfs = new Map([...(parts[9] ?? "").matchAll(/net\/([^/]+)\/device\/sriov_numvfs ([0-9]+)/g)].map((m) => [m[1]!, Number(m[2])]));
    const conntrack = parts[8]!;
    const links = list(1).map((l) => linkOf(l, vfs));
    return {
      time: Number(parts[0]),
      links,
      addresses: list(2).flatMap((l) => ((l.addr_info ?? []) as Json[]).map((a) => ({ dev: text(l.ifname), address: text(a.local) }))),
      rules: [...list(3).map((r) => ruleOf(r)), ...list(4).map((r) => ruleOf(r))].filter(unique),
      routes: [...list(5).map((r) => routeOf(r, "0.0.0.0/0")), ...list(6).map((r) => routeOf(r, "::/0"))],
      // Control sockets are files: they show devices of other network namespaces too.
      devices: parseDump(parts[7]!).filter((d) => links.some((l) => l.name === d.name)),
      conntrack: /^yes$/m.test(conntrack) ? conntrack.replace(/^(yes|no)\n/gm, "") : undefined,
    };
  } catch (e) {
    throw new TortieError(`Cannot look at ${place.node}: what its programs print is not understood (${messageOf(e)})`, { cause: e });
  }
}

const text = (v: unknown): string => (typeof v === "string" ? v : typeof v === "number" ? String(v) : "");
const number = (v: unknown): number => (typeof v === "number" ? v : Number(v ?? 0));
const unique = (r: RuleObservation, i: number, all: readonly RuleObservation[]): boolean =>
  all.findIndex((x) => JSON.stringify(x) === JSON.stringify(r)) === i;

function linkOf(l: Json, vfs: ReadonlyMap<string, number>): LinkFact {
  const name = text(l.ifname);
  const flags = (l.flags ?? []) as string[];
  const stats = (l.stats64 ?? {}) as { rx?: Json; tx?: Json };
  const xdp = l.xdp as { mode?: unknown; attached?: { mode?: unknown }[] } | undefined;
  return {
    name,
    index: number(l.ifindex),
    kind: text((l.linkinfo as Json | undefined)?.info_kind),
    up: flags.includes("UP"),
    loopback: flags.includes("LOOPBACK"),
    mtu: number(l.mtu),
    master: l.master === undefined ? undefined : text(l.master),
    parent: l.link === undefined || l.link_netnsid !== undefined ? undefined : text(l.link),
    xdp: xdp === undefined ? undefined : xdpMode(xdp.mode ?? xdp.attached?.[0]?.mode),
    vfs: vfs.get(name) ?? (l.vfinfo_list as unknown[] | undefined)?.length ?? 0,
    packets: number(stats.rx?.packets) + number(stats.tx?.packets),
    bytes: number(stats.rx?.bytes) + number(stats.tx?.bytes),
  };
}
const xdpMode = (mode: unknown): string => ["", "driver", "generic", "offload"][number(mode)] || "several";

function ruleOf(r: Json): RuleObservation {
  const rule: RuleObservation = { priority: number(r.priority), table: text(r.table) };
  if ("not" in r) rule.not = true;
  if (r.fwmark !== undefined) rule.fwmark = number(r.fwmark);
  if (r.fwmask !== undefined) rule.fwmask = number(r.fwmask);
  if (r.src !== undefined && r.src !== "all") rule.src = `${text(r.src)}${r.srclen === undefined ? "" : `/${number(r.srclen)}`}`;
  if (r.dst !== undefined && r.dst !== "all") rule.dst = `${text(r.dst)}${r.dstlen === undefined ? "" : `/${number(r.dstlen)}`}`;
  return rule;
}

function routeOf(r: Json, all: string): RouteObservation {
  const route: RouteObservation = { dst: r.dst === "default" ? all : text(r.dst), table: text(r.table ?? "main") };
  if (r.dev !== undefined) route.dev = text(r.dev);
  if (r.type !== undefined && r.type !== "unicast") route.type = text(r.type);
  if (r.metric !== undefined) route.metric = number(r.metric);
  return route;
}

/** `wg show all dump`. Private and pre-shared keys are passed over. */
function parseDump(text: string): DeviceFact[] {
  const devices: (DeviceFact & { peers: DeviceFact["peers"][number][] })[] = [];
  for (const line of text.split("\n")) {
    const f = line.split("\t");
    if (f.length === 5) devices.push({ name: f[0]!, publicKey: f[2]!, port: Number(f[3]), peers: [] });
    else if (f.length === 9) {
      const allowedIPs = f[4] === "(none)" ? [] : f[4]!.split(",");
      devices.at(-1)?.peers.push({ publicKey: f[1]!, endpoint: f[3]!, allowedIPs, lastHandshake: Number(f[5]), rx: Number(f[6]), tx: Number(f[7]) });
    }
  }
  return devices;
}

/** What a link is for the audit. `inside`: names of links that lead to pods of this machine. */
function roleOf(l: LinkFact, all: readonly LinkFact[], inside: ReadonlySet<string>, devices: ReadonlySet<string>): { role: LinkRole; why: string } {
  const parent = all.find((x) => x.name === l.parent);
  const master = all.find((x) => x.name === l.master);
  if (l.loopback) return { role: "inside", why: "loopback" };
  if (devices.has(l.name)) return { role: "inside", why: "a WireGuard device" };
  if (inside.has(l.name)) return { role: "inside", why: "leads to pods of this node" };
  if (WRAPPING.has(l.kind)) return { role: "inside", why: `${l.kind}: seen on the link it leaves by` };
  if (l.kind === "bridge") return { role: "inside", why: "a bridge: seen on its ports" };
  if (master?.kind === "bond") return { role: "inside", why: `part of ${master.name}` };
  if (VIEWS.has(l.kind) && parent) return { role: "inside", why: `${l.kind}: seen on ${parent.name}` };
  if (!l.up) return { role: "inside", why: "down" };
  return { role: "wire", why: l.kind === "" ? "hardware" : l.kind };
}

/** Watches a machine from begin() to end(). */
export class Watcher {
  readonly place: Place;
  readonly #wg: readonly string[];
  readonly #inside: (now: Look) => ReadonlySet<string>;
  readonly #looks: Look[] = [];
  #from: number;
  #counters: Look | undefined;

  constructor(place: Place, inside: (now: Look) => ReadonlySet<string>, wg?: readonly string[]) {
    this.place = place;
    this.#inside = inside;
    this.#wg = wg ?? ["wg"];
    this.#from = 0;
  }

  async look(): Promise<Look> {
    const now = await look(this.place, this.#wg);
    this.#looks.push(now);
    return now;
  }
  /** Before any capture: what wires there are. */
  async begin(): Promise<LinkObservation[]> {
    const now = await this.look();
    this.#from = now.time;
    return this.#links();
  }
  /** When every capture runs: from here on the kernel's counters are held against it. */
  async captured(): Promise<void> {
    this.#counters = await this.look();
  }
  /** While every capture still runs. */
  async end(): Promise<void> {
    await this.look();
  }

  get #devices(): ReadonlySet<string> {
    return new Set(this.#looks.flatMap((l) => l.devices.map((d) => d.name)));
  }
  /** Links of all looks; the one that is a wire at any time is one. */
  #links(): LinkObservation[] {
    const found = new Map<string, LinkObservation>();
    const last = this.#looks.at(-1)!;
    for (const now of this.#looks) {
      const inside = this.#inside(now);
      for (const l of now.links) {
        const { role, why } = roleOf(l, now.links, inside, this.#devices);
        const before = found.get(l.name);
        if (before?.role === "wire") {
          if (l.xdp !== undefined) before.xdp = l.xdp;
          continue;
        }
        found.set(l.name, { name: l.name, index: l.index, role, why, mtu: l.mtu, vfs: l.vfs, ...(l.xdp === undefined ? {} : { xdp: l.xdp }) });
      }
    }
    for (const o of found.values()) {
      const a = this.#counters?.links.find((l) => l.name === o.name);
      const b = last.links.find((l) => l.name === o.name);
      if (o.role === "wire" && a && b) o.counted = { packets: b.packets - a.packets, bytes: b.bytes - a.bytes };
    }
    return [...found.values()];
  }

  /** `to`: seconds since 1970, when the last capture ended. */
  observation(to: number): NodeObservation {
    const tables = this.#looks.flatMap((l) => l.conntrack ?? []);
    const snapshots: Snapshot[] = [];
    for (const l of this.#looks) {
      const peers = l.devices.flatMap((d) =>
        d.peers.map(({ publicKey, allowedIPs, lastHandshake, rx, tx }) => ({ publicKey, allowedIPs, lastHandshake, rx: rx!, tx: tx! })),
      );
      snapshots.push({ time: l.time, peers, routes: [...l.routes], rules: [...l.rules] });
    }
    // A table that could be read is known, also when it was empty at every look.
    const conntrack = tables.length > 0 ? { conntrack: [...new Set(tables.flatMap((t) => t.split("\n")).filter(Boolean))].join("\n") } : {};
    return { node: this.place.node, from: this.#from, to, links: this.#links(), snapshots, ...conntrack };
  }
}
