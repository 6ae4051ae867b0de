// What the audit knows of the cluster: whose an address is, and whose a key (section 7.4, P6). Read from JSON or made from the API.
import { fromBase64 } from "../../base/bytes.ts";
import { type Cidr, contains, parseCidr } from "../../base/cidr.ts";
import { TortieError } from "../../base/errors.ts";
import { formatIp, type Ip, parseIp } from "../../base/ip.ts";

export type InventoryNode = {
  name: string;
  ips: string[];
  /** Addresses of the node's tunnel devices: they lie in pod ranges, but are the node's own. */
  tunnelIPs?: string[];
  podCIDRs: string[];
  /** Base64; absent: the node has none. */
  wgPublicKey?: string;
  /** Where its device listens. @default wireguardPort */
  wgPort?: number;
  /** What peers send to this node through the tunnel. */
  wgAllowedIPs?: string[];
};
export type InventoryPod = { name: string; node: string; ips: string[]; hostNetwork?: boolean; since?: number };
export type InventoryDocument = {
  wireguardPort: number;
  /** False when encryption is switched off: that is then the cause of every finding. @default true */
  encryption?: boolean;
  /** Node to pod traffic is claimed to be encrypted too. @default false */
  hostEncryption?: boolean;
  overlay?: { vxlan?: { port: number; vni?: number }; geneve?: { port: number } };
  nodes: InventoryNode[];
  pods: InventoryPod[];
};

export type AuditNode = {
  readonly name: string;
  readonly publicKey: Uint8Array | undefined;
  readonly wireguardPort: number;
  readonly podCidrs: readonly Cidr[];
  readonly allowedIps: readonly Cidr[];
};
export type AuditPod = { readonly name: string; readonly node: string; readonly since: number | undefined };

/** Whose an address is. */
export type Owner =
  | { readonly kind: "node"; readonly node: AuditNode; readonly tunnel: boolean }
  /** `pod` is undefined when the address lies in a node's range but no pod has it. */
  | { readonly kind: "pod"; readonly node: AuditNode | undefined; readonly pod: AuditPod | undefined }
  | { readonly kind: "other" };

export class Inventory {
  readonly encryption: boolean;
  readonly hostEncryption: boolean;
  readonly vxlanPorts: readonly number[];
  readonly genevePorts: readonly number[];
  readonly nodes: readonly AuditNode[];
  readonly pods: number;
  readonly #addresses = new Map<string, Owner>();
  readonly #cache = new Map<string, Owner>();

  /** Throws TortieError that names the field that is wrong. */
  constructor(document: unknown) {
    const d = check(document);
    this.encryption = d.encryption ?? true;
    this.hostEncryption = d.hostEncryption ?? false;
    this.vxlanPorts = [...new Set([4789, 8472, ...(d.overlay?.vxlan ? [d.overlay.vxlan.port] : [])])];
    this.genevePorts = [...new Set([6081, ...(d.overlay?.geneve ? [d.overlay.geneve.port] : [])])];
    this.nodes = d.nodes.map((n) => ({
      name: n.name,
      publicKey: n.wgPublicKey === undefined ? undefined : fromBase64(n.wgPublicKey)!,
      wireguardPort: n.wgPort ?? d.wireguardPort,
      podCidrs: n.podCIDRs.map((c) => parseCidr(c)!),
      allowedIps: (n.wgAllowedIPs ?? []).map((c) => parseCidr(c)!),
    }));
    this.pods = d.pods.length;
    for (const p of d.pods) {
      if (p.hostNetwork) continue;
      const owner: Owner = { kind: "pod", node: this.node(p.node), pod: { name: p.name, node: p.node, since: p.since } };
      for (const ip of p.ips) this.#addresses.set(formatIp(parseIp(ip)!), owner);
    }
    // A node's own address is a node's, also when a pod of the host network has it.
    for (const n of d.nodes) {
      const node = this.node(n.name)!;
      for (const ip of n.ips) this.#addresses.set(formatIp(parseIp(ip)!), { kind: "node", node, tunnel: false });
      for (const ip of n.tunnelIPs ?? []) this.#addresses.set(formatIp(parseIp(ip)!), { kind: "node", node, tunnel: true });
    }
  }

