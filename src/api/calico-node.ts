// Calico's Node (projectcalico.org/v3) and the Node of Kubernetes that keeps it in annotations: the conversion both ways. The object is one and the
// same; its resourceVersion and uid are those of the Kubernetes Node, and writes go to its /status. An invalid annotation is ignored on reading
// (except the keys, which are read as they are); an empty value deletes the annotation on writing.
import { fromBase64 } from "../base/bytes.ts";
import { type Family, familyOf, parseIp } from "../base/ip.ts";
import { parseCidr } from "../base/cidr.ts";
import type { Kind } from "./kind.ts";
import { noDefaults } from "./kind.ts";
import type { FieldError, ObjectMeta, Resource } from "./meta.ts";
import type { Node } from "./node.ts";
import { ANNOTATION } from "./node-annotations.ts";
import { anything, integer, list, object, resource, type Schema, string } from "./schema.ts";

export type CalicoNodeAddress = { address: string; type?: "CalicoNodeIP" | "InternalIP" | "ExternalIP" };
export type CalicoNodeSpec = {
  bgp?: {
    /** With prefix length, such as 192.168.10.10/24. */
    ipv4Address?: string;
    ipv6Address?: string;
    ipv4IPIPTunnelAddr?: string;
    asNumber?: number;
    routeReflectorClusterID?: string;
    interfaces?: Record<string, unknown>[];
  };
  ipv4VXLANTunnelAddr?: string;
  ipv6VXLANTunnelAddr?: string;
  vxlanTunnelMACAddr?: string;
  vxlanTunnelMACAddrV6?: string;
  addresses?: CalicoNodeAddress[];
  /** Addresses of the WireGuard devices. */
  wireguard?: { interfaceIPv4Address?: string; interfaceIPv6Address?: string };
  orchRefs?: { nodeName?: string; orchestrator: string }[];
};
export type CalicoNodeStatus = { wireguardPublicKey?: string; wireguardPublicKeyV6?: string; podCIDRs?: string[] };
export type CalicoNode = Resource & { spec: CalicoNodeSpec; status?: CalicoNodeStatus };

/** Drops absent and empty members; undefined when none is left. */
function present<T extends object>(fields: T): { [K in keyof T]?: NonNullable<T[K]> } | undefined {
  const kept = Object.entries(fields).filter(([, v]) => v !== undefined && v !== "" && !(Array.isArray(v) && v.length === 0));
  return kept.length > 0 ? (Object.fromEntries(kept) as { [K in keyof T]?: NonNullable<T[K]> }) : undefined;
}

const address = (text: string | undefined, family: Family): string | undefined => {
  const ip = text === undefined ? undefined : parseIp(text);
  return ip && familyOf(ip) === family ? text : undefined;
};
const network = (text: string | undefined, family: Family): string | undefined => {
  const cidr = text === undefined ? undefined : parseCidr(text);
  return cidr && familyOf(cidr.ip) === family ? text : undefined;
};
const asNumber = (text: string | undefined): number | undefined =>
  text !== undefined && /^[0-9]{1,10}$/.test(text) && Number(text) <= 0xffffffff ? Number(text) : undefined;
function json<T>(text: string | undefined, is: (v: unknown) => v is T): T | undefined {
  try {
    const value: unknown = JSON.parse(text ?? "null");
    return is(value) ? value : undefined;
  } catch {
    return undefined;
  }
}
const isTextMap = (v: unknown): v is Record<string, string> =>
  typeof v === "object" && v !== null && !Array.isArray(v) && Object.values(v).every((x) => typeof x === "string");
const isInterfaces = (v: unknown): v is Record<string, unknown>[] => Array.isArray(v) && v.every((x) => typeof x === "object" && x !== null);
const isOurs = (key: string): boolean => key.startsWith("projectcalico.org/");

