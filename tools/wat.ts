// Assembles the part of WebAssembly's text format that our .wat files use (WebAssembly Core Specification 2.0, chapters 5 and 6): one imported
// memory, functions with named parameters, locals and labels, folded instructions. The bytes are those of wabt's wat2wasm. `npx tsx tools/wat.ts` writes
// the .wasm.ts beside each; wat.test.ts fails when such a file and its source disagree.
import { readFileSync, writeFileSync } from "node:fs";
import { basename } from "node:path";
import { toHex, utf8 } from "../src/base/bytes.ts";

/** Every .wat file, and the TypeScript file that carries its bytes. */
export const MODULES: readonly { readonly source: URL; readonly target: URL }[] = ["offload/simd", "crypto/chacha"].map((name) => ({
  source: new URL(`../src/${name}.wat`, import.meta.url),
  target: new URL(`../src/${name}.wasm.ts`, import.meta.url),
}));

/** Opcode bytes, and for loads and stores the exponent of the natural alignment. */
type Op = { readonly code: readonly number[]; readonly align?: number };
const op = (...code: number[]): Op => ({ code });
const simd = (n: number): Op => ({ code: [0xfd, ...unsigned(n)] });
const memory = (align: number, code: Op): Op => ({ code: code.code, align });

/** Instructions without an immediate other than an address's offset. */
const OPS: Readonly<Record<string, Op>> = {
  return: op(0x0f),
  drop: op(0x1a),
  select: op(0x1b),
  "i32.load": memory(2, op(0x28)),
  "i64.load": memory(3, op(0x29)),
  "i32.load8_u": memory(0, op(0x2d)),
  "i32.load16_u": memory(1, op(0x2f)),
  "i64.load32_u": memory(2, op(0x35)),
  "i32.store": memory(2, op(0x36)),
  "i64.store": memory(3, op(0x37)),
  "i32.store8": memory(0, op(0x3a)),
  "i32.store16": memory(1, op(0x3b)),
  "i32.eqz": op(0x45),
  "i32.eq": op(0x46),
  "i32.ne": op(0x47),
  "i32.lt_u": op(0x49),
  "i32.gt_u": op(0x4b),
  "i32.le_u": op(0x4d),
  "i32.ge_u": op(0x4f),
  "i64.lt_u": op(0x54),
  "i32.add": op(0x6a),
  "i32.sub": op(0x6b),
  "i32.mul": op(0x6c),
  "i32.rem_u": op(0x70),
  "i32.and": op(0x71),
  "i32.or": op(0x72),
  "i32.xor": op(0x73),
  "i32.shl": op(0x74),
  "i32.shr_u": op(0x76),
  "i32.rotl": op(0x77),
  "i64.add": op(0x7c),
  "i64.mul": op(0x7e),
  "i64.and": op(0x83),
  "i64.or": op(0x84),
  "i64.shl": op(0x86),
  "i64.shr_u": op(0x88),
  "i32.wrap_i64": op(0xa7),
  "i64.extend_i32_u": op(0xad),
  "v128.load": memory(4, simd(0)),
  "v128.load32_splat": memory(2, simd(9)),
  "v128.store": memory(4, simd(11)),
  "i32x4.splat": simd(17),
  "v128.and": simd(78),
  "v128.andnot": simd(79),
  "v128.or": simd(80),
  "v128.xor": simd(81),
  "v128.any_true": simd(83),
  "i32x4.shl": simd(171),
  "i32x4.shr_u": simd(173),
  "i32x4.add": simd(174),
  "i32x4.dot_i16x8_s": simd(186),
};
const TYPES: Readonly<Record<string, number>> = { i32: 0x7f, i64: 0x7e, v128: 0x7b };
const LANES: Readonly<Record<string, number>> = { i8x16: 1, i16x8: 2, i32x4: 4 };
const END = 0x0b;
const NO_RESULT = 0x40;

type Expr = string | readonly Expr[];

function parse(text: string): readonly Expr[] {
  const tokens = text.replaceAll(/;;.*/g, "").match(/[()]|"[^"]*"|[^\s()"]+/g) ?? [];
  const stack: Expr[][] = [[]];
  for (const token of tokens) {
    if (token === "(") stack.push([]);
    else if (token !== ")") stack.at(-1)!.push(token);
    else {
      const done = stack.pop()!;
      if (stack.length === 0) throw new SyntaxError("Cannot assemble: a parenthesis too many");
      stack.at(-1)!.push(done);
    }
  }
  if (stack.length !== 1) throw new SyntaxError("Cannot assemble: a parenthesis is not closed");
  return stack[0]!;
}

