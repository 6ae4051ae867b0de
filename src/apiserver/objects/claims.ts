// One WireGuard key, one node: each key that a node publishes is claimed by a key of the store beside the node, written in the same transaction.
// A second node's claim therefore fails inside the write, whoever comes first. Malformed keys claim nothing: they make the node no peer anyway.
import { isWireguardKey } from "../../api/calico-node.ts";
import { invalid, type ApiError } from "../../api/status.ts";
import type { Kind } from "../../api/kind.ts";
import type { Resource } from "../../api/meta.ts";
import { ANNOTATION } from "../../api/node-annotations.ts";
import { fromUtf8, utf8 } from "../../base/bytes.ts";
import type { Condition, Store, Write } from "../../store/store.ts";

const PREFIX = "/claims/wireguard/";
const ANNOTATIONS = [ANNOTATION.wireguardPublicKey, ANNOTATION.wireguardPublicKeyV6];

const claimKey = (publicKey: string): string => PREFIX + publicKey.replaceAll("/", "_");
const keysOf = (object: Resource | undefined): Set<string> =>
  new Set(ANNOTATIONS.map((a) => object?.metadata.annotations?.[a]).filter((k) => k !== undefined && isWireguardKey(k)) as string[]);

export type Claims = { readonly conditions: readonly Condition[]; readonly writes: readonly Write[] };
export const NO_CLAIMS: Claims = { conditions: [], writes: [] };

/** What must hold and be written beside a change of `old` to `object` (undefined: deleted). Throws ApiError when another node has the key. */
export async function claimsFor(store: Store, kind: Kind, old: Resource | undefined, object: Resource | undefined): Promise<Claims> {
  if (kind.plural !== "nodes" || kind.group !== "") return NO_CLAIMS;
  const [before, after] = [keysOf(old), keysOf(object)];
  const conditions: Condition[] = [];
  const writes: Write[] = [];
  for (const key of after)
    if (!before.has(key)) {
      const claim = claimKey(key);
      const held = await store.get(claim);
      const holder = held && fromUtf8(held.value);
      if (holder !== undefined && holder !== object!.metadata.name) throw taken(kind, object!, key, holder);
      conditions.push({ key: claim, revision: held?.revision ?? 0 });
      writes.push({ key: claim, value: utf8(object!.metadata.name) });
    }
  // Where two nodes have one key all the same, the claim is of one of them: the other gives back nothing.
  for (const key of before)
    if (!after.has(key)) {
      const held = await store.get(claimKey(key));
      if (held && fromUtf8(held.value) === old!.metadata.name) writes.push({ key: claimKey(key), value: undefined });
    }
  return { conditions, writes };
}

function taken(kind: Kind, object: Resource, key: string, holder: string): ApiError {
  const annotation = ANNOTATIONS.find((a) => object.metadata.annotations?.[a] === key)!;
  return invalid(kind, object.metadata.name, [
    {
      field: `metadata.annotations[${annotation}]`,
      reason: "FieldValueDuplicate",
      message: `Duplicate value: ${JSON.stringify(key)}: this WireGuard key is held by node ${JSON.stringify(holder)}; two nodes cannot have one key`,
    },
  ]);
}
