// Comparisons of numbers and pieces of the packet: `tcp[13] & 2 != 0`.
import type { Arithmetic, BinaryOp, Filter, Indexed, RelationOp } from "./ast.ts";
import type { Cursor } from "./cursor.ts";
import { FilterError } from "./error.ts";
import { CONSTANTS, PROTOCOLS } from "./names.ts";

const RELATIONS: Readonly<Record<string, RelationOp>> = { "=": "=", "==": "=", "!=": "!=", "<": "<", "<=": "<=", ">": ">", ">=": ">=" };
/** Loosest first. */
const PRECEDENCE: readonly (readonly BinaryOp[])[] = [["|"], ["^"], ["&"], ["<<", ">>"], ["+", "-"], ["*", "/", "%"]];

/** A comparison, if one begins here; otherwise nothing is taken. */
export function relation(c: Cursor): Filter | undefined {
  const start = c.at;
  const t = c.token;
  const begins = t.kind === "number" || ["(", "-", "len"].includes(t.text) || (PROTOCOLS.includes(t.text) && c.tokens[start + 1]?.text === "[");
  if (!begins) return undefined;
  const certain = t.kind === "word";
  try {
    const left = c.nested(() => arithmetic(c, 0));
    const op = RELATIONS[c.token.text];
    if (op && c.token.kind === "symbol") {
      c.at++;
      return { kind: "relation", op, left, right: c.nested(() => arithmetic(c, 0)) };
    }
    if (certain) throw c.error("a comparison is missing");
  } catch (e) {
    if (certain || !(e instanceof FilterError)) throw e;
  }
  // "(" was a group, a number a port: read it again as such.
  c.at = start;
  return undefined;
}

function arithmetic(c: Cursor, level: number): Arithmetic {
  const ops = PRECEDENCE[level];
  if (!ops) return operand(c);
  let left = arithmetic(c, level + 1);
  for (;;) {
    const op = c.token.kind === "symbol" ? ops.find((o) => o === c.token.text) : undefined;
    if (!op) return left;
    const sign = c.tokens[c.at++]!.at;
    const right = arithmetic(c, level + 1);
    if ((op === "/" || op === "%") && right.kind === "number" && right.value === 0) throw c.error("this divides by zero", undefined, sign);
    left = { kind: "binary", op, left, right };
  }
}

function operand(c: Cursor): Arithmetic {
  if (c.accept("-")) return { kind: "negate", of: c.nested(() => operand(c)) };
  if (c.accept("(")) {
    const inner = c.nested(() => arithmetic(c, 0));
    c.expect(")");
    return inner;
  }
  const t = c.token;
  if (t.kind === "number") return { kind: "number", value: c.number(0xffffffff) };
  if (t.text === "len") {
    c.at++;
    return { kind: "length" };
  }
  if (Object.hasOwn(CONSTANTS, t.text)) {
    c.at++;
    return { kind: "number", value: CONSTANTS[t.text]! };
  }
  if (!PROTOCOLS.includes(t.text) || c.tokens[c.at + 1]?.text !== "[") throw c.error("a number or a piece of the packet is missing");
  c.at += 2;
  const index = c.nested(() => arithmetic(c, 0));
  let size: 1 | 2 | 4 = 1;
  if (c.accept(":")) {
    const n = c.number(4);
    if (n !== 1 && n !== 2 && n !== 4) throw c.error("a piece has 1, 2 or 4 bytes", undefined, c.tokens[c.at - 1]!.at);
    size = n;
  }
  c.expect("]");
  return { kind: "load", protocol: t.text === "ether" ? "link" : (t.text as Indexed), index, size };
}
