// Filters into conditions for one link type. The meanings are libpcap's, surprises included: `port` is tcp, udp or sctp and first fragments only, `host`
// also matches ARP, `udp[…]` is IPv4 only.
import { TortieError } from "../../base/errors.ts";
import type { Ip } from "../../base/ip.ts";
import type { Arithmetic, Direction, Filter, Indexed, Network, Transport } from "./ast.ts";
import { ALWAYS, and, type Condition, constant, equals, isSet, load, masked, not, or, type Value } from "./condition.ts";
import { etherType, type Link, linkOf, SKF_AD_VLAN_TAG, SKF_AD_VLAN_TAG_PRESENT, tagged } from "./link.ts";
import { ETHER_TYPES, IP_PROTOCOLS } from "./names.ts";

const IPV6_HEADER = 40;
const LONGEST_IPV4_HEADER = 60;
const IPV6_FRAGMENT = 44;
const FRAGMENT_OFFSET = 0x1fff;
const VLAN_TYPES: readonly number[] = [0x8100, 0x88a8, 0x9100];
const OUTGOING = 4;
const TRANSPORTS: readonly Transport[] = ["tcp", "udp", "sctp"];

/** Throws TortieError for what the link type has not. */
export function lower(filter: Filter, linkType: number, live: boolean): Condition {
  const { condition, vlans } = lowered(filter, linkType, live, live);
  if (!live || vlans === 0) return condition;
  // The kernel may keep the outermost tag of a live packet beside its data, or, where a device cannot do that, in it.
  return or(and(TAG_BESIDE, condition), and(not(TAG_BESIDE), lowered(filter, linkType, live, false).condition));
}

const TAG_BESIDE: Condition = equals(load(1, SKF_AD_VLAN_TAG_PRESENT), 1);

function lowered(filter: Filter, linkType: number, live: boolean, beside: boolean): { condition: Condition; vlans: number } {
  const lowering = new Lowering(linkType, live, beside);
  const condition = lowering.filter(filter);
  return { condition, vlans: lowering.vlans };
}

const WIREGUARD_DATA = 0x04000000;
/** A longer live packet may be a super-datagram: cut by the kernel, all but its first message would be lost. */
const ONE_MESSAGE = 1600;

/** The packet carries a WireGuard data message (type 4), and it is safe to look. Live super-datagrams do not count. */
export function isData(linkType: number, live: boolean): Condition {
  const link = linkOf(linkType, live);
  const l3 = link.network;
  const length: Value = { kind: "length" };
  const [udp, message] = [IP_PROTOCOLS.udp!, 8];
  const least: Condition = { kind: "test", op: ">=", left: length, right: constant(l3 + LONGEST_IPV4_HEADER + message + 4) };
  const single: Condition = live ? not({ kind: "test", op: ">", left: length, right: constant(ONE_MESSAGE) }) : ALWAYS;
  const first = not(isSet(load(2, l3 + 6), FRAGMENT_OFFSET));
  const start4 = equals(load(4, l3 + message, l3), WIREGUARD_DATA);
  const v4 = and(etherType(link, ETHER_TYPES.ip!), equals(load(1, l3 + 9), udp), first, start4);
  const v6 = and(etherType(link, ETHER_TYPES.ip6!), equals(load(1, l3 + 6), udp), equals(load(4, l3 + IPV6_HEADER + message), WIREGUARD_DATA));
  // Whatever the header says of its length, nothing is loaded from beyond the end, which would drop the packet.
  return and(least, single, or(v4, v6));
}

/** `one` for each end that the direction names. */
function ends(direction: Direction, one: (end: "src" | "dst") => Condition): Condition {
  if (direction === "src" || direction === "dst") return one(direction);
  return direction === "both" ? and(one("src"), one("dst")) : or(one("src"), one("dst"));
}

class Lowering {
  /** Changes behind each `vlan`. */
  #link: Link;
  readonly #beside: boolean;
  /** How often `vlan` stood there. */
  vlans = 0;

  /** `beside`: the outermost VLAN tag is not in the data. */
  constructor(linkType: number, live: boolean, beside: boolean) {
    this.#link = linkOf(linkType, live);
    this.#beside = beside;
  }

