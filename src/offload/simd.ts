// The WebAssembly helpers of the packet path, bound to one shared memory. Source: simd.wat.
import { fromHex } from "../base/bytes.ts";
import { SIMD_WASM } from "./simd.wasm.ts";

/**
 * Arguments are byte offsets and lengths in the memory; a range that leaves it throws WebAssembly.RuntimeError. Nothing outside the ranges is read or
 * written, and no alignment is needed.
 */
export interface Simd {
  /**
   * One's complement sum of the range's 16-bit words in little-endian order, folded: 0 to 0xffff, and 0 only when every byte is zero. An odd last byte
   * counts as if a zero followed. Stored as a little-endian u16, its complement is the Internet checksum (RFC 1071, section 2 B). At most 128 KiB - 16.
   */
  sum(at: number, length: number): number;
  /** memmove: the ranges may overlap. */
  copy(to: number, from: number, length: number): void;
  zero(at: number, length: number): void;
  /** 1 when the 16 bytes at `a` and at `b` are equal, else 0; in constant time. */
  equal16(a: number, b: number): number;
  /**
   * Of two IP packets that begin with `header` bytes of headers (IPv4 without options or IPv6, then TCP or UDP): 1 when these headers are equal but for
   * what may differ between two that are merged: lengths, checksums, IPv4's identification, TCP's sequence number and PSH.
   */
  alike(a: number, b: number, header: number): number;
  /** 1 when the checksums of such a packet are right: IPv4's own, and the transport's, which must be there. */
  valid(at: number, length: number): number;
}

/** `memory`: shared, and of fixed size. Instances are cheap; one a thread. */
export function loadSimd(memory: WebAssembly.Memory): Simd {
  return new WebAssembly.Instance<Simd>(new WebAssembly.Module(fromHex(SIMD_WASM)!), { env: { memory } }).exports;
}
