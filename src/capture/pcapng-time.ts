// pcapng's times: 64 bits in units of an interface's if_tsresol, plus if_tsoffset (section 4.3). Always bigint: a number cannot hold nanoseconds since 1970.
import type { Clock } from "./filepacket.ts";

/** Of if_tsresol's byte (6 when absent) and if_tsoffset's seconds; or why no time can be told. Finer parts than a nanosecond are cut off. */
export function clockOf(resolution: number, offsetSeconds: bigint): Clock | string {
  const power = resolution & 0x7f;
  const offset = offsetSeconds * 1_000_000_000n;
  // Finer than 10^-19 or 2^-63 s no time of today fits into 64 bits.
  if (resolution & 0x80) {
    if (power > 63) return `a resolution of 2^-${power} s cannot be`;
    return (high, low) => ((units(high, low) * 1_000_000_000n) >> BigInt(power)) + offset;
  }
  if (power > 19) return `a resolution of 10^-${power} s cannot be`;
  if (power === 9 && offset === 0n) return units;
  if (power <= 9) {
    const factor = 10n ** BigInt(9 - power);
    return (high, low) => units(high, low) * factor + offset;
  }
  const divisor = 10n ** BigInt(power - 9);
  return (high, low) => units(high, low) / divisor + offset;
}

/** Both words as one bigint, with no other made on the way: this is done for every packet. */
const words = new Uint32Array(2);
const word = new BigUint64Array(words.buffer);
const LOW = new Uint8Array(Uint32Array.of(1).buffer)[0] === 1 ? 0 : 1;
function units(high: number, low: number): bigint {
  words[LOW] = low;
  words[1 - LOW] = high;
  return word[0]!;
}

export const noClock: Clock = () => undefined;