  filter(f: Filter): Condition {
    switch (f.kind) {
      case "and":
      case "or": {
        const left = this.filter(f.left);
        return (f.kind === "and" ? and : or)(left, this.filter(f.right));
      }
      case "not":
        return not(this.filter(f.of));
      case "protocol":
        return this.#protocol(f.protocol);
      case "ipProtocol":
        return this.#ipProtocol(f.family, f.number);
      case "etherProtocol":
        return etherType(this.#link, f.number);
      case "host":
        return this.#host(f.protocol, f.direction, f.ip, f.prefix);
      case "ether":
        this.#needEthernet("Ethernet addresses");
        return ends(f.direction, (end) => bytesEqual(end === "dst" ? 0 : 6, f.mac, 48));
      case "port":
        return this.#ports(f.protocol, f.direction, f.low, f.high);
      case "vlan":
        return this.#vlan(f.id);
      case "cast":
        return this.#cast(f.family, f.cast);
      case "way":
        return this.#way(f.way);
      case "relation":
        return this.#relation(f);
    }
  }

  #needEthernet(what: string): void {
    if (!this.#link.ethernet) throw new TortieError(`Cannot filter by ${what}: this link type has no Ethernet header`);
  }

  #type(name: string): Condition {
    return etherType(this.#link, ETHER_TYPES[name]!);
  }

  #protocol(p: string): Condition {
    if (p in ETHER_TYPES) return this.#type(p);
    return this.#ipProtocol(p === "icmp" ? "ip" : p === "icmp6" ? "ip6" : "any", IP_PROTOCOLS[p]!);
  }

  #ipProtocol(family: "ip" | "ip6" | "any", number: number): Condition {
    const l3 = this.#link.network;
    const v4 = and(this.#type("ip"), equals(load(1, l3 + 9), number));
    const next = load(1, l3 + 6);
    const behindFragment = and(equals(next, IPV6_FRAGMENT), equals(load(1, l3 + IPV6_HEADER), number));
    const v6 = and(this.#type("ip6"), or(equals(next, number), behindFragment));
    return family === "ip" ? v4 : family === "ip6" ? v6 : or(v6, v4);
  }

  #host(protocol: Network | undefined, direction: Direction, ip: Ip, prefix: number): Condition {
    const l3 = this.#link.network;
    const at = (type: string, src: number, dst: number): Condition =>
      and(
        this.#type(type),
        ends(direction, (end) => bytesEqual(l3 + (end === "src" ? src : dst), ip, prefix)),
      );
    if (ip.length === 16) return at("ip6", 8, 24);
    const kinds = { ip: () => at("ip", 12, 16), arp: () => at("arp", 14, 24), rarp: () => at("rarp", 14, 24) };
    if (protocol !== undefined && protocol !== "ip6") return kinds[protocol]();
    return or(kinds.ip(), kinds.arp(), kinds.rarp());
  }

