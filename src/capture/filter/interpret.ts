// Runs classic BPF on a packet: how files are filtered, and how the compiler is tested. Everything that the kernel's verifier would refuse ends the
// program with 0.
import type { Program } from "./types.ts";

const SIZES: Readonly<Record<number, 1 | 2 | 4>> = { 0x00: 4, 0x08: 2, 0x10: 1 };

function alu(code: number, a: number, b: number): number | undefined {
  switch (code & 0xf0) {
    case 0x00:
      return a + b;
    case 0x10:
      return a - b;
    case 0x20:
      return Math.imul(a, b);
    case 0x30:
      return b === 0 ? undefined : Math.floor(a / b);
    case 0x40:
      return a | b;
    case 0x50:
      return a & b;
    case 0x60:
      return b > 31 ? 0 : a << b;
    case 0x70:
      return b > 31 ? 0 : a >>> b;
    case 0x80:
      return -a;
    case 0x90:
      return b === 0 ? undefined : a % b;
    case 0xa0:
      return a ^ b;
    default:
      return undefined;
  }
}

function compare(code: number, a: number, b: number): boolean {
  switch (code & 0xf0) {
    case 0x10:
      return a === b;
    case 0x20:
      return a > b;
    case 0x30:
      return a >= b;
    default:
      return (a & b) !== 0;
  }
}

/** Number of bytes to keep of the packet; 0: none. `length` is its length on the wire. */
export function runProgram(program: Program, packet: Uint8Array, length: number = packet.length): number {
  const view = new DataView(packet.buffer, packet.byteOffset, packet.byteLength);
  const memory = new Uint32Array(16);
  let a = 0;
  let x = 0;
  const at = (offset: number, size: 1 | 2 | 4): number | undefined => {
    if (offset + size > packet.length) return undefined;
    return size === 4 ? view.getUint32(offset) : size === 2 ? view.getUint16(offset) : view.getUint8(offset);
  };
  for (let pc = 0; pc < program.length; pc++) {
    const { code, jt, jf, k } = program[pc]!;
    let loaded: number | undefined;
    switch (code & 0x07) {
      case 0: // ld
      case 1: // ldx
        if (code === 0xb1) {
          const byte = at(k, 1);
          loaded = byte === undefined ? undefined : 4 * (byte & 15);
        } else {
          const mode = code & 0xe0;
          const size = SIZES[code & 0x18] ?? 4;
          loaded =
            mode === 0x00
              ? k
              : mode === 0x20
                ? at(k, size)
                : mode === 0x40
                  ? at(x + k, size)
                  : mode === 0x60
                    ? memory[k]
                    : mode === 0x80
                      ? length
                      : undefined;
        }
        if (loaded === undefined) return 0;
        if ((code & 7) === 0) a = loaded >>> 0;
        else x = loaded >>> 0;
        break;
      case 2:
        memory[k] = a;
        break;
      case 3:
        memory[k] = x;
        break;
      case 4: {
        const result = alu(code, a, (code & 8) === 0 ? k : x);
        if (result === undefined) return 0;
        a = result >>> 0;
        break;
      }
      case 5:
        if ((code & 0xf0) === 0) pc += k;
        else pc += compare(code, a, (code & 8) === 0 ? k : x) ? jt : jf;
        break;
      case 6:
        return (code & 0x18) === 0x10 ? a : k;
      default: // tax, txa
        if (code === 0x07) x = a;
        else a = x;
    }
  }
  return 0;
}
