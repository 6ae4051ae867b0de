// Translated flows: what a conntrack table says of a packet between two nodes' addresses (section 7.5.6). Reads the lines of /proc/net/nf_conntrack and
// of `conntrack -L`, which are the same but for the first two words.
import { type Ip, parseIp } from "../../base/ip.ts";
import { addressKey } from "./address.ts";
import type { Flow } from "./types.ts";

/** The two real ends of a connection, as one node's table tells them. */
export type Translation = {
  readonly node: string;
  /** Who opened it, and whom it reached in the end. */
  readonly client: Ip;
  readonly server: Ip;
};

type Tuple = { src: Ip; dst: Ip; srcPort: number; dstPort: number };

const PROTOCOLS: Readonly<Record<string, number>> = { icmp: 1, tcp: 6, udp: 17, icmpv6: 58, sctp: 132, dccp: 33, udplite: 136 };
/** Tables are polled: what is kept is bounded. */
const MAX_ENTRIES = 200_000;

export class NatTable {
  readonly #byFlow = new Map<string, Translation[]>();
  readonly #nodes = new Set<string>();
  /** Connections whose addresses or ports were changed. */
  translated = 0;

  /** True when this node's table was read, be it empty. */
  covers(node: string): boolean {
    return this.#nodes.has(node);
  }
  get nodes(): number {
    return this.#nodes.size;
  }

  /** Adds a dump of a node's table; lines that are none are left out. A dump may be given again and again. */
  add(node: string, dump: string): void {
    this.#nodes.add(node);
    for (const line of dump.split("\n")) {
      const entry = parseLine(line);
      if (!entry) continue;
      const { protocol, original: o, reply: r } = entry;
      const t: Translation = { node, client: o.src, server: r.src };
      let fresh = false;
      // Any of four packets may be on the wire: each direction, before or after the translation.
      for (const tuple of [o, r, inverse(o), inverse(r)]) {
        const key = keyOf(protocol, tuple);
        const known = this.#byFlow.get(key) ?? [];
        if (known.some((k) => same(k, t))) continue;
        if (this.#byFlow.size >= MAX_ENTRIES) return;
        this.#byFlow.set(key, [...known, t]);
        fresh = true;
      }
      if (fresh && keyOf(protocol, inverse(o)) !== keyOf(protocol, r)) this.translated++;
    }
  }

  /** What the tables say of a packet; empty when they know nothing of it. */
  find(flow: Flow): readonly Translation[] {
    const exact = this.#byFlow.get(keyOf(flow.protocol, flow));
    return exact ?? [];
  }
}

const inverse = (t: Tuple): Tuple => ({ src: t.dst, dst: t.src, srcPort: t.dstPort, dstPort: t.srcPort });
const keyOf = (protocol: number, t: Tuple): string => `${protocol} ${addressKey(t.src)} ${t.srcPort} ${addressKey(t.dst)} ${t.dstPort}`;
const same = (a: Translation, b: Translation): boolean =>
  a.node === b.node && addressKey(a.client) === addressKey(b.client) && addressKey(a.server) === addressKey(b.server);

/** "ipv4 2 udp 17 29 src=… dst=… sport=… dport=… [UNREPLIED] src=… dst=… sport=… dport=… mark=0 …" */
function parseLine(line: string): { protocol: number; original: Tuple; reply: Tuple } | undefined {
  const words = line.trim().split(/\s+/);
  const name = words[0] === "ipv4" || words[0] === "ipv6" ? words[2] : words[0];
  const protocol = PROTOCOLS[name ?? ""];
  if (protocol === undefined) return undefined;
  const tuples: Partial<Tuple>[] = [];
  for (const word of words) {
    const [field, value] = word.split("=");
    if (value === undefined) continue;
    if (field === "src") tuples.push({ srcPort: 0, dstPort: 0 });
    const t = tuples.at(-1);
    if (!t || tuples.length > 2) continue;
    if (field === "src" || field === "dst") {
      const ip = parseIp(value);
      if (!ip) return undefined;
      t[field] = ip;
    } else if (field === "sport") t.srcPort = Number(value);
    else if (field === "dport") t.dstPort = Number(value);
    else if (field === "id" && tuples.length <= 2) {
      // The identifier of an echo stands for both ports, as it does in a flow.
      t.srcPort = Number(value);
      t.dstPort = Number(value);
    }
  }
  const [original, reply] = tuples;
  return original && reply && isWhole(original) && isWhole(reply) ? { protocol, original, reply } : undefined;
}
const isWhole = (t: Partial<Tuple>): t is Tuple => t.src !== undefined && t.dst !== undefined;
