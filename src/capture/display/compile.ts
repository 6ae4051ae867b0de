// Makes a function of a display filter: looks its names up, settles types, reads its values. A comparison holds when any value of a field fits, unless
// the operator or a quantifier says "all" (wireshark-filter(4)); a field that the packet has not fits nothing.
import type { Dissection } from "../dissect.ts";
import { type Field, field } from "../fields/registry.ts";
import { type FieldType, formatValue, type Value } from "../fields/row.ts";
import { refuse } from "./lexer.ts";
import { describe, readLiteral, type Wanted } from "./literal.ts";
import { nearest } from "./nearest.ts";
import { pattern, searchable } from "./regex.ts";
import type { Comparison, Condition, Entity, Literal, Range } from "./syntax.ts";

export type Test = (d: Dissection) => boolean;
/** An entity whose type is known: its values in a packet. */
type Source = { readonly type: FieldType; readonly get: (d: Dissection) => readonly Value[]; readonly field?: Field };

export class Compiler {
  readonly #filter: string;
  /** Names of all fields that the filter uses. */
  readonly fields: Set<string> = new Set();

  constructor(filter: string) {
    this.#filter = filter;
  }

  condition(c: Condition): Test {
    switch (c.kind) {
      case "or":
      case "and":
      case "xor": {
        const [a, b] = [this.condition(c.left), this.condition(c.right)];
        if (c.kind === "or") return (d) => a(d) || b(d);
        return c.kind === "and" ? (d) => a(d) && b(d) : (d) => a(d) !== b(d);
      }
      case "not": {
        const inner = this.condition(c.of);
        return (d) => !inner(d);
      }
      case "exists":
        return this.#exists(c.of);
      case "in":
        return this.#in(c);
      case "compare":
        return this.#compare(c);
    }
  }

  #refuse(why: string, e: { at: number; length: number }): never {
    return refuse(this.#filter, why, e.at, e.length);
  }

