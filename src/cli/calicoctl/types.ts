// calicoctl's resource types: the words that name them and the columns of their tables (calicoctl's own headings, not those of the API's tables).
// Names and columns: https://docs.tigera.io/calico/latest/reference/calicoctl/get
import { CALICO_NODE, type CalicoNode } from "../../api/calico-node.ts";
import type { CalicoNodeStatus } from "../../api/caliconodestatus.ts";
import type { ClusterInformation } from "../../api/clusterinformation.ts";
import type { IPAMConfiguration } from "../../api/ipamconfiguration.ts";
import type { IPPool } from "../../api/ippool.ts";
import { apiVersionOf, type Kind } from "../../api/kind.ts";
import { KINDS } from "../../api/kinds.ts";
import type { Resource } from "../../api/meta.ts";
import { TortieError } from "../../base/errors.ts";
import { ageOf } from "./age.ts";

/** What cells show of the cluster rather than of their object. */
export type Cluster = {
  /** The AS number of nodes that have none of their own. */
  readonly asNumber: string;
};
export type Heading = { readonly name: string; readonly value: (object: Resource, cluster: Cluster) => string };
export type ResourceType = {
  readonly kind: Kind;
  /** Lower case. */
  readonly words: readonly string[];
  /** Every heading there is, in the order of -o wide. */
  readonly headings: readonly Heading[];
  /** Names of those shown without -o. */
  readonly shown: readonly string[];
  /** Why nobody may write it. */
  readonly readOnly?: string;
};

type Cell = string | number | boolean | undefined;
const text = (value: Cell): string => (value === undefined ? "" : String(value));
const heading = <T extends Resource>(name: string, value: (object: T, cluster: Cluster) => Cell): Heading => ({
  name,
  value: (o, cluster) => text(value(o as T, cluster)),
});
const NAME = heading("NAME", (o) => o.metadata.name);

type Own = { words: readonly string[]; headings: readonly Heading[]; shown: readonly string[]; readOnly?: string };
const OWN: Readonly<Record<string, Own>> = {
  Node: {
    words: ["node", "nodes", "no", "nos"],
    headings: [
      NAME,
      heading<CalicoNode>("ASN", (n, { asNumber }) => n.spec.bgp && (n.spec.bgp.asNumber ?? `(${asNumber})`)),
      heading<CalicoNode>("IPV4", (n) => n.spec.bgp?.ipv4Address),
      heading<CalicoNode>("IPV6", (n) => n.spec.bgp?.ipv6Address),
    ],
    shown: ["NAME"],
  },
  FelixConfiguration: { words: ["felixconfiguration", "felixconfigurations", "felixconfig", "felixconfigs"], headings: [NAME], shown: ["NAME"] },
  IPPool: {
    words: ["ippool", "ippools", "ipp", "ipps", "pool", "pools"],
    headings: [
      NAME,
      heading<IPPool>("CIDR", (p) => p.spec.cidr),
      heading<IPPool>("NAT", (p) => p.spec.natOutgoing ?? false),
      heading<IPPool>("IPIPMODE", (p) => p.spec.ipipMode ?? "Never"),
      heading<IPPool>("VXLANMODE", (p) => p.spec.vxlanMode ?? "Never"),
      heading<IPPool>("DISABLED", (p) => p.spec.disabled ?? false),
      heading<IPPool>("DISABLEBGPEXPORT", (p) => p.spec.disableBGPExport ?? false),
      heading<IPPool>("SELECTOR", (p) => p.spec.nodeSelector),
      heading<IPPool>("ASSIGNMENTMODE", (p) => p.spec.assignmentMode),
    ],
    shown: ["NAME", "CIDR", "SELECTOR"],
  },
  ClusterInformation: {
    words: ["clusterinformation", "clusterinformations", "clusterinfo", "clusterinfos"],
    headings: [
      NAME,
      heading<ClusterInformation>("CLUSTERGUID", (c) => c.spec?.clusterGUID),
      heading<ClusterInformation>("CLUSTERTYPE", (c) => c.spec?.clusterType),
      heading<ClusterInformation>("CALICOVERSION", (c) => c.spec?.calicoVersion),
      heading<ClusterInformation>("DATASTOREREADY", (c) => c.spec?.datastoreReady),
    ],
    shown: ["NAME", "CLUSTERGUID", "CLUSTERTYPE", "CALICOVERSION", "DATASTOREREADY"],
    readOnly: "resource is readonly",
  },
  IPAMConfiguration: {
    words: ["ipamconfiguration", "ipamconfigurations", "ipamconfig", "ipamconfigs"],
    headings: [
      NAME,
      heading<IPAMConfiguration>("STRICTAFFINITY", (c) => c.spec.strictAffinity),
      heading<IPAMConfiguration>("AUTOALLOCATEBLOCKS", (c) => c.spec.autoAllocateBlocks ?? true),
      heading<IPAMConfiguration>("MAXBLOCKSPERHOST", (c) => c.spec.maxBlocksPerHost ?? 0),
    ],
    shown: ["NAME", "STRICTAFFINITY", "AUTOALLOCATEBLOCKS"],
  },
  CalicoNodeStatus: {
    words: ["caliconodestatus", "caliconodestatuses", "nodestatus", "nodestatuses"],
    headings: [NAME, heading<CalicoNodeStatus>("NODE", (s) => s.spec.node), heading<CalicoNodeStatus>("CLASSES", (s) => s.spec.classes.join(","))],
    shown: ["NAME", "NODE"],
  },
};

/** A type that calicoctl has no table for: the API's columns. */
function general(kind: Kind): ResourceType {
  const columns = kind.columns.filter((c) => c.name !== "Name");
  const headings = columns.map((c) => ({
    name: c.name.toUpperCase().replace(/ /g, ""),
    priority: c.priority,
    value: (o: Resource) => (c.type === "date" ? ageOf(text(c.value(o)), Date.now()) : text(c.value(o))),
  }));
  return {
    kind,
    words: [...new Set([kind.kind.toLowerCase(), kind.singular, kind.plural, ...kind.shortNames])],
    headings: [NAME, ...headings],
    shown: ["NAME", ...headings.filter((h) => h.priority === 0).map((h) => h.name)],
  };
}

export const TYPES: readonly ResourceType[] = KINDS.map((served) => {
  // What the API keeps as the Node of Kubernetes is Calico's Node here.
  const kind = served.group === "" && served.kind === "Node" ? (CALICO_NODE as unknown as Kind) : served;
  const own = OWN[kind.kind];
  return own ? { kind, ...own } : general(kind);
});

/** The type that a person means; throws calicoctl's sentence. */
export function typeOf(word: string): ResourceType {
  const found = TYPES.find((t) => t.words.includes(word.toLowerCase()));
  if (!found)
    throw new TortieError(`resource type '${word}' is not supported`, { hint: `Types: ${[...new Set(TYPES.map((t) => t.words[0]))].join(", ")}.` });
  return found;
}

/** The type of a document, also of a list of them ("IPPoolList"). */
export function typeOfDocument(apiVersion: unknown, kind: unknown): { type: ResourceType; list: boolean } | undefined {
  for (const type of TYPES) {
    if (apiVersionOf(type.kind) !== apiVersion) continue;
    if (type.kind.kind === kind) return { type, list: false };
    if (`${type.kind.kind}List` === kind) return { type, list: true };
  }
  return undefined;
}