/** Calico's view of a Kubernetes Node. */
export function toCalicoNode(node: Node): CalicoNode {
  const a = node.metadata.annotations ?? {};
  const wireguard = present({
    interfaceIPv4Address: address(a[ANNOTATION.interfaceIPv4Address], 4),
    interfaceIPv6Address: address(a[ANNOTATION.interfaceIPv6Address], 6),
  });
  const bgp = present({
    ipv4Address: network(a[ANNOTATION.ipv4Address], 4),
    ipv6Address: network(a[ANNOTATION.ipv6Address], 6),
    ipv4IPIPTunnelAddr: address(a[ANNOTATION.ipv4IPIPTunnelAddr], 4),
    asNumber: asNumber(a[ANNOTATION.asNumber]),
    routeReflectorClusterID: a[ANNOTATION.routeReflectorClusterID],
    interfaces: json(a[ANNOTATION.interfaces], isInterfaces),
  });
  const addresses = [
    ...[bgp?.ipv4Address, bgp?.ipv6Address].filter((t) => t !== undefined).map((t) => ({ address: t, type: "CalicoNodeIP" as const })),
    ...(node.status?.addresses ?? [])
      .filter((x) => (x.type === "InternalIP" || x.type === "ExternalIP") && parseIp(x.address))
      .map((x) => ({ address: x.address, type: x.type as "InternalIP" | "ExternalIP" })),
  ];
  const spec: CalicoNodeSpec = {
    ...present({
      addresses,
      bgp,
      ipv4VXLANTunnelAddr: address(a[ANNOTATION.ipv4VXLANTunnelAddr], 4),
      ipv6VXLANTunnelAddr: address(a[ANNOTATION.ipv6VXLANTunnelAddr], 6),
      vxlanTunnelMACAddr: a[ANNOTATION.vxlanTunnelMACAddr],
      vxlanTunnelMACAddrV6: a[ANNOTATION.vxlanTunnelMACAddrV6],
      wireguard,
    }),
    orchRefs: [{ nodeName: node.metadata.name, orchestrator: "k8s" }],
  };
  const status = present({
    podCIDRs: node.spec?.podCIDRs ?? (node.spec?.podCIDR ? [node.spec.podCIDR] : undefined),
    wireguardPublicKey: a[ANNOTATION.wireguardPublicKey],
    wireguardPublicKeyV6: a[ANNOTATION.wireguardPublicKeyV6],
  });
  const annotations = {
    ...Object.fromEntries(Object.entries(a).filter(([k]) => !isOurs(k))),
    ...json(a[ANNOTATION.annotations], isTextMap),
  };
  const labels = { ...node.metadata.labels, ...json(a[ANNOTATION.labels], isTextMap) };
  const { managedFields: _managed, ownerReferences: _owners, finalizers: _finalizers, ...rest } = node.metadata;
  const metadata: ObjectMeta = { ...rest };
  delete metadata.annotations;
  delete metadata.labels;
  if (Object.keys(annotations).length > 0) metadata.annotations = annotations;
  if (Object.keys(labels).length > 0) metadata.labels = labels;
  return { apiVersion: "projectcalico.org/v3", kind: "Node", metadata, spec, ...(status ? { status } : {}) };
}

/** The Kubernetes Node `base` with Calico's fields taken from `calico`; the resourceVersion is that of `calico`, where it has one. */
export function fromCalicoNode(calico: CalicoNode, base: Node): Node {
  const { spec, status } = calico;
  const wanted: Record<string, string | undefined> = {
    [ANNOTATION.ipv4Address]: spec.bgp?.ipv4Address,
    [ANNOTATION.ipv6Address]: spec.bgp?.ipv6Address,
    [ANNOTATION.ipv4IPIPTunnelAddr]: spec.bgp?.ipv4IPIPTunnelAddr,
    [ANNOTATION.asNumber]: spec.bgp?.asNumber === undefined ? undefined : String(spec.bgp.asNumber),
    [ANNOTATION.routeReflectorClusterID]: spec.bgp?.routeReflectorClusterID,
    [ANNOTATION.interfaces]: spec.bgp?.interfaces && spec.bgp.interfaces.length > 0 ? JSON.stringify(spec.bgp.interfaces) : undefined,
    [ANNOTATION.ipv4VXLANTunnelAddr]: spec.ipv4VXLANTunnelAddr,
    [ANNOTATION.ipv6VXLANTunnelAddr]: spec.ipv6VXLANTunnelAddr,
    [ANNOTATION.vxlanTunnelMACAddr]: spec.vxlanTunnelMACAddr,
    [ANNOTATION.vxlanTunnelMACAddrV6]: spec.vxlanTunnelMACAddrV6,
    [ANNOTATION.interfaceIPv4Address]: spec.wireguard?.interfaceIPv4Address,
    [ANNOTATION.interfaceIPv6Address]: spec.wireguard?.interfaceIPv6Address,
    [ANNOTATION.wireguardPublicKey]: status?.wireguardPublicKey,
    [ANNOTATION.wireguardPublicKeyV6]: status?.wireguardPublicKeyV6,
    // Labels and annotations that are not the Kubernetes Node's own are kept beside it, as Calico does.
    [ANNOTATION.labels]: difference(calico.metadata.labels, base.metadata.labels),
    [ANNOTATION.annotations]: difference(calico.metadata.annotations, base.metadata.annotations),
  };
  const annotations: Record<string, string> = { ...base.metadata.annotations };
  for (const [key, value] of Object.entries(wanted)) {
    if (value === undefined || value === "") delete annotations[key];
    else annotations[key] = value;
  }
  const metadata: ObjectMeta = { ...base.metadata, annotations };
  if (calico.metadata.resourceVersion !== undefined) metadata.resourceVersion = calico.metadata.resourceVersion;
  return { ...base, metadata };
}

function difference(wanted: Record<string, string> | undefined, base: Record<string, string> | undefined): string | undefined {
  const own = Object.entries(wanted ?? {}).filter(([k, v]) => base?.[k] !== v && !isOurs(k));
  return own.length > 0 ? JSON.stringify(Object.fromEntries(own)) : undefined;
}

/** True for standard base64 of exactly 32 bytes. */
export const isWireguardKey = (text: string): boolean => fromBase64(text)?.length === 32;

