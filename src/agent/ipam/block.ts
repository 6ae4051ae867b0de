// One IPAM block: a prefix of a pool in which addresses are handed out. Pure. The value is Calico's own (IPAMBlock.spec): `allocations` has a slot an
// address, each an index into `attributes` or null; `unallocated` is the queue of free ordinals, so a released address is the last to be used again.
import type { AllocationAttribute, IPAMBlockSpec } from "../../api/ipamblock.ts";
import { contains, parseCidr } from "../../base/cidr.ts";
import { addToIp, formatIp, parseIp } from "../../base/ip.ts";

type Block = IPAMBlockSpec;

/** Who holds an address. */
export type Holder = { handle: string; attributes: Readonly<Record<string, string>> };
export type Allocation = {
  address: string;
  handle: string | undefined;
  attributes: Readonly<Record<string, string>>;
  /** Of the change that gave it: another one says that the address was given anew. */
  sequenceNumber: number | undefined;
};

/** "host:k8s-w1" → "k8s-w1"; a virtual affinity's owner likewise. */
export const ownerOf = (b: Pick<Block, "affinity">): string | undefined => /^(?:host|virtual):(.+)$/.exec(b.affinity ?? "")?.[1];

/** Number of addresses; a block larger than 2^16 is not ours. */
export function sizeOf(cidr: string): number {
  const c = parseCidr(cidr);
  const bits = c ? 8 * c.ip.length - c.prefix : 99;
  return bits <= 16 ? 2 ** bits : 0;
}

/** A block of which every address is free. */
export function emptyBlock(cidr: string, affinity: string, strictAffinity = false): Block {
  const size = sizeOf(cidr);
  return {
    cidr,
    affinity,
    strictAffinity,
    allocations: Array.from({ length: size }, () => null),
    unallocated: Array.from({ length: size }, (_, i) => i),
    attributes: [],
    sequenceNumber: 0,
    sequenceNumberForAllocation: {},
    deleted: false,
  };
}

/** Text of the address in slot `ordinal`. */
export const addressAt = (b: Pick<Block, "cidr">, ordinal: number): string => formatIp(addToIp(parseCidr(b.cidr)!.ip, ordinal));

/** Slot of an address, or undefined when it is not the block's. */
export function ordinalOf(b: Pick<Block, "cidr">, address: string): number | undefined {
  const cidr = parseCidr(b.cidr);
  const ip = parseIp(address);
  if (!cidr || !ip || !contains(cidr, ip)) return undefined;
  let n = 0;
  for (let i = 0; i < ip.length; i++) n = n * 256 + (ip[i]! - cidr.ip[i]!);
  return n;
}

const sameHolder = (a: AllocationAttribute, h: Holder): boolean => {
  const names = Object.keys(h.attributes);
  return (
    a.handle_id === h.handle &&
    Object.keys(a.secondary ?? {}).length === names.length &&
    names.every((name) => a.secondary?.[name] === h.attributes[name])
  );
};

function take(b: Block, ordinal: number, holder: Holder): Block {
  const known = b.attributes.findIndex((a) => sameHolder(a, holder));
  const attributes = known >= 0 ? b.attributes : [...b.attributes, { handle_id: holder.handle, secondary: { ...holder.attributes } }];
  const sequenceNumber = (b.sequenceNumber ?? 0) + 1;
  return {
    ...b,
    allocations: b.allocations.map((slot, i) => (i === ordinal ? (known >= 0 ? known : attributes.length - 1) : slot)),
    unallocated: b.unallocated.filter((o) => o !== ordinal),
    attributes,
    sequenceNumber,
    sequenceNumberForAllocation: { ...b.sequenceNumberForAllocation, [ordinal]: sequenceNumber },
  };
}

/** Takes the next free address. undefined: the block is full. The argument is never changed, here and below. */
export function allocate(b: Block, holder: Holder): { block: Block; address: string } | undefined {
  const ordinal = b.unallocated.find((o) => b.allocations[o] === null);
  return ordinal === undefined ? undefined : { block: take(b, ordinal, holder), address: addressAt(b, ordinal) };
}

/** Takes this very address. undefined: it is taken, or not the block's. */
export function allocateAddress(b: Block, address: string, holder: Holder): Block | undefined {
  const ordinal = ordinalOf(b, address);
  return ordinal === undefined || b.allocations[ordinal] !== null ? undefined : take(b, ordinal, holder);
}

/** Frees slots and drops attributes that no slot names any more (indexes are renumbered). */
function free(b: Block, ordinals: readonly number[]): Block {
  if (ordinals.length === 0) return b;
  const slots = b.allocations.map((slot, i) => (ordinals.includes(i) ? null : slot));
  const used = [...new Set(slots.filter((s) => s !== null))].sort((x, y) => x - y);
  const sequences = Object.fromEntries(Object.entries(b.sequenceNumberForAllocation ?? {}).filter(([o]) => !ordinals.includes(Number(o))));
  return {
    ...b,
    allocations: slots.map((s) => (s === null ? null : used.indexOf(s))),
    unallocated: [...b.unallocated, ...ordinals],
    attributes: used.map((i) => b.attributes[i] ?? {}),
    sequenceNumber: (b.sequenceNumber ?? 0) + 1,
    sequenceNumberForAllocation: sequences,
  };
}

/** Frees every address that a handle holds; gives how many those were. */
export function releaseHandle(b: Block, handle: string): { block: Block; released: number } {
  const ordinals = b.allocations.flatMap((slot, i) => (slot !== null && b.attributes[slot]?.handle_id === handle ? [i] : []));
  return { block: free(b, ordinals), released: ordinals.length };
}

/** Frees this very address. undefined: it is not taken, or not the block's. */
export function releaseAddress(b: Block, address: string): Block | undefined {
  const ordinal = ordinalOf(b, address);
  return ordinal === undefined || b.allocations[ordinal] === null ? undefined : free(b, [ordinal]);
}

/** Every address in use, in order, with its holder. */
export const allocations = (b: Block): Allocation[] =>
  b.allocations.flatMap((slot, i) =>
    slot === null
      ? []
      : [
          {
            address: addressAt(b, i),
            handle: b.attributes[slot]?.handle_id ?? undefined,
            attributes: b.attributes[slot]?.secondary ?? {},
            sequenceNumber: b.sequenceNumberForAllocation?.[i],
          },
        ],
  );

/** Addresses that a handle holds. */
export const heldBy = (b: Block, handle: string): Allocation[] => allocations(b).filter((a) => a.handle === handle);