  #exists(e: Entity): Test {
    if (e.kind === "literal") return this.#unknown(e);
    const s = this.#source(e);
    if (e.kind === "arithmetic") return (d) => s.get(d).some((v) => Number(v) !== 0);
    if (e.kind === "call") this.#refuse(`a comparison is missing after ${e.name}(…)`, e);
    return (d) => s.get(d).length > 0;
  }
  #unknown(e: { text: string; at: number; length: number }): never {
    const near = nearest(e.text);
    const hint = near.length > 0 ? `: did you mean ${near.join(", ")}?` : "";
    return this.#refuse(`"${e.text}" is no field or protocol that is known here${hint}`, e);
  }

  /** A field, slice, function or sum. Not a literal, whose type the other side gives. */
  #source(e: Entity): Source {
    switch (e.kind) {
      case "literal":
        return this.#refuse("a field is missing: values are compared with fields", e);
      case "field":
        return this.#field(e);
      case "slice":
        return this.#slice(e);
      case "call":
        return this.#call(e);
      case "arithmetic":
        return this.#arithmetic(e);
    }
  }

  #field(e: Extract<Entity, { kind: "field" }>): Source {
    const f = field(e.name);
    if (!f) return this.#unknown({ text: e.name, at: e.at, length: e.length });
    this.fields.add(e.name);
    if (!e.layers) return { type: f.type, get: (d) => d.values(f), field: f };
    const layers = e.layers;
    const get = (d: Dissection): Value[] => {
      const found: Value[] = [];
      for (const name of f.ways.keys()) {
        const parts = d.parts.filter((p) => p.protocol.name === name);
        for (const [i, p] of parts.entries()) if (layers.some((r) => within(r, i, parts.length))) d.valuesIn(f, p, found);
      }
      return found;
    };
    return { type: f.type, get, field: f };
  }

  #slice(e: Extract<Entity, { kind: "slice" }>): Source {
    const s = this.#source(e.of);
    const isText = s.type === "string";
    if (!isText && !["bytes", "protocol", "ether", "ipv4", "ipv6"].includes(s.type))
      this.#refuse(`a ${s.type} cannot be sliced: only bytes and texts`, e.of);
    const get = (d: Dissection): Value[] =>
      s.get(d).flatMap((v) => {
        const piece = cut(v as string | Uint8Array, e.ranges);
        return piece === undefined ? [] : [piece];
      });
    return { type: isText ? "string" : "bytes", get };
  }

  #call(e: Extract<Entity, { kind: "call" }>): Source {
    const known = ["len", "count", "upper", "lower", "string", "max", "min", "abs"];
    if (!known.includes(e.name)) this.#refuse(`"${e.name}" is no function: there are ${known.join(", ")}`, e);
    const [first, ...rest] = e.args;
    if (!first || (rest.length > 0 && e.name !== "max" && e.name !== "min")) return this.#refuse(`${e.name}(…) takes one field`, e);
    const s = this.#source(first);
    switch (e.name) {
      case "count":
        if (first.kind !== "field") this.#refuse("count(…) takes a field", first);
        return { type: "uint", get: (d) => counted(s.get(d)) };
      case "len":
        if (["uint", "bool", "float", "time", "duration", "none"].includes(s.type)) this.#refuse("only bytes and texts have a length", first);
        return {
          type: "uint",
          get: (d) => s.get(d).map((v) => (typeof v === "string" ? new TextEncoder().encode(v).length : (v as Uint8Array).length)),
        };
      case "upper":
      case "lower": {
        if (s.type !== "string") this.#refuse(`${e.name}(…) takes a text, and this is a ${s.type}`, first);
        const change = (v: Value): string => (e.name === "upper" ? String(v).toUpperCase() : String(v).toLowerCase());
        return { type: "string", get: (d) => s.get(d).map(change) };
      }
      case "string": {
        const row = s.field?.row ?? { name: "", type: s.type };
        return { type: "string", get: (d) => s.get(d).map((v) => formatValue(row, v, ":")) };
      }
      default: {
        const all = [s, ...rest.map((r) => this.#source(r))];
        if (all.some((a) => a.type !== "uint" && a.type !== "float" && a.type !== "duration")) this.#refuse(`${e.name}(…) takes numbers`, first);
        if (e.name === "abs") return { ...s, get: (d) => s.get(d).map((v) => ((v as number) < 0 ? -(v as number) : v)) };
        const sign = e.name === "max" ? 1 : -1;
        return {
          type: s.type,
          get: (d) => {
            const values = all.flatMap((a) => a.get(d));
            return values.length === 0 ? [] : [values.reduce((a, b) => (order(a, b) * sign >= 0 ? a : b))];
          },
        };
      }
    }
  }

  #arithmetic(e: Extract<Entity, { kind: "arithmetic" }>): Source {
    const [a, b] = this.#pair(e.left, e.right);
    if (a.type !== "uint" && a.type !== "float" && a.type !== "duration")
      this.#refuse(`"${e.operator}" takes numbers, and this is a ${a.type}`, e.left);
    const calculate = ARITHMETIC[e.operator];
    return {
      type: a.type,
      get: (d) => a.get(d).flatMap((x) => b.get(d).flatMap((y) => calculate(x as number, y as number) ?? [])),
    };
  }

  /** Two entities of one type: a literal takes the type of the other. */
  #pair(left: Entity, right: Entity): [Source, Source & { wanted?: Wanted }] {
    if (left.kind === "literal") {
      const b = this.#source(right);
      return [this.#literal(left, b), b];
    }
    const a = this.#source(left);
    if (a.type === "none") this.#refuse("this field has no value: it is there or not", left);
    // A word without quotes that is no field is a text or a number.
    if (right.kind === "literal") return [a, this.#literal(right, a)];
    if (right.kind === "field" && !field(right.name))
      return [a, this.#literal({ ...right, kind: "literal", text: right.name, quoted: undefined }, a)];
    const b = this.#source(right);
    const [x, y] = [kindOf(a.type), kindOf(b.type)];
    if (x !== y) this.#refuse(`a ${a.type} and a ${b.type} cannot be compared`, right);
    return [a, b];
  }
  #literal(l: Literal, of: Source): Source & { wanted: Wanted } {
    const wanted = readLiteral(l, of.type) ?? wordOf(l, of);
    if (!wanted) return this.#refuse(`"${l.text}" is not ${describe(of.type)}`, l);
    const values = [wanted.value];
    return { type: of.type, get: () => values, wanted };
  }

  #compare(c: Extract<Condition, { kind: "compare" }>): Test {
    if (c.operator === "matches") return this.#matches(c);
    if (c.operator === "contains") return this.#contains(c);
    const [a, b] = this.#pair(c.left, c.right);
    if ((a.type === "bool" || a.type === "none") && !c.operator.includes("_")) this.#refuse(`a ${a.type} has no order: == or !=`, c);
    const network = b.wanted?.bits === undefined ? undefined : b.wanted;
    const fits = network ? inNetwork(network, c.operator) : COMPARE[c.operator];
    const all = c.quantifier === undefined ? c.operator === "all_eq" || c.operator === "all_ne" : c.quantifier === "all";
    return quantified(a, b, fits, all);
  }

  #contains(c: Extract<Condition, { kind: "compare" }>): Test {
    const a = this.#source(c.left);
    if (!["string", "bytes", "protocol", "ether", "ipv4", "ipv6"].includes(a.type))
      this.#refuse(`only texts and bytes contain something, and this is a ${a.type}`, c.left);
    // What is contained may be shorter than an address.
    const [, b] = [a, this.#contained(c.right, a)];
    return quantified(
      a,
      b,
      (x, y) => (typeof x === "string" ? x.includes(String(y)) : includes(x as Uint8Array, y as Uint8Array)),
      c.quantifier === "all",
    );
  }
  #contained(e: Entity, a: Source): Source {
    const type = a.type === "string" ? "string" : "bytes";
    if (e.kind === "literal") return this.#literal(e, { ...a, type });
    if (e.kind === "field" && !field(e.name)) return this.#literal({ ...e, kind: "literal", text: e.name, quoted: undefined }, { ...a, type });
    const b = this.#source(e);
    if ((b.type === "string") !== (type === "string")) this.#refuse(`a ${a.type} does not contain a ${b.type}`, e);
    return b;
  }

  #matches(c: Extract<Condition, { kind: "compare" }>): Test {
    const a = this.#source(c.left);
    if (!["string", "bytes", "protocol", "ether"].includes(a.type))
      this.#refuse(`only texts and bytes match an expression, and this is a ${a.type}`, c.left);
    if (c.right.kind !== "literal" || !c.right.quoted) return this.#refuse('an expression in quotes is missing after "matches"', c.right);
    const regex = pattern(c.right.text);
    if (typeof regex === "string") return this.#refuse(regex, c.right);
    const fits = (v: Value): boolean => regex.test(searchable(v as string | Uint8Array));
    return c.quantifier === "all" ? (d) => every(a.get(d), fits) : (d) => a.get(d).some(fits);
  }

  #in(c: Extract<Condition, { kind: "in" }>): Test {
    const tests = c.set.map(({ from, to }): ((a: Source) => (d: Dissection, v: Value) => boolean) => {
      const [a, low] = this.#pair(c.left, from);
      if (to) {
        const [, high] = this.#pair(c.left, to);
        if (a.type === "bool") this.#refuse("a bool has no order", from);
        return () => (d, v) => low.get(d).some((l) => order(v, l) >= 0) && high.get(d).some((h) => order(v, h) <= 0);
      }
      const fits = low.wanted?.bits === undefined ? COMPARE.any_eq : inNetwork(low.wanted, "any_eq");
      return () => (d, v) => low.get(d).some((l) => fits(v, l));
    });
    const a = this.#source(c.left);
    const made = tests.map((t) => t(a));
    const member =
      (d: Dissection) =>
      (v: Value): boolean =>
        made.some((t) => t(d, v));
    return c.quantifier === "all" ? (d) => every(a.get(d), member(d)) : (d) => a.get(d).some(member(d));
  }
}