function validate(node: CalicoNode): FieldError[] {
  const errors: FieldError[] = [];
  const invalid = (field: string, value: unknown, message: string): void =>
    void errors.push({ field, reason: "FieldValueInvalid", message: `Invalid value: ${JSON.stringify(value)}: ${message}` });
  const check = (field: string, value: string | undefined, ok: (t: string) => boolean, message: string): void => {
    if (value !== undefined && value !== "" && !ok(value)) invalid(field, value, message);
  };
  const is4 = (t: string): boolean => address(t, 4) !== undefined;
  const is6 = (t: string): boolean => address(t, 6) !== undefined;
  const { spec, status } = node;
  check("spec.bgp.ipv4Address", spec.bgp?.ipv4Address, (t) => network(t, 4) !== undefined, "must be an IPv4 address, with or without prefix length");
  check("spec.bgp.ipv6Address", spec.bgp?.ipv6Address, (t) => network(t, 6) !== undefined, "must be an IPv6 address, with or without prefix length");
  check("spec.bgp.ipv4IPIPTunnelAddr", spec.bgp?.ipv4IPIPTunnelAddr, is4, "must be an IPv4 address");
  check("spec.ipv4VXLANTunnelAddr", spec.ipv4VXLANTunnelAddr, is4, "must be an IPv4 address");
  check("spec.ipv6VXLANTunnelAddr", spec.ipv6VXLANTunnelAddr, is6, "must be an IPv6 address");
  check("spec.wireguard.interfaceIPv4Address", spec.wireguard?.interfaceIPv4Address, is4, "must be an IPv4 address");
  check("spec.wireguard.interfaceIPv6Address", spec.wireguard?.interfaceIPv6Address, is6, "must be an IPv6 address");
  check("status.wireguardPublicKey", status?.wireguardPublicKey, isWireguardKey, "must be a WireGuard public key: base64 of 32 bytes");
  check("status.wireguardPublicKeyV6", status?.wireguardPublicKeyV6, isWireguardKey, "must be a WireGuard public key: base64 of 32 bytes");
  return errors;
}

const bgp: Schema = object("BGP settings of the node.", {
  ipv4Address: string("IPv4 address with prefix length."),
  ipv6Address: string("IPv6 address with prefix length."),
  ipv4IPIPTunnelAddr: string("IPv4 address of the IP-in-IP tunnel."),
  asNumber: integer("AS number.", 0, 0xffffffff),
  routeReflectorClusterID: string("Cluster ID of a route reflector."),
  interfaces: list("Interfaces.", anything("An interface.")),
});

/** For the CLI: the API itself serves the Node of Kubernetes (NODE). Columns: calicoctl's NAME, ASN, IPV4, IPV6 (without NAME). */
export const CALICO_NODE: Kind<CalicoNode> = {
  group: "projectcalico.org",
  version: "v3",
  kind: "Node",
  plural: "nodes",
  singular: "node",
  shortNames: ["no", "nos"],
  namespaced: false,
  hasStatus: true,
  builtIn: false,
  categories: [],
  schema: resource("A machine of the cluster as Calico sees it.", {
    spec: object("The node's addresses.", {
      bgp,
      ipv4VXLANTunnelAddr: string("IPv4 address of the VXLAN tunnel."),
      ipv6VXLANTunnelAddr: string("IPv6 address of the VXLAN tunnel."),
      vxlanTunnelMACAddr: string("MAC address of the IPv4 VXLAN tunnel."),
      vxlanTunnelMACAddrV6: string("MAC address of the IPv6 VXLAN tunnel."),
      addresses: list(
        "Addresses of the node.",
        object(
          "An address.",
          { address: string("The address."), type: string("Its type.", { enum: ["CalicoNodeIP", "InternalIP", "ExternalIP"] }) },
          ["address"],
        ),
      ),
      wireguard: object("Addresses of the WireGuard devices.", {
        interfaceIPv4Address: string("IPv4 address of the device."),
        interfaceIPv6Address: string("IPv6 address of the device."),
      }),
      orchRefs: list(
        "References to the orchestrator.",
        object("A reference.", { nodeName: string("Name there."), orchestrator: string("Which.") }, ["orchestrator"]),
      ),
    }),
    status: object("Keys and ranges.", {
      wireguardPublicKey: string("Public key of the IPv4 device."),
      wireguardPublicKeyV6: string("Public key of the IPv6 device."),
      podCIDRs: list("Ranges of the node's pods.", string("A range.")),
    }),
  }),
  defaults: noDefaults,
  validate,
  columns: [
    { name: "ASN", type: "string", priority: 1, description: "AS number.", value: (n) => n.spec.bgp?.asNumber },
    { name: "IPV4", type: "string", priority: 1, description: "IPv4 address.", value: (n) => n.spec.bgp?.ipv4Address },
    { name: "IPV6", type: "string", priority: 1, description: "IPv6 address.", value: (n) => n.spec.bgp?.ipv6Address },
  ],
};
