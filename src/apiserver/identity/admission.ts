// What a node's agent may write: only what is the node's own (Kubernetes' NodeRestriction, extended to Calico's IPAM and our reports).
// Admins may write everything; who joins, one kind of request. Called with the object as it would be stored, inside the retry of the write.
import type { BlockAffinity } from "../../api/blockaffinity.ts";
import type { CalicoNodeStatus } from "../../api/caliconodestatus.ts";
import { type CertificateSigningRequest, SIGNERS } from "../../api/certificatesigningrequest.ts";
import type { Event } from "../../api/event.ts";
import type { IPAMBlock } from "../../api/ipamblock.ts";
import type { IPAMHandle } from "../../api/ipamhandle.ts";
import { sameJson } from "../../api/json.ts";
import type { Kind } from "../../api/kind.ts";
import type { Resource } from "../../api/meta.ts";
import type { Node } from "../../api/node.ts";
import type { Pod } from "../../api/pod.ts";
import { type ApiError, forbidden, internalError } from "../../api/status.ts";
import { affinityName } from "../../client/layouts/names.ts";
import type { User } from "../wire/request.ts";
import { BOOTSTRAPPERS, isAdmin, nodeOf } from "./roles.ts";

export type Operation = "create" | "update" | "delete";
export type Attempt = {
  readonly operation: Operation;
  readonly kind: Kind;
  readonly subresource: string;
  readonly name: string;
  /** As it would be stored; for a delete undefined. */
  readonly object: Resource | undefined;
  readonly old: Resource | undefined;
  /** Nothing will be stored. */
  readonly dryRun: boolean;
};

/** Why `user`, whom the roles let do this, may not do it to this object, or undefined. */
export function admit(user: User, attempt: Attempt): ApiError | undefined {
  if (isAdmin(user)) return undefined;
  const node = nodeOf(user);
  if (node !== undefined) return admitNode(node, attempt);
  if (!user.groups.includes(BOOTSTRAPPERS)) return internalError("a user without a role was let in");
  const why = joinRule(attempt);
  return why === undefined ? undefined : forbidden(attempt.kind, attempt.name, why);
}

function joinRule({ kind, operation, object }: Attempt): string | undefined {
  if (kind.plural !== "certificatesigningrequests" || operation !== "create") return "a token to join with may only ask for a certificate";
  return (object as CertificateSigningRequest).spec.signerName === SIGNERS.node ? undefined : `a token to join with may only ask ${SIGNERS.node}`;
}

/** Why the agent of `node` may not do this, or undefined. */
function admitNode(node: string, attempt: Attempt): ApiError | undefined {
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
  if (owner === own) return undefined;
  const before = old as IPAMBlock;
  const others = notOwn(node, `a block of ${owner ?? "nobody"}`);
  // Nobody's block may go when nothing in it is taken, or become the node's own.
  if (operation === "delete") return owner === undefined && before.spec.allocations.every((a) => a === null) ? undefined : others;
  const after = object as IPAMBlock;
  const claimed = owner === undefined && affinityOf(after) === own;
  if (!claimed && !(affinityOf(after) === owner && sameJson(rest(before), rest(after)))) return others;
  if (!claimed && after.spec.strictAffinity) return `the block is reserved for ${owner ?? "its owner"}`;
  return foreignSlot(node, before, after) ? `node ${JSON.stringify(node)} is not allowed to modify allocations of other nodes` : undefined;
}

/** What borrowing and giving back an address leaves alone. */
function rest({ metadata, spec }: IPAMBlock): unknown {
  const { labels, annotations, finalizers, ownerReferences } = metadata as IPAMBlock["metadata"] & { ownerReferences?: unknown };
  const { allocations: _a, unallocated: _u, attributes: _t, sequenceNumber: _n, sequenceNumberForAllocation: _f, ...fixed } = spec;
  return { labels, annotations, finalizers, ownerReferences, fixed };
}

