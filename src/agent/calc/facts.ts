// What the calculation needs of a Node, taken out of its annotations and addresses once. Malformed addresses count as absent.
import type { Labels } from "../../api/labelselector.ts";
import type { Node } from "../../api/node.ts";
import { ANNOTATION } from "../../api/node-annotations.ts";
import { type Cidr, parseCidr } from "../../base/cidr.ts";
import { formatIp, parseIp } from "../../base/ip.ts";

export type NodeFacts = {
  readonly name: string;
  readonly labels: Labels;
  /** The node's IPv4 address, text; undefined: it has none (yet). */
  readonly address: string | undefined;
  /** The subnet that it is in, when the node says so. */
  readonly subnet: Cidr | undefined;
  /** As published, unchecked; "" for none. */
  readonly publicKey: string;
  readonly wireguardAddress: string | undefined;
  readonly vxlanAddress: string | undefined;
  readonly ipipAddress: string | undefined;
  readonly vxlanMac: string | undefined;
};

function ipv4(text: string | undefined): string | undefined {
  const ip = parseIp(text ?? "");
  return ip?.length === 4 ? formatIp(ip) : undefined;
}

const MAC = /^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/;

/** The Calico address, else the first InternalIP, else the first ExternalIP. */
function addressOf(node: Node, calico: string | undefined): string | undefined {
  const of = (type: string): string | undefined =>
    node.status?.addresses
      ?.filter((a) => a.type === type)
      .map((a) => ipv4(a.address))
      .find((a) => a !== undefined);
  return ipv4(calico?.split("/")[0]) ?? of("InternalIP") ?? of("ExternalIP");
}

export function factsOf(node: Node): NodeFacts {
  const a = node.metadata.annotations ?? {};
  const calico = a[ANNOTATION.ipv4Address];
  const mac = a[ANNOTATION.vxlanTunnelMACAddr]?.toLowerCase();
  const subnet = calico?.includes("/") ? parseCidr(calico) : undefined;
  return {
    name: node.metadata.name,
    labels: node.metadata.labels ?? {},
    address: addressOf(node, calico),
    subnet: subnet?.ip.length === 4 ? subnet : undefined,
    publicKey: a[ANNOTATION.wireguardPublicKey] ?? "",
    wireguardAddress: ipv4(a[ANNOTATION.interfaceIPv4Address]),
    vxlanAddress: ipv4(a[ANNOTATION.ipv4VXLANTunnelAddr]),
    ipipAddress: ipv4(a[ANNOTATION.ipv4IPIPTunnelAddr]?.split("/")[0]),
    vxlanMac: mac !== undefined && MAC.test(mac) ? mac : undefined,
  };
}
