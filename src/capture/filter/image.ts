// A compiled filter for a person: the notation of BPF's authors (McCanne and Jacobson, 1993), as `tcpdump -d` prints it; and as a piece of C, as `-dd` does.
import type { Instruction, Program } from "./types.ts";

const CLASSES = ["ld", "ldx", "st", "stx", "alu", "jmp", "ret", "misc"] as const;
const SIZES: Readonly<Record<number, string>> = { 0x00: "", 0x08: "h", 0x10: "b" };
const ALU = ["add", "sub", "mul", "div", "or", "and", "lsh", "rsh", "neg", "mod", "xor"];
const JUMPS = ["ja", "jeq", "jgt", "jge", "jset"];
const BITWISE: ReadonlySet<string> = new Set(["or", "and", "xor"]);
const BY_X = 0x08;
/** Ancillary data of the kernel (linux/filter.h, SKF_AD_OFF) by libpcap's names. */
const ANCILLARY = -4096;
const ANCILLARIES: Readonly<Record<number, string>> = { 0: "proto", 4: "type", 8: "ifidx", 28: "hatype", 44: "vlan_tci", 48: "vlanp" };

const hex = (k: number): string => `#0x${k.toString(16)}`;

/** [operation, operand]. */
function words({ code, k }: Instruction, next: number): [string, string] {
  const name = CLASSES[code & 7]!;
  switch (name) {
    case "ld":
    case "ldx":
      return [name + SIZES[code & 0x18], loaded(code, k)];
    case "st":
    case "stx":
      return [name, `M[${k}]`];
    case "alu": {
      const op = ALU[code >> 4]!;
      return [op, op === "neg" ? "" : code & BY_X ? "x" : BITWISE.has(op) ? hex(k) : `#${k | 0}`];
    }
    case "jmp": {
      const op = JUMPS[code >> 4]!;
      return [op, op === "ja" ? String(next + k) : code & BY_X ? "x" : hex(k)];
    }
    case "ret":
      return [name, code & 0x10 ? "" : `#${k}`];
    case "misc":
      return [code & 0x80 ? "txa" : "tax", ""];
  }
}

function loaded(code: number, k: number): string {
  switch (code & 0xe0) {
    case 0x20:
      return `[${ANCILLARIES[(k | 0) - ANCILLARY] ?? k | 0}]`;
    case 0x40:
      return `[x + ${k | 0}]`;
    case 0x60:
      return `M[${k}]`;
    case 0x80:
      return "#pktlen";
    case 0xa0:
      return `4*([${k}]&0xf)`;
    default:
      return hex(k);
  }
}

/** `(001) jeq      #0x86dd          jt 2	jf 8`: a line for each instruction. */
export const image = (program: Program): string =>
  program
    .map((i, n) => {
      const [op, operand] = words(i, n + 1);
      const start = `(${String(n).padStart(3, "0")}) ${op.padEnd(8)} `;
      const jumps = (i.code & 7) === 5 && i.code >> 4 !== 0;
      return `${start}${jumps ? `${operand.padEnd(16)} jt ${n + 1 + i.jt}\tjf ${n + 1 + i.jf}` : operand}\n`;
    })
    .join("");

/** `{ 0x28, 0, 0, 0x0000000c },`: a line for each instruction, for an array of struct sock_filter. */
export const initialiser = (program: Program): string =>
  program.map((i) => `{ 0x${i.code.toString(16)}, ${i.jt}, ${i.jf}, 0x${i.k.toString(16).padStart(8, "0")} },\n`).join("");
