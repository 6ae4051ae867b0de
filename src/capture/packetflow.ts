// The flow of a packet: its innermost addresses and ports, inside of a tunnel where keys opened it.
import { formatEndpoint, type Ip } from "../base/ip.ts";
import type { Layer, TcpLayer, UdpLayer } from "../packet/layer.ts";
import type { TrackedPacket } from "./tracked.ts";

export type FlowEnd = { readonly ip: Ip; readonly port: number };
export type PacketFlow = {
  readonly src: FlowEnd;
  readonly dst: FlowEnd;
  /** It came through a tunnel; else in the clear. */
  readonly inside: boolean;
  /** Its place counts in `bytes`, which are the packet's: they may be used again. */
  readonly layer: TcpLayer | UdpLayer;
  readonly bytes: Uint8Array;
};

/** The TCP and UDP flows of a packet: of each packet that keys opened, or of the frame where it is no WireGuard. */
export function flowsOf(t: TrackedPacket): PacketFlow[] {
  if (t.messages.length === 0) return flowIn(t.whole?.layers ?? t.layers, t.whole?.bytes ?? t.packet.data, false);
  return t.messages.flatMap(({ opened }) => (opened && opened.length > 0 ? flowIn(opened.layers, opened.bytes, true) : []));
}

function flowIn(layers: readonly Layer[], bytes: Uint8Array, inside: boolean): PacketFlow[] {
  let ip: { readonly src: Ip; readonly dst: Ip } | undefined;
  let found: PacketFlow | undefined;
  for (const l of layers) {
    // What an ICMP error quotes belongs to somebody else.
    if (l.kind === "quote") break;
    if (l.kind === "ipv4" || l.kind === "ipv6") [ip, found] = [l, undefined];
    else if (ip && (l.kind === "tcp" || l.kind === "udp"))
      found = { src: { ip: ip.src, port: l.srcPort }, dst: { ip: ip.dst, port: l.dstPort }, inside, layer: l, bytes };
  }
  return found ? [found] : [];
}

/** Tells flows apart; the same both ways. */
export function flowKey(protocol: "tcp" | "udp", inside: boolean, one: FlowEnd, other: FlowEnd): string {
  const [a, b] = [formatEndpoint(one.ip, one.port), formatEndpoint(other.ip, other.port)];
  return `${protocol} ${inside} ${a < b ? `${a} ${b}` : `${b} ${a}`}`;
}
export const keyOf = (f: PacketFlow): string => flowKey(f.layer.kind, f.inside, f.src, f.dst);
export const isEnd = (x: FlowEnd, y: FlowEnd): boolean =>
  x.port === y.port && x.ip.length === y.ip.length && x.ip.every((byte, i) => byte === y.ip[i]);
