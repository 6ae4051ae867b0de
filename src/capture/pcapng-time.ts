// pcapng's times: 64 bits in units of an interface's if_tsresol, plus if_tsoffset (section 4.3). Always bigint: a number cannot hold nanoseconds since 1970.

export type Resolution =
  | { readonly kind: "decimal"; readonly power: number; readonly offset: bigint }
  | { readonly kind: "binary"; readonly power: number; readonly offset: bigint }
  | { readonly kind: "unknown"; readonly reason: string };

/** Of if_tsresol's byte (6 when absent) and if_tsoffset's seconds. Finer than 10^-19 or 2^-63 no time of today fits into 64 bits. */
export function resolutionOf(byte: number, offset: bigint): Resolution {
  const power = byte & 0x7f;
  if (byte & 0x80) return power > 63 ? { kind: "unknown", reason: `a resolution of 2^-${power} s cannot be` } : { kind: "binary", power, offset };
  return power > 19 ? { kind: "unknown", reason: `a resolution of 10^-${power} s cannot be` } : { kind: "decimal", power, offset };
}

/** Nanoseconds since 1970; finer parts are cut off. */
export function toNanoseconds(units: bigint, r: Resolution): bigint | undefined {
  if (r.kind === "unknown") return undefined;
  const offset = r.offset * 1_000_000_000n;
  if (r.kind === "binary") return ((units * 1_000_000_000n) >> BigInt(r.power)) + offset;
  return (r.power <= 9 ? units * 10n ** BigInt(9 - r.power) : units / 10n ** BigInt(r.power - 9)) + offset;
}
