// Dissects a packet into its tree, outer and inner, and finds fields in it.
import { formatEndpoint } from "../base/ip.ts";
import type { Layer } from "../packet/layer.ts";
import { linkName } from "../packet/link.ts";
import { formatDate, formatTime } from "./moment.ts";
import type { Secrets } from "./secrets.ts";
import type { TrackedMessage, TrackedPacket } from "./tracker.ts";
import { layerNodes } from "./tree-layers.ts";
import { messageNode } from "./tree-wireguard.ts";
import { field, node, type TreeNode } from "./tree.ts";

export type Dissection = {
  readonly outer: readonly TreeNode[];
  /** One tree for each WireGuard message that opened. */
  readonly inner: readonly { readonly message: TrackedMessage; readonly tree: readonly TreeNode[] }[];
};

/** `first`: time of the capture's first packet. */
export function dissect(t: TrackedPacket, secrets: Secrets, first?: bigint): Dissection {
  const p = t.packet;
  const protocols = protocolsOf(t);
  const frame = node(`Frame ${p.number}: ${p.originalLength} bytes on wire, ${p.data.length} bytes captured`, [
    field("frame.interface_name", "Interface", p.iface.name ?? String(p.iface.id), `${p.iface.name ?? p.iface.id} (${linkName(p.iface.link)})`),
    ...(p.time === undefined
      ? [node("Arrival time: not in the file")]
      : [
          field("frame.time_epoch", "Arrival time", formatTime(p.time), `${formatDate(p.time)} (${formatTime(p.time)})`),
          field("frame.time_relative", "Time since first frame", formatTime(p.time - (first ?? p.time))),
        ]),
    field("frame.number", "Frame number", p.number),
    field("frame.len", "Frame length", p.originalLength),
    field("frame.cap_len", "Capture length", p.data.length),
    ...(p.direction ? [field("frame.p2p_dir", "Direction", p.direction === "in" ? 1 : 0, p.direction)] : []),
    ...p.comments.map((c) => field("frame.comment", "Comment", c)),
    field("frame.protocols", "Protocols in frame", protocols.join(":")),
  ]);
  const outer: TreeNode[] = [frame];
  outer.push(...layerNodes(t.layers, p.data, t.messages.length > 0 && !t.whole));
  if (t.whole) {
    // Its IP header is the first fragment's, which is shown where it was.
    const above = t.whole.layers.filter((l, i) => i > 0 && !(i === 1 && l.kind === "fragment"));
    outer.push(node(`[Reassembled from fragments: ${t.whole.bytes.length} bytes of IP]`));
    outer.push(...layerNodes(above, t.whole.bytes, t.messages.length > 0));
  }
  for (const m of t.messages) outer.push(messageNode(m, secrets));
  const inner = t.messages
    .filter((m) => m.opened && m.opened.bytes.length > 0)
    .map((m) => ({ message: m, tree: [whence(m), ...layerNodes(m.opened!.layers, m.opened!.bytes, false, "inner")] }));
  return { outer, inner };
}

const STACK: Readonly<Record<string, string>> = {
  ethernet: "eth:ethertype",
  vlan: "vlan:ethertype",
  cooked: "sll:ethertype",
  ipv4: "ip",
  extension: "ipv6.ext",
  fragment: "ipv6.fraghdr",
};
/** Wireshark's frame.protocols: "eth:ethertype:ip:udp:wg:ip:icmp:data". */
function protocolsOf(t: TrackedPacket): string[] {
  const names = (layers: readonly Layer[]): string[] => layers.filter((l) => l.kind !== "quote").map((l) => STACK[l.kind] ?? l.kind);
  if (t.messages.length === 0) return names(t.layers);
  const outer = t.layers.filter((l) => l.kind !== "data");
  return [...names(outer), "wg", ...names(t.messages[0]!.opened?.layers ?? [])];
}

const whence = (m: TrackedMessage): TreeNode =>
  node(
    `Decrypted packet: ${m.opened!.bytes.length} bytes and ${m.opened!.padding} of padding, from ${formatEndpoint(m.src.ip, m.src.port)}, session ${m.session!.number}` +
      `${m.opened!.authenticated ? "" : " [unauthenticated: the packet was cut when captured]"}`,
  );

/** All values of a field in a packet, outermost first: `-e` and display filters. */
export function valuesOf(d: Dissection, name: string): string[] {
  const found: string[] = [];
  const walk = (n: TreeNode): void => {
    if (n.field === name && n.value !== undefined) found.push(n.value);
    n.children?.forEach(walk);
  };
  d.outer.forEach(walk);
  d.inner.forEach((i) => i.tree.forEach(walk));
  return found;
}
