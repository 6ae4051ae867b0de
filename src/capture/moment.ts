// Times as captures write them: nanoseconds since 1970 as bigint, printed as seconds with a fraction.

/** "1795418953.440069000". */
export function formatTime(ns: bigint, digits = 9): string {
  const negative = ns < 0n;
  const n = negative ? -ns : ns;
  const fraction = String(n % 1_000_000_000n)
    .padStart(9, "0")
    .slice(0, digits);
  return `${negative ? "-" : ""}${n / 1_000_000_000n}.${fraction}`;
}
