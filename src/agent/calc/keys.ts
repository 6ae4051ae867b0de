// Whose key may be programmed. A key that two nodes claim is nobody's: a packet that it authenticates could be from either.
import { fromBase64, isZero } from "../../base/bytes.ts";
import type { NodeFacts } from "./facts.ts";

export type KeyVerdict =
  | { readonly kind: "usable"; readonly publicKey: string }
  | { readonly kind: "none" }
  | { readonly kind: "malformed" }
  /** Others claim the same key; `with` are their names, sorted. */
  | { readonly kind: "conflict"; readonly with: readonly string[] }
  /** It is this node's own key. */
  | { readonly kind: "own" };

/** True for base64 of 32 bytes that are not all zero. */
export function isKey(text: string): boolean {
  const bytes = fromBase64(text);
  return bytes?.length === 32 && !isZero(bytes);
}

/** The verdict on every node's key but the own node's, by node name. */
export function judgeKeys(nodes: readonly NodeFacts[], own: string, ownKey: string | undefined): Map<string, KeyVerdict> {
  const claimants = new Map<string, string[]>();
  const remote = nodes.filter((n) => n.name !== own);
  for (const n of remote) if (isKey(n.publicKey)) claimants.set(n.publicKey, [...(claimants.get(n.publicKey) ?? []), n.name].sort());
  return new Map(
    remote.map((n): [string, KeyVerdict] => {
      if (n.publicKey === "") return [n.name, { kind: "none" }];
      if (!isKey(n.publicKey)) return [n.name, { kind: "malformed" }];
      if (n.publicKey === ownKey) return [n.name, { kind: "own" }];
      const others = claimants.get(n.publicKey)!.filter((name) => name !== n.name);
      return [n.name, others.length > 0 ? { kind: "conflict", with: others } : { kind: "usable", publicKey: n.publicKey }];
    }),
  );
}

/** What a person should know about the keys, a sentence each. */
export function keyWarnings(nodes: readonly NodeFacts[], verdicts: ReadonlyMap<string, KeyVerdict>, own: string): string[] {
  const out: string[] = [];
  for (const n of nodes) {
    const v = verdicts.get(n.name);
    if (v?.kind === "malformed") out.push(`node "${n.name}" publishes a malformed WireGuard key: it is no peer, traffic with it is not encrypted`);
    if (v?.kind === "own") out.push(`node "${n.name}" claims the key of this node, "${own}": it is no peer, traffic with it is not encrypted`);
    if (v?.kind === "conflict" && n.name < v.with[0]!)
      out.push(
        `nodes ${[n.name, ...v.with].map((name) => `"${name}"`).join(" and ")} claim one WireGuard key: none of them is a peer, traffic with them is not encrypted`,
      );
    if (v?.kind === "usable" && n.address === undefined)
      out.push(`node "${n.name}" has a WireGuard key but no address: it is no peer, traffic with it is not encrypted`);
  }
  return out;
}
