// Conditions on values of a packet: what a filter means for one link type, before it becomes instructions.
import type { BinaryOp } from "./ast.ts";

/** A value that classic BPF can compute: 32 bits, unsigned. */
export type Value =
  | { readonly kind: "constant"; readonly k: number }
  | { readonly kind: "length" }
  /** Bytes at `k`, plus `index`, plus (`header`) the length of the IPv4 header that begins at `header`. */
  | { readonly kind: "load"; readonly size: 1 | 2 | 4; readonly k: number; readonly index?: Value; readonly header?: number }
  | { readonly kind: "binary"; readonly op: BinaryOp; readonly left: Value; readonly right: Value }
  | { readonly kind: "negate"; readonly of: Value };

/** `left & right != 0` is "set". */
export type TestOp = "=" | ">" | ">=" | "set";
export type Condition =
  | { readonly kind: "and" | "or"; readonly left: Condition; readonly right: Condition }
  | { readonly kind: "not"; readonly of: Condition }
  | { readonly kind: "always" | "never" }
  | { readonly kind: "test"; readonly op: TestOp; readonly left: Value; readonly right: Value };

export const NEVER: Condition = { kind: "never" };
export const ALWAYS: Condition = { kind: "always" };
export const constant = (k: number): Value => ({ kind: "constant", k: k >>> 0 });
export const load = (size: 1 | 2 | 4, k: number, header?: number): Value =>
  header === undefined ? { kind: "load", size, k } : { kind: "load", size, k, header };
export const masked = (v: Value, mask: number): Value => ({ kind: "binary", op: "&", left: v, right: constant(mask) });
export const equals = (left: Value, k: number): Condition => ({ kind: "test", op: "=", left, right: constant(k) });
export const isSet = (left: Value, k: number): Condition => ({ kind: "test", op: "set", left, right: constant(k) });
export const not = (of: Condition): Condition => (of.kind === "never" ? ALWAYS : of.kind === "always" ? NEVER : { kind: "not", of });

export function and(...conditions: Condition[]): Condition {
  let out: Condition = ALWAYS;
  for (const c of conditions) {
    if (c.kind === "never" || out.kind === "never") return NEVER;
    if (c.kind === "always") continue;
    out = out.kind === "always" ? c : { kind: "and", left: out, right: c };
  }
  return out;
}

export function or(...conditions: Condition[]): Condition {
  let out: Condition = NEVER;
  for (const c of conditions) {
    if (c.kind === "always" || out.kind === "always") return ALWAYS;
    if (c.kind === "never") continue;
    out = out.kind === "never" ? c : { kind: "or", left: out, right: c };
  }
  return out;
}
