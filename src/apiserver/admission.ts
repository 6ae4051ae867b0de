// What a node's agent may write: only what is the node's own (Kubernetes' NodeRestriction, extended to Calico's IPAM and our reports).
// Admins may write everything. Called with the object as it would be stored, inside the retry of the write.
import type { BlockAffinity } from "../api/blockaffinity.ts";
import type { IPAMBlock } from "../api/ipamblock.ts";
import type { IPAMHandle } from "../api/ipamhandle.ts";
import { sameJson } from "../api/json.ts";
import type { Kind } from "../api/kind.ts";
import type { Resource } from "../api/meta.ts";
import type { Node } from "../api/node.ts";
import type { Pod } from "../api/pod.ts";
import { type ApiError, forbidden } from "../api/status.ts";

export type Operation = "create" | "update" | "delete";
export type Attempt = {
  readonly operation: Operation;
  readonly kind: Kind;
  readonly subresource: string;
  readonly name: string;
  /** As it would be stored; for a delete undefined. */
  readonly object: Resource | undefined;
  readonly old: Resource | undefined;
};

/** Why the agent of `node` may not do this, or undefined. */
export function admitNode(node: string, attempt: Attempt): ApiError | undefined {
  const rule = RULES[attempt.kind.plural];
  const why = rule ? rule(node, attempt) : "nodes may not write this";
  return why === undefined ? undefined : forbidden(attempt.kind, attempt.name, why);
}

type Rule = (node: string, attempt: Attempt) => string | undefined;
const notOwn = (node: string, what: string): string => `node ${JSON.stringify(node)} is not allowed to modify ${what}`;

const FREE_LABELS = new Set([
  "kubernetes.io/hostname",
  "kubernetes.io/os",
  "kubernetes.io/arch",
  "node.kubernetes.io/instance-type",
  "topology.kubernetes.io/zone",
  "topology.kubernetes.io/region",
  "beta.kubernetes.io/os",
  "beta.kubernetes.io/arch",
  "beta.kubernetes.io/instance-type",
  "failure-domain.beta.kubernetes.io/zone",
  "failure-domain.beta.kubernetes.io/region",
]);
const FREE_DOMAINS = ["kubelet.kubernetes.io", "node.kubernetes.io"];
const within = (domain: string, parent: string): boolean => domain === parent || domain.endsWith(`.${parent}`);

function isRestrictedLabel(key: string): boolean {
  const slash = key.indexOf("/");
  if (slash < 0 || FREE_LABELS.has(key)) return false;
  const domain = key.slice(0, slash);
  if (within(domain, "node-restriction.kubernetes.io")) return true;
  return (within(domain, "kubernetes.io") || within(domain, "k8s.io")) && !FREE_DOMAINS.some((d) => within(domain, d));
}

function nodeRule(node: string, { operation, name, object, old }: Attempt): string | undefined {
  if (name !== node) return notOwn(node, `node ${JSON.stringify(name)}`);
  if (operation === "delete") return "nodes may not delete their own Node";
  const [before, after] = [old?.metadata.labels ?? {}, object?.metadata.labels ?? {}];
  const changed = [...new Set([...Object.keys(before), ...Object.keys(after)])].filter((k) => before[k] !== after[k] && isRestrictedLabel(k));
  if (changed.length > 0) return `is not allowed to modify labels: ${changed.toSorted().join(", ")}`;
  if (operation === "update" && !sameJson((old as Node).spec?.taints, (object as Node).spec?.taints))
    return `node ${JSON.stringify(node)} is not allowed to modify taints`;
  return undefined;
}

function podRule(node: string, { subresource, object, old }: Attempt): string | undefined {
  if (subresource !== "status") return "nodes may only write the status of pods";
  if ((old as Pod | undefined)?.spec.nodeName !== node)
    return `node ${JSON.stringify(node)} can only update pod status for pods with spec.nodeName set to itself`;
  return sameJson(object?.metadata.labels, old?.metadata.labels) ? undefined : "cannot update labels through pod status";
}

const affinityOf = (object: Resource | undefined): string | undefined => (object as IPAMBlock | undefined)?.spec.affinity;

function blockRule(node: string, { operation, object, old }: Attempt): string | undefined {
  const own = `host:${node}`;
  if (operation === "create") return affinityOf(object) === own ? undefined : notOwn(node, `a block of ${affinityOf(object) ?? "nobody"}`);
  const owner = affinityOf(old);
  if (owner === own || (owner === undefined && operation === "update" && [own, undefined].includes(affinityOf(object)))) return undefined;
  // Nobody's block may go when nothing in it is taken; in another node's block a node may take and give back addresses for itself only.
  const before = old as IPAMBlock;
  if (operation === "delete")
    return owner === undefined && before.spec.allocations.every((a) => a === null) ? undefined : notOwn(node, `a block of ${owner ?? "nobody"}`);
  const after = object as IPAMBlock;
  if (affinityOf(after) !== owner || before.spec.deleted !== after.spec.deleted || before.spec.strictAffinity !== after.spec.strictAffinity)
    return notOwn(node, `a block of ${owner ?? "nobody"}`);
  if (after.spec.strictAffinity) return `the block is reserved for ${owner ?? "its owner"}`;
  const holder = (block: IPAMBlock, slot: number): unknown => {
    const index = block.spec.allocations[slot];
    return index === null || index === undefined ? undefined : block.spec.attributes[index];
  };
  for (let slot = 0; slot < after.spec.allocations.length; slot++) {
    const [was, is] = [holder(before, slot), holder(after, slot)];
    if (sameJson(was, is)) continue;
    const ownOrFree = (h: unknown): boolean => h === undefined || (h as { secondary?: Record<string, string> }).secondary?.node === node;
    if (!ownOrFree(was) || !ownOrFree(is)) return `node ${JSON.stringify(node)} is not allowed to modify allocations of other nodes`;
  }
  return undefined;
}

function affinityRule(node: string, { name, object, old }: Attempt): string | undefined {
  const nodes = [object, old].filter((o) => o !== undefined).map((o) => (o as BlockAffinity).spec.node);
  return name.startsWith(`${node}-`) && nodes.every((n) => n === node) ? undefined : notOwn(node, `the block affinity of another node`);
}

// A handle names its owner only by its text; tunnel handles end in the node's name, those of pods are made by the node's own CNI plugin.
function handleRule(node: string, { name, object, old }: Attempt): string | undefined {
  const tunnel = /^(?:wireguard|wireguard-v6|vxlan|vxlan-v6|ipip)-tunnel-addr-(.+)$/.exec(name)?.[1];
  if (tunnel !== undefined && tunnel !== node.toLowerCase()) return notOwn(node, "the handle of another node");
  const ids = [object, old].filter((o) => o !== undefined).map((o) => (o as IPAMHandle).spec.handleID.toLowerCase());
  return ids.every((id) => id === name) ? undefined : "spec.handleID must be the name";
}

const reportRule: Rule = (node, { name }) => (name === node ? undefined : notOwn(node, `the report of node ${JSON.stringify(name)}`));

const RULES: Readonly<Record<string, Rule>> = {
  nodes: nodeRule,
  pods: podRule,
  ipamblocks: blockRule,
  blockaffinities: affinityRule,
  ipamhandles: handleRule,
  nodeencryptions: reportRule,
};