const list = (e: Expr | undefined): readonly Expr[] => {
  if (e === undefined || typeof e === "string") throw new SyntaxError(`Cannot assemble "${e ?? "the end"}": a list is wanted`);
  return e;
};
const word = (e: Expr | undefined): string => {
  if (typeof e !== "string") throw new SyntaxError(`Cannot assemble ${JSON.stringify(e)}: a word is wanted`);
  return e;
};
const number = (e: Expr | undefined): number => {
  const n = Number(word(e).replaceAll("_", ""));
  if (!Number.isInteger(n)) throw new SyntaxError(`Cannot assemble "${word(e)}": a whole number is wanted`);
  return n;
};
function known<T>(table: Readonly<Record<string, T>>, name: string): T {
  if (!Object.hasOwn(table, name)) throw new SyntaxError(`Cannot assemble "${name}": tools/wat.ts does not know it`);
  return table[name]!;
}

// LEB128 (5.2.2). Signed: a constant may be written as unsigned.
function unsigned(n: number): number[] {
  return n < 128 ? [n] : [(n & 127) | 128, ...unsigned(Math.floor(n / 128))];
}
function signed(n: bigint): number[] {
  const low = Number(n & 127n);
  const rest = n >> 7n;
  return (rest === 0n && low < 64) || (rest === -1n && low >= 64) ? [low] : [low | 128, ...signed(rest)];
}
const sized = (bytes: readonly number[]): number[] => [...unsigned(bytes.length), ...bytes];
const vector = (items: readonly (readonly number[])[]): number[] => [...unsigned(items.length), ...items.flat()];
const section = (id: number, items: readonly (readonly number[])[]): number[] => [id, ...sized(vector(items))];
const name = (quoted: Expr | undefined): number[] => sized([...utf8(word(quoted).slice(1, -1))]);

/** Types of locals, equal neighbours as one entry (5.5.13). */
function runs(types: readonly number[]): number[][] {
  const starts = types.map((_, i) => i).filter((i) => types[i] !== types[i - 1]);
  return starts.map((at, i) => [...unsigned((starts[i + 1] ?? types.length) - at), types[at]!]);
}

/** The named functions, and the locals and labels of the one that is being assembled. */
type Scope = { readonly functions: readonly string[]; readonly locals: readonly string[]; readonly labels: readonly string[] };

const index = (names: readonly string[], e: Expr | undefined): number[] => {
  const at = names.indexOf(word(e));
  if (at < 0) throw new SyntaxError(`Cannot assemble "${word(e)}": it is not declared`);
  return unsigned(at);
};

const instructions = (body: readonly Expr[], scope: Scope): number[] => body.flatMap((e) => instruction(list(e), scope));

/** A folded instruction: its operands first. */
function instruction(e: readonly Expr[], scope: Scope): number[] {
  const what = word(e[0]);
  if (what === "block" || what === "loop") {
    const inner = { ...scope, labels: [word(e[1]), ...scope.labels] };
    return [what === "block" ? 0x02 : 0x03, NO_RESULT, ...instructions(e.slice(2), inner), END];
  }
  if (what === "if") {
    const result = list(e[1])[0] === "result";
    const [condition, then, otherwise] = e.slice(result ? 2 : 1);
    const inner = { ...scope, labels: ["", ...scope.labels] };
    return [
      ...instruction(list(condition), scope),
      0x04,
      result ? known(TYPES, word(list(e[1])[1])) : NO_RESULT,
      ...instructions(list(then).slice(1), inner),
      ...(otherwise === undefined ? [] : [0x05, ...instructions(list(otherwise).slice(1), inner)]),
      END,
    ];
  }
  const operands = instructions(
    e.filter((x) => typeof x !== "string"),
    scope,
  );
  switch (what) {
    case "local.get":
      return [...operands, 0x20, ...index(scope.locals, e[1])];
    case "local.set":
      return [...operands, 0x21, ...index(scope.locals, e[1])];
    case "local.tee":
      return [...operands, 0x22, ...index(scope.locals, e[1])];
    case "br":
      return [...operands, 0x0c, ...index(scope.labels, e[1])];
    case "br_if":
      return [...operands, 0x0d, ...index(scope.labels, e[1])];
    case "call":
      return [...operands, 0x10, ...index(scope.functions, e[1])];
    case "memory.copy":
      return [...operands, 0xfc, 10, 0, 0];
    case "memory.fill":
      return [...operands, 0xfc, 11, 0];
    case "i32.const":
      return [0x41, ...signed(BigInt(number(e[1]) | 0))];
    case "i64.const":
      return [0x42, ...signed(BigInt.asIntN(64, BigInt(word(e[1]))))];
    case "v128.const": {
      const size = known(LANES, word(e[1]));
      const lanes = e.slice(2).map(number);
      if (lanes.length !== 16 / size) throw new SyntaxError(`Cannot assemble ${word(e[1])}: it has ${lanes.length} lanes`);
      return [...simd(12).code, ...lanes.flatMap((lane) => Array.from({ length: size }, (_, i) => (lane >> (8 * i)) & 255))];
    }
    case "i8x16.shuffle": {
      const lanes = e.slice(1).filter((x) => typeof x === "string");
      if (lanes.length !== 16) throw new SyntaxError(`Cannot assemble ${what}: it has ${lanes.length} lanes`);
      return [...operands, ...simd(13).code, ...lanes.map(number)];
    }
    case "i32x4.extract_lane":
      return [...operands, ...simd(27).code, number(e[1])];
    default: {
      const { code, align } = known(OPS, what);
      if (align === undefined) return [...operands, ...code];
      const offset = e.find((x) => typeof x === "string" && x.startsWith("offset="));
      return [...operands, ...code, align, ...unsigned(offset === undefined ? 0 : number(word(offset).slice(7)))];
    }
  }
}

