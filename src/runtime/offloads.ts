// The kernel's segmentation and merging, each with a switch: what is off here works packet by packet, and the faults of kernels in the field are found by
// switching one off after the other.
import { TortieError } from "../base/errors.ts";

/** What there is, as the words of the switch. */
export const OFFLOADS = {
  /** The TUN hands out TCP and UDP packets unsegmented, and without their checksums. */
  "tun-tso": 1,
  /** Packets of one flow are written to the TUN as one. */
  "tun-gro": 2,
  /** Messages of equal length leave as one datagram to be segmented (UDP_SEGMENT). */
  "udp-gso": 4,
  /** Datagrams of one peer arrive as one (UDP_GRO). */
  "udp-gro": 8,
  /** What of the first two concerns UDP: there since Linux 6.2. */
  "tun-uso": 16,
  /** Not the kernel's but ours: many calls of the cipher are made as one (sys/calllist.ts). */
  "call-lists": 32,
  /** Ours: of several data workers only the first is given packets while it has time to spare (spread.ts). */
  parking: 64,
} as const;
export type Offload = keyof typeof OFFLOADS;

export const ALL_OFFLOADS = 127;

/** Bits of what is on when the named ones are off: "tun-gro,udp-gso", or "all". Throws TortieError. */
export function offloadsWithout(words: string): number {
  let on = ALL_OFFLOADS;
  for (const word of words.split(",").map((w) => w.trim())) {
    if (word === "") continue;
    if (word === "all") on = 0;
    else if (Object.hasOwn(OFFLOADS, word)) on &= ~OFFLOADS[word as Offload];
    else throw new TortieError(`Cannot switch off "${word}": there is ${Object.keys(OFFLOADS).join(", ")}, and all`);
  }
  return on;
}

/**
 * Bits of what a kernel of this release (uname -r) does wrong without saying so: data is corrupt, so that nothing could be fallen back from. What a kernel
 * merely refuses is found out while it runs. Linux 7.0 to 7.1.4: datagrams that were cut into equal segments (b10b446, fixed by 78effd8 and 5f17ae0).
 */
export function corruptOffloads(release: string): number {
  const [major = 0, minor = 0, patch = 0] = (/^(\d+)\.(\d+)(?:\.(\d+))?/.exec(release)?.slice(1) ?? []).map((n) => Number(n ?? 0));
  return major === 7 && (minor === 0 || (minor === 1 && patch <= 4)) ? OFFLOADS["udp-gso"] : 0;
}

/** "tun-gro, udp-gso" of bits. */
export const offloadNames = (bits: number): string[] => Object.entries(OFFLOADS).flatMap(([name, bit]) => ((bits & bit) !== 0 ? [name] : []));
