// Arithmetic on the little-endian one's complement sums of simd.ts.

/** A sum of few folded sums, folded again: 0 to 0xffff. Not negative, below 2^31. */
export const fold = (sum: number): number => {
  const once = (sum & 0xffff) + (sum >>> 16);
  return (once & 0xffff) + (once >>> 16);
};

/** A big-endian u16, as it stands in packets, as these sums see it; and back. */
export const swap = (value: number): number => ((value & 0xff) << 8) | ((value >>> 8) & 0xff);
