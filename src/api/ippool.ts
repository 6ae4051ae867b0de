// IPPool of projectcalico.org/v3: a range that pods' addresses are taken from. https://docs.tigera.io/calico/latest/reference/resources/ippool
import { formatCidr, parseCidr } from "../base/cidr.ts";
import type { Kind } from "./kind.ts";
import type { FieldError, Resource } from "./meta.ts";
import { anything, boolean, integer, list, object, resource, type Schema, string } from "./schema.ts";
import { selectorErrors } from "./selector.ts";

export type IPPoolSpec = {
  /** "172.16.0.0/16": host bits zero. Cannot be changed. */
  cidr: string;
  vxlanMode?: "Never" | "Always" | "CrossSubnet";
  ipipMode?: "Never" | "Always" | "CrossSubnet";
  natOutgoing?: boolean;
  disabled?: boolean;
  disableBGPExport?: boolean;
  /** Prefix length of the blocks, 20..32 (26) or 116..128 (122). Cannot be changed. */
  blockSize?: number;
  nodeSelector?: string;
  namespaceSelector?: string;
  allowedUses?: ("Workload" | "Tunnel" | "LoadBalancer")[];
  assignmentMode?: "Automatic" | "Manual";
};
export type IPPool = Resource & { spec: IPPoolSpec; status?: { conditions?: Record<string, unknown>[] } };

const mode = (what: string): Schema => string(what, { enum: ["Never", "Always", "CrossSubnet"] });
const spec: Schema = object(
  "The range and how it is used.",
  {
    cidr: string("The range, its host bits zero. Cannot be changed."),
    vxlanMode: mode("When packets between nodes are put into VXLAN. [Default: Never]"),
    ipipMode: mode("When packets between nodes are put into IP-in-IP. [Default: Never]"),
    natOutgoing: boolean("Masquerade packets that leave all pools. [Default: false]"),
    disabled: boolean("Take no new addresses from this pool. [Default: false]"),
    disableBGPExport: boolean("Announce no routes of this pool. [Default: false]"),
    blockSize: integer("Prefix length of the blocks that the pool is cut into. [Default: 26, or 122 for IPv6]", 20, 128),
    nodeSelector: string("Selects the nodes that may take addresses from this pool."),
    namespaceSelector: string("Selects the namespaces whose pods may take addresses from this pool."),
    allowedUses: list(
      "What addresses may be used for. [Default: Tunnel, Workload]",
      string("A use.", { enum: ["Workload", "Tunnel", "LoadBalancer"] }),
      {
        maxItems: 10,
      },
    ),
    assignmentMode: string("Automatic, or Manual: only when asked for by name.", { enum: ["Automatic", "Manual"] }),
  },
  ["cidr"],
);

function validate(pool: IPPool, old?: IPPool): FieldError[] {
  const errors: FieldError[] = [];
  const invalid = (field: string, value: unknown, message: string): void =>
    void errors.push({ field, reason: "FieldValueInvalid", message: `Invalid value: ${JSON.stringify(value)}: ${message}` });
  const s = pool.spec;
  const cidr = parseCidr(s.cidr);
  if (!cidr || !s.cidr.includes("/")) invalid("spec.cidr", s.cidr, "must be a valid CIDR, such as 172.16.0.0/16");
  else {
    if (formatCidr(cidr) !== s.cidr.toLowerCase()) invalid("spec.cidr", s.cidr, "IPPool CIDR must be strictly masked");
    const [low, high] = cidr.ip.length === 4 ? [20, 32] : [116, 128];
    const size = s.blockSize ?? (cidr.ip.length === 4 ? 26 : 122);
    if (size < low || size > high) invalid("spec.blockSize", size, `must be between ${low} and ${high} for this address family`);
    else if (size < cidr.prefix) invalid("spec.blockSize", size, "the block must not be larger than the pool");
    if (cidr.ip.length === 16 && s.ipipMode !== undefined && s.ipipMode !== "Never")
      invalid("spec.ipipMode", s.ipipMode, "IP-in-IP is not supported on IPv6 pools");
  }
  if ((s.ipipMode ?? "Never") !== "Never" && (s.vxlanMode ?? "Never") !== "Never")
    invalid("spec.ipipMode", s.ipipMode, "ipipMode and vxlanMode cannot both be enabled on one IP pool");
  errors.push(...selectorErrors("spec.nodeSelector", s.nodeSelector), ...selectorErrors("spec.namespaceSelector", s.namespaceSelector));
  if (old && old.spec.cidr !== s.cidr) invalid("spec.cidr", s.cidr, "CIDR cannot be changed; follow IP pool migration guide to avoid corruption.");
  if (old && old.spec.blockSize !== s.blockSize)
    invalid("spec.blockSize", s.blockSize ?? null, "Block size cannot be changed; follow IP pool migration guide to avoid corruption.");
  return errors;
}

export const IP_POOL: Kind<IPPool> = {
  group: "projectcalico.org",
  version: "v3",
  kind: "IPPool",
  plural: "ippools",
  singular: "ippool",
  shortNames: [],
  namespaced: false,
  hasStatus: true,
  builtIn: false,
  categories: [],
  schema: resource(
    "A range that pods' addresses are taken from.",
    { spec, status: object("Observed state.", { conditions: list("Conditions.", anything("A condition.")) }) },
    ["spec"],
  ),
  defaults: (pool) => ({
    ...pool,
    spec: { ...pool.spec, assignmentMode: pool.spec.assignmentMode ?? "Automatic", nodeSelector: pool.spec.nodeSelector ?? "all()" },
  }),
  validate,
  columns: [
    { name: "CIDR", type: "string", priority: 0, description: "The range.", value: (p) => p.spec.cidr },
    { name: "VXLAN", type: "string", priority: 0, description: "VXLAN mode.", value: (p) => p.spec.vxlanMode },
    { name: "IPIP", type: "string", priority: 0, description: "IP-in-IP mode.", value: (p) => p.spec.ipipMode },
    { name: "NAT", type: "boolean", priority: 0, description: "Whether outgoing packets are masqueraded.", value: (p) => p.spec.natOutgoing },
    {
      name: "Allocatable",
      type: "string",
      priority: 0,
      description: "Whether addresses may be taken from the pool.",
      value: (p) => p.status?.conditions?.find((c) => c.type === "Allocatable")?.status as string | undefined,
    },
    { name: "Age", type: "date", priority: 0, description: "Since creation.", value: (p) => p.metadata.creationTimestamp },
  ],
};