/** Whether the change touches more than slots that are free or the node's own. */
function foreignSlot(node: string, before: IPAMBlock, after: IPAMBlock): boolean {
  const holderOf = ({ spec }: IPAMBlock, slot: number): unknown => {
    const index = spec.allocations[slot];
    return index === null || index === undefined ? undefined : spec.attributes[index];
  };
  const ownOrFree = (h: unknown): boolean => h === undefined || (h as { secondary?: Record<string, string> }).secondary?.node === node;
  const [wasFree, isFree] = [new Set(before.spec.unallocated), new Set(after.spec.unallocated)];
  let changed = 0;
  for (let slot = 0; slot < after.spec.allocations.length; slot++) {
    const [was, is] = [holderOf(before, slot), holderOf(after, slot)];
    const [wasTaken, isTaken] = [before, after].map((b) => b.spec.sequenceNumberForAllocation?.[slot]);
    if (sameJson(was, is)) {
      // The lists beside the slots tell the owner what is free: they change with them or not at all.
      if (wasFree.has(slot) !== isFree.has(slot) || wasTaken !== isTaken) return true;
    } else if (ownOrFree(was) && ownOrFree(is)) changed++;
    else return true;
  }
  const counted = (after.spec.sequenceNumber ?? 0) - (before.spec.sequenceNumber ?? 0);
  return counted < 0 || counted > Math.max(1, changed);
}

// The whole name is compared: that of node "a-b" also begins with "a-".
function affinityRule(node: string, { name, object, old }: Attempt): string | undefined {
  const own = ({ spec }: BlockAffinity): boolean => spec.node === node && name === affinityName(node, spec.cidr);
  return [object, old].every((o) => o === undefined || own(o as BlockAffinity)) ? undefined : notOwn(node, `the block affinity of another node`);
}

// A handle names its owner only by its text: a node has those of its tunnels. Those of pods name no node, so no node may write them.
function handleRule(node: string, { name, object, old }: Attempt): string | undefined {
  const tunnel = /^(?:wireguard|wireguard-v6|vxlan|vxlan-v6|ipip)-tunnel-addr-(.+)$/.exec(name)?.[1];
  if (tunnel !== node.toLowerCase()) return notOwn(node, tunnel === undefined ? "a handle that is not of its tunnels" : "the handle of another node");
  const ids = [object, old].filter((o) => o !== undefined).map((o) => (o as IPAMHandle).spec.handleID.toLowerCase());
  return ids.every((id) => id === name) ? undefined : "spec.handleID must be the name";
}

const reportRule: Rule = (node, { name }) => (name === node ? undefined : notOwn(node, `the report of node ${JSON.stringify(name)}`));

const LEASES_OF_NODES = "kube-node-lease";

const leaseRule: Rule = (node, { name, object, old }) =>
  name === node && (object ?? old)?.metadata.namespace === LEASES_OF_NODES
    ? undefined
    : notOwn(node, "a lease that is not its own in kube-node-lease");

// Both views of events: v1 and events.k8s.io/v1.
type EitherEvent = Event & { deprecatedSource?: Event["source"] };

function eventRule(node: string, { object, old }: Attempt): string | undefined {
  // Whoever reads one view sees not all of these: none may name another.
  const own = (event: EitherEvent): boolean => {
    const named = [event.source?.host, event.deprecatedSource?.host, event.reportingInstance].filter((n) => n !== undefined && n !== "");
    return named.length > 0 && named.every((n) => n === node);
  };
  return [object, old].every((e) => e === undefined || own(e as EitherEvent)) ? undefined : notOwn(node, "an event that is not reported by itself");
}

function nodeStatusRule(node: string, { subresource, old }: Attempt): string | undefined {
  if (subresource !== "status") return "nodes may only write the status of these";
  const of = (old as CalicoNodeStatus).spec.node;
  return of === node ? undefined : notOwn(node, `the status of node ${JSON.stringify(of)}`);
}

const requestRule: Rule = (_node, { operation }) => (operation === "create" ? undefined : "nodes may only ask for certificates");

const RULES: Readonly<Record<string, Rule>> = {
  nodes: nodeRule,
  pods: podRule,
  ipamblocks: blockRule,
  blockaffinities: affinityRule,
  ipamhandles: handleRule,
  nodeencryptions: reportRule,
  leases: leaseRule,
  events: eventRule,
  caliconodestatuses: nodeStatusRule,
  certificatesigningrequests: requestRule,
};
