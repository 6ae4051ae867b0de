// A graph of tests into classic BPF (linux/filter.h). What the accumulator and the index register hold is followed, so that nothing is loaded twice.
import { TortieError } from "../../base/errors.ts";
import type { BinaryOp } from "./ast.ts";
import { type Block, inOrder, keyOf, type Target } from "./blocks.ts";
import type { TestOp, Value } from "./condition.ts";
import type { Instruction, Program } from "./types.ts";

const LD = { 1: 0x30, 2: 0x28, 4: 0x20 } as const;
const LD_INDEXED = { 1: 0x50, 2: 0x48, 4: 0x40 } as const;
const LD_CONSTANT = 0x00;
const LD_LENGTH = 0x80;
const LD_MEMORY = 0x60;
const LDX_HEADER = 0xb1;
const ST = 0x02;
const ALU: Readonly<Record<BinaryOp, number>> = {
  "+": 0x04,
  "-": 0x14,
  "*": 0x24,
  "/": 0x34,
  "|": 0x44,
  "&": 0x54,
  "<<": 0x64,
  ">>": 0x74,
  "%": 0x94,
  "^": 0xa4,
};
const NEGATE = 0x84;
const INDEX = 0x08;
const TAX = 0x07;
const JUMP = 0x05;
const TEST: Readonly<Record<TestOp, number>> = { "=": 0x15, ">": 0x25, ">=": 0x35, set: 0x45 };
const RETURN = 0x06;
const MEMORY_SLOTS = 16;
const MAX_PROGRAM = 4096;
const MAX_JUMP = 255;

/** What the registers hold; undefined: anything. */
type Registers = { a: string | undefined; x: string | undefined };
type Code = { code: number; k: number };

class Emitter {
  readonly out: Code[] = [];
  readonly #registers: Registers;
  constructor(registers: Registers) {
    this.#registers = registers;
  }

  emit(code: number, k = 0): void {
    this.out.push({ code, k: k >>> 0 });
  }

  #slot(depth: number): number {
    if (depth >= MEMORY_SLOTS) throw new TortieError("Cannot compile the filter: its arithmetic is nested too deeply");
    return depth;
  }

  #header(at: number): void {
    const key = `header ${at}`;
    if (this.#registers.x !== key) this.emit(LDX_HEADER, at);
    this.#registers.x = key;
  }

  #index(key?: string): void {
    this.emit(TAX);
    this.#registers.x = key;
  }

  /** Brings a value into the accumulator; memory from `depth` on is free. */
  load(v: Value, depth = 0): void {
    const key = keyOf(v);
    if (this.#registers.a === key) return;
    switch (v.kind) {
      case "constant":
        this.emit(LD_CONSTANT, v.k);
        break;
      case "length":
        this.emit(LD_LENGTH);
        break;
      case "negate":
        this.load(v.of, depth);
        this.emit(NEGATE);
        break;
      case "binary":
        this.operands(v.left, v.right, depth, (k) => this.emit(ALU[v.op] | (k === undefined ? INDEX : 0), k ?? 0));
        break;
      case "load":
        this.#piece(v, depth);
        break;
    }
    this.#registers.a = key;
  }

  #piece(v: Extract<Value, { kind: "load" }>, depth: number): void {
    if (v.index) {
      this.load(v.index, depth);
      if (v.header !== undefined) {
        this.#header(v.header);
        this.emit(ALU["+"] | INDEX);
      }
      this.#index();
    } else if (v.header === undefined) return this.emit(LD[v.size], v.k);
    else this.#header(v.header);
    this.emit(LD_INDEXED[v.size], v.k);
  }

  /** Left into the accumulator; right as a constant `k`, or into the index register. */
  operands(left: Value, right: Value, depth: number, use: (k: number | undefined) => void): void {
    if (right.kind === "constant") {
      this.load(left, depth);
      return use(right.k);
    }
    this.load(left, depth);
    this.emit(ST, this.#slot(depth));
    this.load(right, depth + 1);
    this.#index();
    this.emit(LD_MEMORY, depth);
    this.#registers.a = undefined;
    use(undefined);
  }
}

type Placed = { readonly code: readonly Code[]; readonly test: number; readonly k: number; readonly block: Block };

function place(order: readonly Block[]): Placed[] {
  const arriving = new Map<Block, Registers>();
  const arrive = (t: Target, r: Registers): void => {
    if (typeof t === "string") return;
    const before = arriving.get(t);
    arriving.set(t, before ? { a: before.a === r.a ? r.a : undefined, x: before.x === r.x ? r.x : undefined } : { ...r });
  };
  return order.map((block) => {
    const registers = arriving.get(block) ?? { a: undefined, x: undefined };
    const emitter = new Emitter(registers);
    let test = TEST[block.op];
    let k = 0;
    emitter.operands(block.left, block.right, 0, (constant) => {
      if (constant === undefined) test |= INDEX;
      else k = constant;
    });
    arrive(block.yes, registers);
    arrive(block.no, registers);
    return { code: emitter.out, test, k, block };
  });
}

/** Bytes that a program keeps of a packet that passes: "accept", "cut". */
export type Keep = { readonly accept: number; readonly cut: number };

/** The program of a graph. Throws TortieError when it would be longer than the kernel takes. */
export function assemble(start: Target, keep: Keep): Program {
  const ends = { accept: keep.accept, cut: keep.cut, reject: 0 };
  const give = (k: number): Instruction => ({ code: RETURN, jt: 0, jf: 0, k });
  if (typeof start === "string") return [give(ends[start])];
  const placed = place(inOrder(start));
  const cuts = placed.some(({ block }) => block.yes === "cut" || block.no === "cut");
  const leaves = cuts ? (["accept", "cut", "reject"] as const) : (["accept", "reject"] as const);
  // Sides that are too far for eight bits go over a jump of their own right behind the test.
  const far = placed.map(() => ({ yes: false, no: false }));
  for (;;) {
    const at = new Map<Target, number>();
    let n = 0;
    for (const [i, p] of placed.entries()) {
      at.set(p.block, n);
      n += p.code.length + 1 + Number(far[i]!.yes) + Number(far[i]!.no);
    }
    for (const leaf of leaves) at.set(leaf, n++);
    if (n > MAX_PROGRAM) throw new TortieError(`Cannot compile the filter: it needs ${n} instructions, more than ${MAX_PROGRAM}`);
    let moved = false;
    const program: Instruction[] = [];
    for (const [i, { code, test, k, block }] of placed.entries()) {
      for (const c of code) program.push({ code: c.code, jt: 0, jf: 0, k: c.k });
      const here = program.length + 1;
      const f = far[i]!;
      const jump = (side: "yes" | "no", own: number): number => {
        const offset = at.get(block[side])! - here;
        if (f[side]) return own;
        if (offset > MAX_JUMP) moved = f[side] = true;
        return offset;
      };
      const jt = jump("yes", 0);
      const jf = jump("no", Number(f.yes));
      program.push({ code: test, jt, jf, k });
      for (const side of ["yes", "no"] as const) {
        if (f[side] && !moved) program.push({ code: JUMP, jt: 0, jf: 0, k: at.get(block[side])! - (program.length + 1) });
      }
    }
    if (!moved) return [...program, ...leaves.map((leaf) => give(ends[leaf]))];
  }
}
