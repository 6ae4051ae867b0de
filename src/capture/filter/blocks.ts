// Conditions into a graph of tests, and what can be known without testing: a graph in which no test repeats what the way to it has already answered.
import type { Condition, TestOp, Value } from "./condition.ts";

/** "cut": keep the beginning only. */
export type Target = Block | "accept" | "cut" | "reject";
export type Block = { readonly op: TestOp; readonly left: Value; readonly right: Value; readonly key: string; yes: Target; no: Target };

/** The text of a value: equal texts, equal values. */
export const keyOf = (v: Value): string => JSON.stringify(v);

/** The graph that decides `c`. */
export function graphOf(c: Condition, yes: Target = "accept", no: Target = "reject"): Target {
  switch (c.kind) {
    case "always":
      return yes;
    case "never":
      return no;
    case "not":
      return graphOf(c.of, no, yes);
    case "and":
      return graphOf(c.left, graphOf(c.right, yes, no), no);
    case "or":
      return graphOf(c.left, yes, graphOf(c.right, yes, no));
    case "test":
      return { op: c.op, left: c.left, right: c.right, key: keyOf(c.left), yes, no };
  }
}

/** Blocks that can be reached, each before its successors, the yes side first. */
export function inOrder(start: Target): Block[] {
  const order: Block[] = [];
  const seen = new Set<Block>();
  const visit = (t: Target): void => {
    if (typeof t === "string" || seen.has(t)) return;
    seen.add(t);
    visit(t.no);
    visit(t.yes);
    order.push(t);
  };
  visit(start);
  return order.reverse();
}

/** What is known of values: equal to one number, or different from some. */
type Known = ReadonlyMap<string, { readonly is?: number; readonly isNot: readonly number[] }>;
const NOTHING: Known = new Map();

function common(a: Known, b: Known): Known {
  const out = new Map<string, { is?: number; isNot: readonly number[] }>();
  for (const [key, x] of a) {
    const y = b.get(key);
    if (!y) continue;
    if (x.is !== undefined && x.is === y.is) out.set(key, x);
    else {
      const differs = (k: typeof x, n: number): boolean => (k.is === undefined ? k.isNot.includes(n) : k.is !== n);
      const isNot = [...x.isNot, ...y.isNot].filter((n) => differs(x, n) && differs(y, n));
      if (isNot.length > 0) out.set(key, { isNot });
    }
  }
  return out;
}

/** What is known behind one side of a block. */
function learnt(known: Known, b: Block, side: "yes" | "no"): Known {
  if (b.op !== "=" || b.right.kind !== "constant") return known;
  const out = new Map(known);
  const before = known.get(b.key);
  out.set(b.key, side === "yes" ? { is: b.right.k, isNot: [] } : { isNot: [...(before?.isNot ?? []), b.right.k] });
  return out;
}

function answer(known: Known, b: Block): boolean | undefined {
  const fact = known.get(b.key);
  if (!fact || b.right.kind !== "constant") return undefined;
  const k = b.right.k;
  if (fact.is === undefined) return b.op === "=" && fact.isNot.includes(k) ? false : undefined;
  if (b.op === "=") return fact.is === k;
  if (b.op === "set") return (fact.is & k) !== 0;
  return b.op === ">" ? fact.is > k : fact.is >= k;
}

/** Where a block leads to when its test need not be made. */
function beyond(known: Known, b: Block): Target | undefined {
  if (b.yes === b.no) return b.yes;
  const a = answer(known, b);
  return a === undefined ? undefined : a ? b.yes : b.no;
}

/** Leads every edge past the tests that are answered already, or whose answer does not matter. */
export function threaded(start: Target): Target {
  for (let changed = true; changed;) {
    changed = false;
    const known = new Map<Block, Known>();
    const arrive = (t: Target, k: Known): void => {
      if (typeof t === "string") return;
      const before = known.get(t);
      known.set(t, before ? common(before, k) : k);
    };
    const order = inOrder(start);
    if (typeof start !== "string") known.set(start, NOTHING);
    for (const block of order) {
      for (const side of ["yes", "no"] as const) {
        const k = learnt(known.get(block) ?? NOTHING, block, side);
        let target = block[side];
        for (let next; typeof target !== "string" && (next = beyond(k, target)) !== undefined;) target = next;
        changed ||= target !== block[side];
        block[side] = target;
        arrive(target, k);
      }
    }
  }
  return typeof start === "string" || start.yes !== start.no ? start : threaded(start.yes);
}
