// Longest-prefix match in the allowed-IPs tries, as the data half does it: destination on the way out, source on the way in. The control half changes a
// trie by single stores (allowedips.ts), so a reader always sees a whole one. A thread remembers what it found for the last addresses, until a trie is changed:
// then a flow costs the same in a table of one prefix and of 100,000 (10 ns; the walk is 10 to 180).
import { Head, Node, RECENT_WORDS, type Tables } from "./tables.ts";

const be32 = (u8: Uint8Array, at: number): number => (u8[at]! << 24) | (u8[at + 1]! << 16) | (u8[at + 2]! << 8) | u8[at + 3]!;

/** Where an address may stand among the recent ones: 4096 places for IPv4, 2048 for IPv6 behind them. */
const PLACES4 = 12;
const PLACES6 = 11;
const RECENT6: number = RECENT_WORDS / 2;
const spread = (a: number): number => Math.imul(a, 0x9e37_79b1);

/** The peer that owns the IPv4 address at byte offset `at`, or -1. */
export function lookup4(t: Tables, at: number): number {
  const { recent } = t;
  const a = be32(t.u8, at);
  const tries = Atomics.load(t.i32, t.head + Head.TRIES);
  const place = (spread(a) >>> (32 - PLACES4)) << 2;
  if (recent[place] === a && recent[place + 1] === tries) return recent[place + 2]! - 1;
  const owner = walk4(t, a);
  recent[place] = a;
  recent[place + 1] = tries;
  recent[place + 2] = owner;
  return owner - 1;
}

/** The peer that owns the IPv6 address at byte offset `at`, or -1. */
export function lookup6(t: Tables, at: number): number {
  const { recent } = t;
  const a = be32(t.u8, at);
  const b = be32(t.u8, at + 4);
  const c = be32(t.u8, at + 8);
  const d = be32(t.u8, at + 12);
  const tries = Atomics.load(t.i32, t.head + Head.TRIES);
  const place = RECENT6 + ((spread(a ^ spread(b ^ spread(c ^ spread(d)))) >>> (32 - PLACES6)) << 3);
  if (recent[place] === a && recent[place + 1] === b && recent[place + 2] === c && recent[place + 3] === d && recent[place + 4] === tries)
    return recent[place + 5]! - 1;
  const owner = walk6(t, a, b, c, d);
  recent[place] = a;
  recent[place + 1] = b;
  recent[place + 2] = c;
  recent[place + 3] = d;
  recent[place + 4] = tries;
  recent[place + 5] = owner;
  return owner - 1;
}

// The owner + 1, or 0. A step goes to a longer prefix that begins with the last one: 33 steps at most, whatever the size of the table.
function walk4(t: Tables, a: number): number {
  const i32 = t.i32;
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
  return owner;
}

// As walk4: 129 steps at most.
function walk6(t: Tables, a: number, b: number, c: number, d: number): number {
  const i32 = t.i32;
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
  return owner;
}
