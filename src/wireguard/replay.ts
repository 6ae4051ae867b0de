// The replay window of one keypair (RFC 6479): a ring of 8192 bits in the keypair's row. Counters are 64 bits wide and come as two u32 halves; what is
// stored is the greatest counter + 1.
import { REJECT_AFTER_MESSAGES_HI, REJECT_AFTER_MESSAGES_LO, REPLAY_BITS, REPLAY_WINDOW } from "./constants.ts";
import { Keypair } from "./tables.ts";

const WORDS = REPLAY_BITS / 32;
const BLOCKS = REPLAY_BITS / 64;

/** True when nothing may be sent or received under this counter any more. */
export const exhausted = (lo: number, hi: number): boolean => hi >= REJECT_AFTER_MESSAGES_HI && lo >= REJECT_AFTER_MESSAGES_LO;

/** True when the `count` counters from this one on may all be sent. */
export const sendable = (lo: number, hi: number, count: number): boolean =>
  hi < REJECT_AFTER_MESSAGES_HI || (hi === REJECT_AFTER_MESSAGES_HI && lo + count <= REJECT_AFTER_MESSAGES_LO);

/** True when acceptCounter() would refuse it now: a look before the work of opening, nothing is marked. */
export function seenCounter(u32: Uint32Array, row: number, counterLo: number, counterHi: number): boolean {
  const lo = (counterLo + 1) >>> 0;
  const hi = lo === 0 ? counterHi + 1 : counterHi;
  const highHi = u32[row + Keypair.REPLAY + 1]!;
  const behind = u32[row + Keypair.REPLAY]! - lo + (highHi - hi) * 0x1_0000_0000;
  if (behind < 0) return false;
  return behind > REPLAY_WINDOW || (u32[row + Keypair.RING + ((lo >>> 5) & (WORDS - 1))]! & (1 << (lo & 31))) !== 0;
}

/**
 * Marks a counter as received; false when it was already, or is too old to say. Only after the message was authenticated. `row`: word index of the
 * keypair's row in `u32`.
 */
export function acceptCounter(u32: Uint32Array, row: number, counterLo: number, counterHi: number): boolean {
  if (exhausted(counterLo, counterHi)) return false;
  const lo = (counterLo + 1) >>> 0;
  const hi = lo === 0 ? counterHi + 1 : counterHi;
  const at = row + Keypair.REPLAY;
  const ring = row + Keypair.RING;
  const highLo = u32[at]!;
  const highHi = u32[at + 1]!;
  // How far it lies ahead of the greatest, as a 64-bit difference.
  let aheadLo = lo - highLo;
  let aheadHi = hi - highHi;
  if (aheadLo < 0) {
    aheadLo += 0x1_0000_0000;
    aheadHi--;
  }
  if (aheadHi < 0) {
    // Behind: -(ahead) > window?
    if (aheadHi < -1 || 0x1_0000_0000 - aheadLo > REPLAY_WINDOW) return false;
  } else if (aheadHi > 0 || aheadLo > 0) {
    if (aheadHi > 0 || aheadLo >= REPLAY_BITS) u32.fill(0, ring, ring + WORDS);
    else {
      // Blocks of 64 bits after the one that holds the greatest, up to ours.
      const from = highLo >>> 6;
      const steps = Math.min(BLOCKS, ((lo >>> 6) - from) & 0x3ff_ffff);
      for (let i = 1; i <= steps; i++) {
        const block = ring + 2 * ((from + i) & (BLOCKS - 1));
        u32[block] = 0;
        u32[block + 1] = 0;
      }
    }
    u32[at] = lo;
    u32[at + 1] = hi;
  }
  const word = ring + ((lo >>> 5) & (WORDS - 1));
  const bit = 1 << (lo & 31);
  const seen = u32[word]!;
  if ((seen & bit) !== 0) return false;
  u32[word] = seen | bit;
  return true;
}
