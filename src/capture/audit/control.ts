// Can the detector fire at all? (Section 7.7.) Before "nothing was found" is believed, leaks are built from this very inventory and put through the same
// classifier: every one must be found.
import { concat, utf8 } from "../../base/bytes.ts";
import { addToIp, type Ip } from "../../base/ip.ts";
import { ethernet, geneve, gre, icmp, ip, udp, vlan, vxlan } from "../../packet/build.ts";
import { LINK_ETHERNET } from "../../packet/link.ts";
import type { Crypto } from "../../wireguard/crypto.ts";
import { Classifier } from "./classify.ts";
import type { AuditNode, Inventory } from "./inventory.ts";
import { holds, payloadOf } from "./marker.ts";
import { FINDINGS, type PacketClass } from "./types.ts";
import { WireGuardProof } from "./wireguard.ts";

const MAC = new Uint8Array(6).fill(2);
const IPV4 = 0x0800;
const IPV6 = 0x86dd;
const TEB = 0x6558;
const frame = (type: number, payload: Uint8Array): Uint8Array => ethernet(MAC, MAC, type, payload);

type PodEnd = { readonly node: AuditNode; readonly pod: Ip };
type End = PodEnd & { readonly address: Ip };

/** Builds leaks between two nodes of the inventory. `missed` names those that were not found. */
export function control(crypto: Crypto, inventory: Inventory): { found: number; missed: string[] } {
  const all = [4, 16].flatMap((family) => {
    const [a, b] = ends(podEnds(inventory, family));
    return a && b ? leaks(a, b, inventory) : [];
  });
  if (all.length === 0) return { found: 0, missed: ["none could be built: no two nodes with an address and a pod range of one family"] };
  const classifier = new Classifier(inventory, new WireGuardProof(crypto, { known: (x) => inventory.owner(x).kind !== "other" }));
  const missed: string[] = [];
  for (const [name, data, want] of all) {
    const found = classifier.classify(data, LINK_ETHERNET, { time: undefined, tap: "control" });
    if (found.class !== want || !FINDINGS.has(found.class)) missed.push(name);
  }
  const marker = crypto.hash(utf8("control"));
  if (!holds(concat(new Uint8Array(7), payloadOf(marker, 100)), marker)) missed.push("a marker in raw bytes");
  return { found: all.length + 1 - missed.length, missed };
}

function leaks(a: End, b: End, inventory: Inventory): [string, Uint8Array, PacketClass][] {
  const type = a.pod.length === 4 ? IPV4 : IPV6;
  const named = ([name, ...rest]: [string, Uint8Array, PacketClass]): [string, Uint8Array, PacketClass] => [
    `${name}, IPv${type === IPV4 ? 4 : 6}`,
    ...rest,
  ];
  const pods = ip({ src: a.pod, dst: b.pod, protocol: 17 }, udp(a.pod, b.pod, 40_404, 40_404, utf8("control control control")));
  const outer = (protocol: number, payload: Uint8Array): Uint8Array =>
    frame(a.address.length === 4 ? IPV4 : IPV6, ip({ src: a.address, dst: b.address, protocol }, payload));
  const toPort = (port: number, payload: Uint8Array): Uint8Array => outer(17, udp(a.address, b.address, 40_404, port, payload));
  const port = b.node.wireguardPorts[0]!;
  const data = Uint8Array.of(4, 0, 0, 0, 1, 2, 3, 4, 0, 0, 0, 0, 0, 0, 0, 0);
  const later = ip({ src: a.pod, dst: b.pod, protocol: 17, fragmentOffset: 1480, id: 9 }, new Uint8Array(40));
  const error = a.address.length === 4 ? { protocol: 1, type: 3 } : { protocol: 58, type: 1 };
  const all: [string, Uint8Array, PacketClass][] = [
    ["native", frame(type, pods), "POD_TO_POD"],
    ["VLAN", frame(0x8100, vlan(7, type, pods)), "POD_TO_POD"],
    ["QinQ", frame(0x88a8, vlan(7, 0x8100, vlan(9, type, pods))), "POD_TO_POD"],
    ["a later fragment", frame(type, later), "POD_TO_POD"],
    ["VXLAN", toPort(inventory.vxlanPorts[0]!, vxlan(1, frame(type, pods))), "POD_TO_POD"],
    ["Geneve with options", toPort(inventory.genevePorts[0]!, geneve(1, TEB, frame(type, pods), new Uint8Array(8))), "POD_TO_POD"],
    ["IP in IP", outer(type === IPV4 ? 4 : 41, pods), "POD_TO_POD"],
    ["GRE with a key", outer(47, gre(type, pods, 5)), "POD_TO_POD"],
    ["NVGRE", outer(47, gre(TEB, frame(type, pods), 5)), "POD_TO_POD"],
    ["an unknown encapsulation", toPort(9, concat(utf8("odd header"), pods)), "POD_TO_POD"],
    ["an ICMP error's quote", outer(error.protocol, icmp(a.address, b.address, { type: error.type }, pods)), "ICMP_QUOTE"],
    ["text on WireGuard's port", toPort(port, utf8("GET / HTTP/1.1\r\nHost: control\r\n\r\n")), "WG_PORT_ABUSE"],
    ["a data message that is not encrypted", toPort(port, concat(data, nullCipher(a, b))), "WG_PORT_ABUSE"],
  ];
  // A node answers a packet with an address of the packet's own family.
  return all.filter(([, , c]) => c !== "ICMP_QUOTE" || a.address.length === a.pod.length).map(named);
}

/** An inner packet as it is, padded to 16, and a place for the tag. */
function nullCipher(a: End, b: End): Uint8Array {
  const payload = new Uint8Array(a.pod.length === 4 ? 36 : 32);
  return concat(ip({ src: a.pod, dst: b.pod, protocol: 17 }, udp(a.pod, b.pod, 1, 2, payload)), new Uint8Array(16));
}

/** Two nodes, each with a pod's address of the family (4 or 16 bytes) in its ranges; fewer when there are none. */
export function podEnds(inventory: Inventory, family: number): PodEnd[] {
  const found: PodEnd[] = [];
  for (const node of inventory.nodes) {
    for (const range of node.podCidrs) {
      if (range.ip.length !== family) continue;
      // An address of the range that is a pod's or nobody's, not the node's own.
      const pod = [1, 2, 3, 0].map((n) => addToIp(range.ip, range.prefix >= 8 * family ? 0 : n)).find((x) => inventory.owner(x).kind === "pod");
      if (pod) found.push({ node, pod });
      if (pod) break;
    }
    if (found.length === 2) break;
  }
  return found;
}

/** With the nodes' own addresses, of a family that both have. */
function ends(of: readonly PodEnd[]): End[] {
  const [a, b] = of;
  const address = a?.node.addresses.find((x) => b?.node.addresses.some((y) => y.length === x.length));
  const other = address && b?.node.addresses.find((y) => y.length === address.length);
  return a && b && address && other
    ? [
        { ...a, address },
        { ...b, address: other },
      ]
    : [];
}