  #ports(protocol: Transport | undefined, direction: Direction, low: number, high: number): Condition {
    const l3 = this.#link.network;
    const numbers = (protocol ? [protocol] : TRANSPORTS).map((p) => IP_PROTOCOLS[p]!);
    const within = (port: Value): Condition =>
      low === high
        ? equals(port, low)
        : and({ kind: "test", op: ">=", left: port, right: constant(low) }, not({ kind: "test", op: ">", left: port, right: constant(high) }));
    const oneOf = (v: Value): Condition => or(...numbers.map((n) => equals(v, n)));
    const v6 = and(
      this.#type("ip6"),
      oneOf(load(1, l3 + 6)),
      ends(direction, (end) => within(load(2, l3 + IPV6_HEADER + (end === "src" ? 0 : 2)))),
    );
    const v4 = and(
      this.#type("ip"),
      oneOf(load(1, l3 + 9)),
      this.#firstFragment(),
      ends(direction, (end) => within(load(2, l3 + (end === "src" ? 0 : 2), l3))),
    );
    return or(v6, v4);
  }

  #firstFragment(): Condition {
    return not(isSet(load(2, this.#link.network + 6), FRAGMENT_OFFSET));
  }

  #vlan(id: number | undefined): Condition {
    this.#needEthernet("VLAN");
    if (this.vlans++ === 0 && this.#beside)
      return id === undefined ? TAG_BESIDE : and(TAG_BESIDE, equals(masked(load(2, SKF_AD_VLAN_TAG), 0xfff), id));
    const types = or(...VLAN_TYPES.map((t) => etherType(this.#link, t)));
    const tag = load(2, this.#link.network);
    this.#link = tagged(this.#link);
    return id === undefined ? types : and(types, equals(masked(tag, 0xfff), id));
  }

  #cast(family: "ether" | "ip" | "ip6", cast: "broadcast" | "multicast"): Condition {
    const l3 = this.#link.network;
    if (family === "ip") return and(this.#type("ip"), { kind: "test", op: ">=", left: load(1, l3 + 16), right: constant(224) });
    if (family === "ip6") return and(this.#type("ip6"), equals(load(1, l3 + 24), 255));
    this.#needEthernet(cast);
    return cast === "multicast" ? isSet(load(1, 0), 1) : bytesEqual(0, new Uint8Array(6).fill(255), 48);
  }

  #way(way: "inbound" | "outbound"): Condition {
    if (!this.#link.packetType) throw new TortieError(`Cannot filter by "${way}": this link type does not say which way a packet went`);
    const outgoing = equals(this.#link.packetType, OUTGOING);
    return way === "outbound" ? outgoing : not(outgoing);
  }

  #relation(f: Extract<Filter, { kind: "relation" }>): Condition {
    const checks: Condition[] = [];
    const left = this.#value(f.left, checks);
    const right = this.#value(f.right, checks);
    const test = (op: "=" | ">" | ">="): Condition => ({ kind: "test", op, left, right });
    const holds = {
      "=": () => test("="),
      "!=": () => not(test("=")),
      ">": () => test(">"),
      "<=": () => not(test(">")),
      ">=": () => test(">="),
      "<": () => not(test(">=")),
    };
    return and(...checks, holds[f.op]());
  }

  /** The value, and into `checks` what must hold for it to be there. */
  #value(a: Arithmetic, checks: Condition[]): Value {
    switch (a.kind) {
      case "number":
        return constant(a.value);
      case "length":
        return { kind: "length" };
      case "negate":
        return { kind: "negate", of: this.#value(a.of, checks) };
      case "binary":
        return { kind: "binary", op: a.op, left: this.#value(a.left, checks), right: this.#value(a.right, checks) };
      case "load": {
        const index = this.#value(a.index, checks);
        const { check, base, header } = this.#base(a.protocol);
        checks.push(check);
        const fixed = index.kind === "constant";
        const k = base + (fixed ? index.k : 0);
        return { kind: "load", size: a.size, k, ...(fixed ? {} : { index }), ...(header === undefined ? {} : { header }) };
      }
    }
  }

  #base(protocol: Indexed): { check: Condition; base: number; header?: number } {
    const l3 = this.#link.network;
    if (protocol === "link") {
      if (!this.#link.header) throw new TortieError("Cannot filter by link[…]: this interface's link header is not seen");
      return { check: ALWAYS, base: 0 };
    }
    if (protocol in ETHER_TYPES) return { check: this.#type(protocol), base: l3 };
    if (protocol === "icmp6") return { check: and(this.#type("ip6"), equals(load(1, l3 + 6), IP_PROTOCOLS.icmp6!)), base: l3 + IPV6_HEADER };
    return { check: and(this.#ipProtocol("ip", IP_PROTOCOLS[protocol]!), this.#firstFragment()), base: l3, header: l3 };
  }
}

/** The first `bits` bits of `bytes` stand at `at`. */
function bytesEqual(at: number, bytes: Uint8Array, bits: number): Condition {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const parts: Condition[] = [];
  for (let i = 0; i < bytes.length && 8 * i < bits;) {
    const size = bytes.length - i >= 4 ? 4 : 2;
    const value = size === 4 ? view.getUint32(i) : view.getUint16(i);
    const left = bits - 8 * i;
    const mask = left >= 8 * size ? 0xffffffff : (0xffffffff << (8 * size - left)) >>> 0;
    parts.push(equals(mask === 0xffffffff ? load(size, at + i) : masked(load(size, at + i), mask), value));
    i += size;
  }
  return and(...parts);
}
