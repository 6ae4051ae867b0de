// The program by which the kernel tells messages of our sessions from junk (classic BPF, linux/filter.h). It sees a datagram from its UDP header on. What
// passes: handshake messages; whatever bears an index of ours; and whatever comes from the address of a peer, because the kernel merges datagrams of one
// sender (UDP_GRO) and shows the filter the first only: junk in a peer's name must not take the peer's messages with it.
import type { Instruction, Program } from "../capture/filter/types.ts";
import { MessageType } from "../wireguard/index.ts";

const LOAD = 0x20;
const JUMP = 0x05;
const EQUAL = 0x15;
const AT_LEAST = 0x35;
const RETURN = 0x06;
/** BPF_MAXINSNS, and the furthest that a test can jump. */
const LONGEST = 4096;
const FURTHEST = 255;
/** Values that are compared one by one. */
const LEAF = 4;

const UDP_HEADER = 8;
/** SKF_NET_OFF: from here on, offsets count from the IP header. The source address, of IPv6 its last four bytes. */
const NETWORK = 0xfff0_0000;
const SOURCE = { 4: NETWORK + 12, 6: NETWORK + 20 } as const;

const DROP: Instruction = { code: RETURN, jt: 0, jf: 0, k: 0 };
const PASS: Instruction = { code: RETURN, jt: 0, jf: 0, k: 0xffff_ffff };
const load = (k: number): Instruction => ({ code: LOAD, jt: 0, jf: 0, k });
const jump = (k: number): Instruction => ({ code: JUMP, jt: 0, jf: 0, k });
const test = (code: number, k: number, jt: number, jf: number): Instruction => ({ code, jt, jf, k });

/** A word as the wire has it, little-endian, is loaded as big-endian. */
const swapped = (n: number): number => ((n << 24) | ((n & 0xff00) << 8) | ((n >>> 8) & 0xff00) | (n >>> 24)) >>> 0;

/** Passes what is among the sorted `values`; else goes on `after` instructions behind its end. */
function search(values: readonly number[], after: number): Instruction[] {
  if (values.length <= LEAF) return [...values.flatMap((k) => [test(EQUAL, k, 0, 1), PASS]), jump(after)];
  const middle = values.length >>> 1;
  const right = search(values.slice(middle), after);
  const left = search(values.slice(0, middle), right.length + after);
  const pivot = values[middle]!;
  const branch = left.length <= FURTHEST ? [test(AT_LEAST, pivot, left.length, 0)] : [test(AT_LEAST, pivot, 0, 1), jump(left.length)];
  return [...branch, ...left, ...right];
}
const among = (values: ReadonlySet<number>): Instruction[] =>
  search(
    [...values].sort((a, b) => a - b),
    0,
  );

/**
 * For a socket of IP version `version`, our live `indices`, and the peers' addresses, each as its last four bytes in network order. Undefined: too many for
 * a program, which has room for some 1,400 of both.
 */
export function indexFilter(version: 4 | 6, indices: ReadonlySet<number>, addresses: ReadonlySet<number>): Program | undefined {
  const program = [
    load(UDP_HEADER),
    test(EQUAL, swapped(MessageType.INITIATION), 2, 0),
    test(EQUAL, swapped(MessageType.RESPONSE), 1, 0),
    test(EQUAL, swapped(MessageType.COOKIE), 0, 1),
    PASS,
    load(UDP_HEADER + 4),
    ...among(new Set([...indices].map(swapped))),
    load(SOURCE[version]),
    ...among(addresses),
    DROP,
  ];
  return program.length <= LONGEST ? program : undefined;
}