const every = <T>(values: readonly T[], fits: (v: T) => boolean): boolean => values.length > 0 && values.every(fits);
const counted = (values: readonly Value[]): Value[] => (values.length === 0 ? [] : [values.length]);

function quantified(a: Source, b: Source & { wanted?: Wanted }, fits: (x: Value, y: Value) => boolean, all: boolean): Test {
  if (b.wanted && !all) {
    const { value } = b.wanted;
    return (d) => {
      for (const v of a.get(d)) if (fits(v, value)) return true;
      return false;
    };
  }
  return (d) => {
    const [xs, ys] = [a.get(d), b.get(d)];
    if (xs.length === 0 || ys.length === 0) return false;
    return all ? xs.every((x) => ys.every((y) => fits(x, y))) : xs.some((x) => ys.some((y) => fits(x, y)));
  };
}

/** "Transport Data" of wg.type: the word that the tree shows for a number. */
function wordOf(l: Literal, of: Source): Wanted | undefined {
  const words = of.field?.row.words;
  const found = words && Object.entries(words).find(([, w]) => w.toLowerCase() === l.text.toLowerCase());
  return found && { value: Number(found[0]) };
}

const kindOf = (type: FieldType): string => (["bytes", "protocol", "ether"].includes(type) ? "bytes" : type);

