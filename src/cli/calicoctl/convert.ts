// convert: manifests of calicoctl v1 and v2 (apiVersion v1) as resources of projectcalico.org/v3: pools and nodes, which are the kinds of v1 that we have.
import type { CalicoNode } from "../../api/calico-node.ts";
import type { IPPool } from "../../api/ippool.ts";
import { isObject, type JsonObject, type JsonValue } from "../../api/json.ts";
import type { Resource } from "../../api/meta.ts";
import { parseCidr } from "../../base/cidr.ts";
import { TortieError } from "../../base/errors.ts";
import { checkChange } from "./check.ts";
import { fileError, readDocuments } from "./input.ts";
import { forPrinting } from "./output.ts";
import { typeOf } from "./types.ts";
import { jsonOf, yamlOf } from "./yaml.ts";

const V3 = "projectcalico.org/v3";
const part = (of: JsonObject, key: string): JsonObject => {
  const value = of[key] ?? {};
  if (!isObject(value)) throw fileError(`${key} must be a mapping`);
  return value;
};
const text = (value: JsonValue | undefined): string | undefined => (typeof value === "string" && value !== "" ? value : undefined);

/** v1 named pools by their CIDR, which cannot be a name any more. */
function pool(metadata: JsonObject, spec: JsonObject): IPPool {
  const cidr = text(metadata.cidr) ?? "";
  const ipip = part(spec, "ipip");
  const mode = ipip.enabled !== true ? "Never" : ipip.mode === "cross-subnet" ? "CrossSubnet" : "Always";
  return {
    apiVersion: V3,
    kind: "IPPool",
    metadata: { name: cidr.toLowerCase().replace(/[.:/]+/g, "-") },
    spec: {
      blockSize: parseCidr(cidr)?.ip.length === 16 ? 122 : 26,
      cidr,
      ...(spec.disabled === true ? { disabled: true } : {}),
      ipipMode: mode,
      ...(spec["nat-outgoing"] === true ? { natOutgoing: true } : {}),
      vxlanMode: "Never",
    },
  };
}

function node(metadata: JsonObject, spec: JsonObject): CalicoNode {
  const { asNumber, ipv4Address, ipv6Address } = part(spec, "bgp");
  const bgp = {
    ...(asNumber === undefined ? {} : { asNumber: Number(asNumber) }),
    ...(text(ipv4Address) ? { ipv4Address: text(ipv4Address)! } : {}),
    ...(text(ipv6Address) ? { ipv6Address: text(ipv6Address)! } : {}),
  };
  return {
    apiVersion: V3,
    kind: "Node",
    metadata: { name: (text(metadata.name) ?? "").toLowerCase() },
    spec: Object.keys(bgp).length > 0 ? { bgp } : {},
  };
}

const CONVERTERS: Readonly<Record<string, (metadata: JsonObject, spec: JsonObject) => Resource>> = { ipPool: pool, node };

function converted(value: unknown): Resource[] {
  if (value === null || value === undefined) return [];
  if (Array.isArray(value)) return value.flatMap(converted);
  const document = value as JsonObject;
  const kind = isObject(document) ? text(document.kind) : undefined;
  const convert = kind !== undefined && Object.hasOwn(CONVERTERS, kind) ? CONVERTERS[kind] : undefined;
  if (!convert || document.apiVersion !== "v1")
    throw fileError(`unknown resource type (${kind ?? ""}) and/or version (${text(isObject(document) ? document.apiVersion : undefined) ?? ""})`);
  return [convert(part(document, "metadata"), part(document, "spec"))];
}

export type ConvertFlags = { filename?: string; output?: string; ignoreValidation?: boolean };

/** The text to print. Throws TortieError for what is no manifest of v1, and for what v3 does not take unless it is told not to look. */
export function convert({ filename, output = "yaml", ignoreValidation = false }: ConvertFlags): string {
  if (filename === undefined) throw new TortieError("Cannot convert: -f FILE is missing");
  if (output !== "yaml" && output !== "json") throw new TortieError(`unrecognized output format '${output}'`);
  const resources = readDocuments(filename, false).flatMap(converted);
  if (resources.length === 0) throw new TortieError(`no resources specified in file ${filename}`);
  if (!ignoreValidation) for (const r of resources) checkChange(typeOf(r.kind), r);
  const printed = resources.map((r) => forPrinting(r, false));
  if (output === "json") return `${jsonOf(printed.length === 1 ? printed[0] : printed)}\n`;
  return printed.map(yamlOf).join("---\n");
}
