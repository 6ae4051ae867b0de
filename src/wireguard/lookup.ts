// Longest-prefix match in the allowed-IPs tries, as the data half does it: destination on the way out, source on the way in. The control half changes a
// trie by single stores (allowedips.ts), so a reader always sees a whole one.
import { Head, Node, type Tables } from "./tables.ts";

const be32 = (u8: Uint8Array, at: number): number => (u8[at]! << 24) | (u8[at + 1]! << 16) | (u8[at + 2]! << 8) | u8[at + 3]!;

/** The peer that owns the IPv4 address at byte offset `at`, or -1. */
export function lookup4(t: Tables, at: number): number {
  const i32 = t.i32;
  const a = be32(t.u8, at);
  let owner = 0;
  let node = Atomics.load(i32, t.head + Head.ROOT4);
  while (node !== 0) {
    const n = t.nodes + node * Node.WORDS;
    const meta = i32[n + Node.META]!;
    const prefix = meta & 255;
    if (Math.clz32(i32[n]! ^ a) < prefix) break;
    if (meta >>> 8 !== 0) owner = meta >>> 8;
    if (prefix === 32) break;
    node = i32[n + Node.CHILD + ((a >>> (31 - prefix)) & 1)]!;
  }
  return owner - 1;
}

/** The peer that owns the IPv6 address at byte offset `at`, or -1. */
export function lookup6(t: Tables, at: number): number {
  const i32 = t.i32;
  const a = be32(t.u8, at);
  const b = be32(t.u8, at + 4);
  const c = be32(t.u8, at + 8);
  const d = be32(t.u8, at + 12);
  let owner = 0;
  let node = Atomics.load(i32, t.head + Head.ROOT6);
  while (node !== 0) {
    const n = t.nodes + node * Node.WORDS;
    const meta = i32[n + Node.META]!;
    const prefix = meta & 255;
    let same = Math.clz32(i32[n]! ^ a);
    if (same === 32) same += Math.clz32(i32[n + 1]! ^ b);
    if (same === 64) same += Math.clz32(i32[n + 2]! ^ c);
    if (same === 96) same += Math.clz32(i32[n + 3]! ^ d);
    if (same < prefix) break;
    if (meta >>> 8 !== 0) owner = meta >>> 8;
    if (prefix === 128) break;
    const word = prefix < 32 ? a : prefix < 64 ? b : prefix < 96 ? c : d;
    node = i32[n + Node.CHILD + ((word >>> (31 - (prefix & 31))) & 1)]!;
  }
  return owner - 1;
}