/** The module's bytes. Throws SyntaxError for what it does not know. */
export function assemble(text: string): Uint8Array<ArrayBuffer> {
  const [head, ...fields] = list(parse(text)[0]);
  if (head !== "module") throw new SyntaxError("Cannot assemble: a module is wanted");
  const imports = fields.map(list).filter((f) => f[0] === "import");
  const functions = fields.map(list).filter((f) => f[0] === "func");
  const names = functions.map((f) => word(f[1]));
  const types: number[][] = [];
  const typeOf: number[][] = [];
  const exports: number[][] = [];
  const bodies: number[][] = [];
  for (const [i, f] of functions.entries()) {
    const parts = (kind: string): (readonly Expr[])[] => f.filter((e) => typeof e !== "string" && e[0] === kind).map(list);
    const type = [
      0x60,
      ...vector(parts("param").map((p) => [known(TYPES, word(p[2]))])),
      ...vector(parts("result").map((r) => [known(TYPES, word(r[1]))])),
    ];
    if (!types.some((t) => String(t) === String(type))) types.push(type);
    typeOf.push(unsigned(types.findIndex((t) => String(t) === String(type))));
    for (const e of parts("export")) exports.push([...name(e[1]), 0x00, ...unsigned(i)]);
    const locals = parts("local");
    const scope = { functions: names, locals: [...parts("param"), ...locals].map((l) => word(l[1])), labels: [] };
    const body = f.slice(2).filter((e) => typeof e !== "string" && !["export", "param", "result", "local"].includes(word(e[0])));
    bodies.push(sized([...vector(runs(locals.map((l) => known(TYPES, word(l[2]))))), ...instructions(body, scope), END]));
  }
  const imported = imports.map((f) => {
    const [, from, to, what] = f;
    const [, least, most, shared] = list(what);
    const limits = [least, most].filter((n) => n !== undefined).flatMap((n) => unsigned(number(n)));
    // Bits: it has a maximum, it is shared (4.2.7).
    return [...name(from), ...name(to), 0x02, (most === undefined ? 0 : 1) | (shared === undefined ? 0 : 2), ...limits];
  });
  const magic = [0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00];
  return Uint8Array.from([
    ...magic,
    ...section(1, types),
    ...section(2, imported),
    ...section(3, typeOf),
    ...section(7, exports),
    ...section(10, bodies),
  ]);
}

/** The TypeScript file that carries the bytes of the .wat file at `source`. */
export function carrier(source: URL): string {
  const file = basename(source.pathname);
  const bytes = assemble(readFileSync(source, "utf8"));
  const lines = toHex(bytes).match(/.{1,128}/g) ?? [];
  return [
    `// Generated from ${file} by tools/wat.ts: change that file, then run \`npx tsx tools/wat.ts\`.`,
    `export const ${file.replace(".wat", "").toUpperCase()}_WASM: string =`,
    ...lines.map((line, i) => `  "${line}"${i === lines.length - 1 ? ";" : " +"}`),
    "",
  ].join("\n");
}

if (process.argv[1] === import.meta.filename) for (const { source, target } of MODULES) writeFileSync(target, carrier(source));
