// Why a packet was in the clear (section 7.8): the first test that matches, in the order of that table; and what to do about it.
import { toBase64 } from "../../base/bytes.ts";
import { contains } from "../../base/cidr.ts";
import type { AuditNode, Inventory } from "./inventory.ts";
import type { Cause, Classified, Flow } from "./types.ts";
import type { WireGuardProof } from "./wireguard.ts";

/** A session is used no longer than this after its handshake (REJECT_AFTER_TIME). */
const HANDSHAKE_LIFE_NS = 180_000_000_000n;
const NEW_ENDPOINT_NS = 10_000_000_000n;

export function causeOf(c: Classified, time: bigint | undefined, inventory: Inventory, proof: WireGuardProof): Cause {
  if (c.class === "WG_PORT_ABUSE") return "NOT_WIREGUARD";
  if (c.class === "NODE_TO_POD") return c.flow && isProxy(c.flow, inventory) ? "PROXY" : "HOST_NETWORK";
  if (c.class === "ICMP_QUOTE") return "ICMP_ERROR";
  if (!inventory.encryption) return "ENCRYPTION_OFF";
  if (c.path.length > 0) return "OVERLAY_BYPASS";
  if (c.class === "NATTED_POD") return c.flow && isProxy(c.flow, inventory) ? "PROXY" : "NAT";
  if (!c.flow) return "UNKNOWN";
  const src = inventory.owner(c.flow.src, time);
  const dst = inventory.owner(c.flow.dst, time);
  // Where no pod is known by name, nothing can be said of one that is not there.
  const unassigned = inventory.pods > 0 && dst.kind === "pod" && !dst.pod && dst.service === undefined;
  const from = src.kind === "other" ? undefined : src.node;
  const to = dst.kind === "other" ? undefined : dst.node;
  const allowed = from && allowedBySender(from, to, c.flow, time, inventory);
  if (allowed && !allowed.address && !allowed.family) return "FAMILY_GAP";
  if (from && to && (to.publicKeys.length === 0 || from.publicKeys.length === 0)) return "PEER_NO_KEY";
  if (allowed && !allowed.address) return "PEER_NOT_CONFIGURED";
  if (!from || !to) return unassigned ? "UNASSIGNED_IP" : "UNKNOWN";
  const shaken = lastHandshake(from, to, time, inventory, proof);
  if (shaken === undefined || (time !== undefined && (shaken > time || time - shaken > HANDSHAKE_LIFE_NS))) return "TUNNEL_NOT_UP";
  const since = dst.kind === "pod" ? dst.pod?.since : undefined;
  if (since !== undefined && time !== undefined && time >= since && time - since < NEW_ENDPOINT_NS) return "NEW_ENDPOINT_RACE";
  const route = inventory.observed.route(from.name, c.flow.dst, time);
  // A packet that was on the wire went there by a route, unless the sender's own routes say otherwise.
  if (route === undefined || inventory.observed.role(from.name, route) === "wire") return "ROUTE_BYPASS";
  return unassigned ? "UNASSIGNED_IP" : "UNKNOWN";
}

const isProxy = (f: Flow, inventory: Inventory): boolean => inventory.proxyPorts.has(f.dstPort) || inventory.proxyPorts.has(f.srcPort);

/** By the sender's own peers where they were read, else by what the destination's node is said to be sent. */
function allowedBySender(
  from: AuditNode,
  to: AuditNode | undefined,
  f: Flow,
  time: bigint | undefined,
  inventory: Inventory,
): { address: boolean; family: boolean } | undefined {
  const observed = inventory.observed.allows(from.name, f.dst, time);
  if (observed) return { address: observed.address, family: observed.family || !hasOtherFamily(from, f, time, inventory) };
  if (!to) return undefined;
  const address = to.allowedIps.some((a) => contains(a, f.dst));
  return { address, family: to.allowedIps.length === 0 || to.allowedIps.some((a) => a.ip.length === f.dst.length) };
}
/** The gap is one of families only where the other family has a tunnel. */
const hasOtherFamily = (from: AuditNode, f: Flow, time: bigint | undefined, inventory: Inventory): boolean =>
  inventory.observed.allows(from.name, new Uint8Array(f.dst.length === 4 ? 16 : 4), time)?.family ?? false;

function lastHandshake(from: AuditNode, to: AuditNode, time: bigint | undefined, inventory: Inventory, proof: WireGuardProof): bigint | undefined {
  const told = to.publicKeys.map((key) => inventory.observed.handshake(from.name, toBase64(key), time));
  return [proof.lastHandshake(from.name, to.name), ...told].reduce<bigint | undefined>(
    (a, b) => (b === undefined || (a !== undefined && a > b) ? a : b),
    undefined,
  );
}

/** What to do about it. */
export const REMEDY: Readonly<Record<Cause, string>> = {
  ENCRYPTION_OFF: "encryption is switched off: patch felixconfiguration default with wireguardEnabled: true",
  OVERLAY_BYPASS:
    "the packets go past the tunnel in an encapsulation: point their routes to the tunnel device, and take routes to the overlay's device away",
  ICMP_ERROR:
    "an ICMP error quotes a pods' packet: that packet itself was in the clear, or a router or node answered it outside the tunnel; mend the quoted flow first",
  FAMILY_GAP: "this address family has no WireGuard: switch it on for it too (IPv6 has a setting of its own, wireguardEnabledV6)",
  PEER_NO_KEY: "a node has published no public key: see that its agent runs and that encryption is on for it",
  PEER_NOT_CONFIGURED: "the destination is in no peer's AllowedIPs on the sending node: see that its block is known there (wg show all allowed-ips)",
  TUNNEL_NOT_UP:
    "there was no completed handshake between the two nodes at that time, and packets were sent all the same: route pods' ranges to the tunnel before it is up, so that they are dropped instead",
  NEW_ENDPOINT_RACE:
    "the destination pod was younger than ten seconds, and the sender did not know it yet: route whole blocks to the tunnel instead of single addresses",
  ROUTE_BYPASS: "tunnel and AllowedIPs were right, but the sender's route pointed to the wire: look at ip rule and ip route get on the sending node",
  HOST_NETWORK: "one end is a node itself: Calico encrypts that only with wireguardHostEncryptionEnabled",
  PROXY: "a proxy of the cluster speaks with its node's address: switch on encryption between nodes, or let the proxy use an address of a pod",
  NAT: "a pods' packet was translated to a node's address before it could enter the tunnel: exclude the cluster's own ranges from masquerading",
  UNASSIGNED_IP: "the destination lies in a pod range but no pod has it: an old record, or a scan; drop what has no pod",
  NOT_WIREGUARD: "it is on WireGuard's port and is not WireGuard: see which program sends it, and whether the key of the inventory is the device's",
  MARKER: "the canary's marker was readable in it: whatever carries it is not walked by this audit, look at the sample frame",
  UNKNOWN: "the cause is not known: look at the sample frames",
};
