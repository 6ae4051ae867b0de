// Does a data message look encrypted? (Section 7.6.) ChaCha20's output is uniform and holds no IP header; what is not so is no WireGuard, whatever its
// header says.
import { parseIp } from "../../base/ip.ts";
import type { Ip } from "../../base/ip.ts";
import { sum16 } from "../../packet/checksum.ts";

/**
 * 255 degrees of freedom: mean 255, standard deviation 22.6. Above this limit by chance: once in 10^20 messages; text is in the thousands, zeros are in
 * the ten thousands.
 */
const CHI_LIMIT = 540;
/** Bytes looked at in one message: enough for text to stand out, few enough not to cost time. */
const LOOK = 512;
const ENOUGH = 256;

/** Chi-square of counts of byte values against the uniform distribution. `n`: their sum. */
export function chiSquare(counts: ArrayLike<number>, n: number): number {
  const expected = n / 256;
  let sum = 0;
  for (let i = 0; i < 256; i++) sum += (counts[i]! - expected) ** 2;
  return n === 0 ? 0 : sum / expected;
}

/** Byte values of all ciphertext that goes one way, so that also many short messages tell. */
export class ByteCounts {
  readonly counts: Float64Array = new Float64Array(256);
  total = 0;
  readonly #one = new Uint16Array(256);
  readonly #tap: string;

  /** `tap`: the capture point that counts. The same message from a second one would double every deviation. */
  constructor(tap: string) {
    this.#tap = tap;
  }

  /** Adds a message's ciphertext as a tap saw it. A reason when it is not uniform by itself. */
  add(ciphertext: Uint8Array, tap: string): string | undefined {
    const n = Math.min(LOOK, ciphertext.length);
    const one = this.#one.fill(0);
    for (let i = 0; i < n; i++) one[ciphertext[i]!]!++;
    if (tap === this.#tap) {
      for (let i = 0; i < 256; i++) this.counts[i]! += one[i]!;
      this.total += n;
    }
    const chi = n >= ENOUGH ? chiSquare(one, n) : 0;
    return chi > CHI_LIMIT ? `its bytes are not those of a cipher (chi-square ${chi.toFixed(0)}, expected 255)` : undefined;
  }

  get chiSquare(): number {
    return chiSquare(this.counts, this.total);
  }
  /** False when all that was seen together is not uniform. Little says nothing. */
  get uniform(): boolean {
    return this.total < 4 * ENOUGH || this.chiSquare <= CHI_LIMIT;
  }
}

/** The addresses of an IP header that begins at `at`, when one is there: IPv4 by its checksum and length, IPv6 by its addresses being `known`. */
export function headerAt(bytes: Uint8Array, at: number, known: (ip: Ip) => boolean): { src: Ip; dst: Ip } | undefined {
  const left = bytes.length - at;
  const first = bytes[at]!;
  if (first >> 4 === 4 && left >= 20) {
    const length = (first & 15) * 4;
    const total = (bytes[at + 2]! << 8) | bytes[at + 3]!;
    if (length < 20 || left < length || total < length || sum16(bytes.subarray(at, at + length)) !== 0xffff) return undefined;
    return { src: bytes.subarray(at + 12, at + 16), dst: bytes.subarray(at + 16, at + 20) };
  }
  if (first >> 4 !== 6 || left < 40) return undefined;
  const src = bytes.subarray(at + 8, at + 24);
  const dst = bytes.subarray(at + 24, at + 40);
  return known(src) && known(dst) ? { src, dst } : undefined;
}

const UNSPECIFIED = parseIp("0.0.0.0")!;
/** An IP header where a cipher's output should be. */
export function plaintextHeader(ciphertext: Uint8Array, known: (ip: Ip) => boolean): boolean {
  const found = ciphertext.length > 0 ? headerAt(ciphertext, 0, known) : undefined;
  if (!found) return false;
  const total = (ciphertext[2]! << 8) | ciphertext[3]!;
  // A checksum alone is right by accident once in 2^20: the length must fit the padding too.
  return (
    found.src.length === 16 || (total <= ciphertext.length && !found.src.every((b, i) => b === UNSPECIFIED[i]) && total + 16 + 16 > ciphertext.length)
  );
}