/** Below 0, 0, above 0. Both are of one type. */
export function order(a: Value, b: Value): number {
  if (a instanceof Uint8Array && b instanceof Uint8Array) {
    for (let i = 0; i < a.length && i < b.length; i++) if (a[i] !== b[i]) return a[i]! - b[i]!;
    return a.length - b.length;
  }
  return a < b ? -1 : a > b ? 1 : 0;
}
const same = (a: Value, b: Value): boolean => {
  if (a instanceof Uint8Array) return order(a, b) === 0;
  // A number may be a bigint on one side.
  // oxlint-disable-next-line eqeqeq
  return a == b;
};
const COMPARE: Readonly<Record<Exclude<Comparison, "contains" | "matches">, (a: Value, b: Value) => boolean>> = {
  any_eq: same,
  all_eq: same,
  any_ne: (a, b) => !same(a, b),
  all_ne: (a, b) => !same(a, b),
  ">": (a, b) => order(a, b) > 0,
  "<": (a, b) => order(a, b) < 0,
  ">=": (a, b) => order(a, b) >= 0,
  "<=": (a, b) => order(a, b) <= 0,
};
const ARITHMETIC: Readonly<Record<"+" | "-" | "*" | "/" | "%" | "&", (a: number, b: number) => Value | undefined>> = {
  "+": (a, b) => both(a, b, (x, y) => x + y),
  "-": (a, b) => both(a, b, (x, y) => x - y),
  "*": (a, b) => both(a, b, (x, y) => x * y),
  "/": (a, b) => (Number(b) === 0 ? undefined : both(a, b, (x, y) => x / y)),
  "%": (a, b) => (Number(b) === 0 ? undefined : both(a, b, (x, y) => x % y)),
  "&": (a, b) => both(a, b, (x, y) => x & y),
};
/** Whole numbers as bigint, so that none is too large. */
function both(a: number, b: number, of: (x: bigint, y: bigint) => bigint): Value {
  const n = of(BigInt(a), BigInt(b));
  return n >= BigInt(Number.MIN_SAFE_INTEGER) && n <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(n) : n;
}

/** Addresses compared by their first bits. */
function inNetwork(network: Wanted, operator: Comparison): (v: Value) => boolean {
  const prefix = masked(network.value as Uint8Array, network.bits!);
  const compare = COMPARE[operator as keyof typeof COMPARE];
  return (v) => compare(masked(v as Uint8Array, network.bits!), prefix);
}
function masked(address: Uint8Array, bits: number): Uint8Array {
  return address.map((b, i) => b & (0xff00 >> Math.max(0, Math.min(8, bits - i * 8))));
}

function includes(hay: Uint8Array, needle: Uint8Array): boolean {
  if (needle.length === 0) return true;
  for (let at = hay.indexOf(needle[0]!); at >= 0 && at + needle.length <= hay.length; at = hay.indexOf(needle[0]!, at + 1)) {
    let n = 1;
    while (n < needle.length && hay[at + n] === needle[n]) n++;
    if (n === needle.length) return true;
  }
  return false;
}

/** The pieces of a slice together; undefined when one reaches beyond the value. */
function cut(v: string | Uint8Array, ranges: readonly Range[]): string | Uint8Array | undefined {
  const pieces: (string | Uint8Array)[] = [];
  for (const r of ranges) {
    const from = r.from < 0 ? v.length + r.from : r.from;
    const to = r.to === undefined ? v.length - 1 : r.to < 0 ? v.length + r.to : r.to;
    if (from < 0 || to < from || to >= v.length) return undefined;
    pieces.push(v.slice(from, to + 1));
  }
  if (pieces.length === 1) return pieces[0];
  if (typeof v === "string") return pieces.join("");
  return Uint8Array.from(pieces.flatMap((p) => [...(p as Uint8Array)]));
}
const within = (r: Range, i: number, of: number): boolean => {
  const place = (n: number): number => (n < 0 ? of + n : n - 1);
  return i >= place(r.from) && i <= (r.to === undefined ? of - 1 : place(r.to));
};
