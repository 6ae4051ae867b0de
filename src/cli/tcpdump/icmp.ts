// ICMP, ICMPv6 and ARP in tcpdump's words.
import { formatMac } from "../../capture/summary.ts";
import { formatIp } from "../../base/ip.ts";
import type { ArpLayer, IcmpLayer, IpLayer, Layer } from "../../packet/layer.ts";

/** What an error is about: the packet that it quotes. */
function quoted(layers: readonly Layer[]): { ip: IpLayer; transport: Layer | undefined } | undefined {
  const after = layers.slice(layers.findIndex((l) => l.kind === "quote") + 1);
  const at = after.findIndex((l) => l.kind === "ipv4" || l.kind === "ipv6");
  return at < 0 ? undefined : { ip: after[at] as IpLayer, transport: after[at + 1] };
}

function port(layers: readonly Layer[]): string {
  const q = quoted(layers);
  if (!q) return "";
  const t = q.transport;
  const dst = formatIp(q.ip.dst);
  if (t?.kind === "udp" || t?.kind === "tcp") return `${dst} ${t.kind} port ${t.dstPort}`;
  return `${dst} protocol ${q.ip.kind === "ipv4" ? q.ip.protocol : q.ip.nextHeader} port`;
}

function unreachable4(l: IcmpLayer, layers: readonly Layer[]): string {
  const q = quoted(layers);
  const dst = q ? formatIp(q.ip.dst) : "?";
  const protocol = q?.ip.kind === "ipv4" ? q.ip.protocol : 0;
  switch (l.code) {
    case 0:
      return `net ${dst} unreachable`;
    case 1:
      return `host ${dst} unreachable`;
    case 2:
      return `${dst} protocol ${protocol} unreachable`;
    case 3:
      return `${port(layers)} unreachable`;
    case 4:
      return `${dst} unreachable - need to frag${(l.rest & 0xffff) > 0 ? ` (mtu ${l.rest & 0xffff})` : ""}`;
    case 13:
      return `host ${dst} unreachable - admin prohibited filter`;
    case 10:
      return `host ${dst} unreachable - admin prohibited`;
    default:
      return `${dst} unreachable - #${l.code}`;
  }
}

/** Behind "ICMP "; without the length. */
export function icmpText(l: IcmpLayer, layers: readonly Layer[]): string {
  const echo = `id ${l.rest >>> 16}, seq ${l.rest & 0xffff}`;
  switch (l.type) {
    case 0:
      return `echo reply, ${echo}`;
    case 8:
      return `echo request, ${echo}`;
    case 3:
      return unreachable4(l, layers);
    case 5:
      return `redirect ${formatIp(quoted(layers)?.ip.dst ?? new Uint8Array(4))} to host ${formatIp(word(l.rest))}`;
    case 11:
      return l.code === 0 ? "time exceeded in-transit" : "ip reassembly time exceeded";
    default:
      return `type-#${l.type}`;
  }
}
const word = (n: number): Uint8Array => new Uint8Array([n >>> 24, n >>> 16, n >>> 8, n]);

const UNREACHABLE6: readonly string[] = ["unreachable route", "unreachable prohibited", "beyond scope", "unreachable address", "unreachable port"];
const SIMPLE6: Readonly<Record<number, string>> = {
  130: "multicast listener query",
  131: "multicast listener report",
  132: "multicast listener done",
  133: "router solicitation",
  134: "router advertisement",
  137: "redirect",
};

/** Behind "ICMP6, "; without the length. */
export function icmp6Text(l: IcmpLayer, layers: readonly Layer[], bytes: Uint8Array): string {
  const target = bytes.length >= l.at + 24 ? formatIp(bytes.subarray(l.at + 8, l.at + 24)) : "?";
  const about = quoted(layers);
  switch (l.type) {
    case 1: {
      const what = UNREACHABLE6[l.code] ?? `unknown code (${l.code})`;
      return `destination unreachable, ${what}${l.code === 4 ? `, ${port(layers)}` : about ? ` ${formatIp(about.ip.dst)}` : ""}`;
    }
    case 2:
      return `packet too big, mtu ${l.rest}`;
    case 3:
      return `time exceeded ${l.code === 0 ? "in-transit" : "in-reassembly"}${about && l.code === 0 ? ` for ${formatIp(about.ip.dst)}` : ""}`;
    case 128:
    case 129:
      return `echo ${l.type === 128 ? "request" : "reply"}, id ${l.rest >>> 16}, seq ${l.rest & 0xffff}`;
    case 135:
      return `neighbor solicitation, who has ${target}`;
    case 136:
      return `neighbor advertisement, tgt is ${target}`;
    case 143:
      return `multicast listener report v2, ${l.rest & 0xffff} group record(s)`;
    default:
      return SIMPLE6[l.type] ?? `type-#${l.type}`;
  }
}

/** Behind "ARP, "; `length` is that of the ARP packet with its padding. */
export function arpText(l: ArpLayer, length: number): string {
  const [sender, target] = [formatIp(l.senderIp), formatIp(l.targetIp)];
  const known = l.targetMac.some((b) => b !== 0) ? ` (${formatMac(l.targetMac)})` : "";
  if (l.operation === 1) return `Request who-has ${target}${known} tell ${sender}, length ${length}`;
  if (l.operation === 2) return `Reply ${sender} is-at ${formatMac(l.senderMac)}, length ${length}`;
  return `Unknown (${l.operation}), length ${length}`;
}