  node(name: string): AuditNode | undefined {
    return this.nodes.find((n) => n.name === name);
  }

  owner(ip: Ip): Owner {
    const text = formatIp(ip);
    const known = this.#addresses.get(text) ?? this.#cache.get(text);
    if (known) return known;
    const node = this.nodes.find((n) => n.podCidrs.some((c) => contains(c, ip)));
    const owner: Owner = node ? { kind: "pod", node, pod: undefined } : { kind: "other" };
    if (this.#cache.size < 65_536) this.#cache.set(text, owner);
    return owner;
  }
}

const bad = (field: string, why: string): never => {
  throw new TortieError(`Cannot use the inventory: ${field}: ${why}`, { hint: "tortie audit --help shows what an inventory looks like." });
};
type Json = Record<string, unknown>;
const isObject = (v: unknown): v is Json => typeof v === "object" && v !== null && !Array.isArray(v);

/** Checks shape and values; unknown fields are left alone. */
function check(document: unknown): InventoryDocument {
  if (!isObject(document)) return bad("the document", "must be an object");
  const port = (field: string, v: unknown): void => {
    if (typeof v !== "number" || !Number.isInteger(v) || v < 1 || v > 65_535) bad(field, "must be a port, 1 to 65535");
  };
  const texts = (field: string, v: unknown, ok: (t: string) => boolean, what: string): void => {
    if (!Array.isArray(v)) return bad(field, "must be a list");
    v.forEach((t, i) => {
      if (typeof t !== "string" || !ok(t)) bad(`${field}[${i}]`, `must be ${what}`);
    });
  };
  const list = (field: string): Json[] => {
    const v = document[field];
    if (!Array.isArray(v)) return bad(field, "must be a list");
    return v.map((x, i) => (isObject(x) ? x : bad(`${field}[${i}]`, "must be an object")));
  };
  const address = (t: string): boolean => parseIp(t) !== undefined;
  const range = (t: string): boolean => parseCidr(t) !== undefined;
  port("wireguardPort", document.wireguardPort);
  if (document.overlay !== undefined) {
    if (!isObject(document.overlay)) return bad("overlay", "must be an object");
    for (const name of ["vxlan", "geneve"]) {
      const o = document.overlay[name];
      if (o !== undefined) port(`overlay.${name}.port`, isObject(o) ? o.port : undefined);
    }
  }
  const names = new Set<unknown>();
  list("nodes").forEach((n, i) => {
    if (typeof n.name !== "string" || n.name === "") bad(`nodes[${i}].name`, "must be a text");
    if (names.has(n.name)) bad(`nodes[${i}].name`, "is there twice");
    names.add(n.name);
    if (n.wgPort !== undefined) port(`nodes[${i}].wgPort`, n.wgPort);
    texts(`nodes[${i}].ips`, n.ips, address, "an address");
    texts(`nodes[${i}].podCIDRs`, n.podCIDRs, range, "a range such as 10.0.0.0/24");
    texts(`nodes[${i}].tunnelIPs`, n.tunnelIPs ?? [], address, "an address");
    texts(`nodes[${i}].wgAllowedIPs`, n.wgAllowedIPs ?? [], range, "a range such as 10.0.0.0/24");
    if (n.wgPublicKey !== undefined && (typeof n.wgPublicKey !== "string" || fromBase64(n.wgPublicKey)?.length !== 32))
      bad(`nodes[${i}].wgPublicKey`, "must be a public key: base64 of 32 bytes");
  });
  list("pods").forEach((p, i) => {
    if (typeof p.name !== "string") bad(`pods[${i}].name`, "must be a text");
    if (typeof p.node !== "string") bad(`pods[${i}].node`, "must be the name of a node");
    texts(`pods[${i}].ips`, p.ips, address, "an address");
  });
  return document as unknown as InventoryDocument;
}
