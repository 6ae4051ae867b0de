// Options of pcapng blocks: a list of code, length, value, closed by a zero code or by the block's end (section 4.3).
import { fromUtf8 } from "../base/bytes.ts";

/** Takes an option: its code, and where its value stands in the piece. */
export type EachOption = (code: number, at: number, length: number) => void;

/** No block that we have seen has more; a million empty options would only cost memory. */
const MAX_OPTIONS = 4096;

/** Walks options from `at` to `end` of a piece; the result is what is wrong with them. */
export function walkOptions(view: DataView, at: number, end: number, littleEndian: boolean, each: EachOption): string | undefined {
  for (let n = 0; at + 4 <= end; n++) {
    const code = view.getUint16(at, littleEndian);
    if (code === 0) return undefined;
    const length = view.getUint16(at + 2, littleEndian);
    at += 4;
    if (at + length > end) return `option ${code} says ${length} bytes, the block has ${end - at} left`;
    if (n === MAX_OPTIONS) return `more than ${MAX_OPTIONS} options`;
    each(code, at, length);
    at += (length + 3) & ~3;
  }
  return undefined;
}

/** The options of one block that is no packet: few, so they may be kept and asked for by code. */
export class Options {
  /** What is wrong with them. */
  readonly damage: string | undefined;
  readonly #view: DataView;
  readonly #littleEndian: boolean;
  readonly #all: { readonly code: number; readonly value: Uint8Array }[] = [];

  constructor(bytes: Uint8Array, view: DataView, at: number, end: number, littleEndian: boolean) {
    this.#view = view;
    this.#littleEndian = littleEndian;
    this.damage = walkOptions(view, at, end, littleEndian, (code, from, length) =>
      this.#all.push({ code, value: bytes.subarray(from, from + length) }),
    );
  }

  /** Values of at least `least` bytes. */
  values(code: number, least = 0): Uint8Array[] {
    return this.#all.filter((o) => o.code === code && o.value.length >= least).map((o) => o.value);
  }
  text(code: number): string | undefined {
    const [value] = this.values(code);
    return value && fromUtf8(value);
  }
  get comments(): string[] {
    return this.values(1).map((value) => fromUtf8(value));
  }
  u64(code: number): bigint | undefined {
    const [value] = this.values(code, 8);
    return value && this.#view.getBigUint64(value.byteOffset - this.#view.byteOffset, this.#littleEndian);
  }
  /** A 64-bit time: its high word comes first in either byte order. */
  time(code: number): [high: number, low: number] | undefined {
    const [value] = this.values(code, 8);
    if (!value) return undefined;
    const at = value.byteOffset - this.#view.byteOffset;
    return [this.#view.getUint32(at, this.#littleEndian), this.#view.getUint32(at + 4, this.#littleEndian)];
  }
}
