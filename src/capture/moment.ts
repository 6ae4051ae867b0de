// Times as captures write them: nanoseconds since 1970 as bigint, printed as seconds with a fraction.

const EXACT = BigInt(Number.MAX_SAFE_INTEGER);

/** "1795418953.440069000". */
export function formatTime(ns: bigint, digits = 9): string {
  // Of numbers where they are exact: a list formats one for each packet, and bigints are slow.
  if (ns >= 0n && ns <= EXACT) {
    const n = Number(ns);
    const fraction = n % 1_000_000_000;
    return `${(n - fraction) / 1_000_000_000}.${String(fraction + 1_000_000_000).slice(1, digits + 1)}`;
  }
  const negative = ns < 0n;
  const n = negative ? -ns : ns;
  const fraction = String(n % 1_000_000_000n)
    .padStart(9, "0")
    .slice(0, digits);
  return `${negative ? "-" : ""}${n / 1_000_000_000n}.${fraction}`;
}

/** ECMAScript's dates end here, in ms on both sides of 1970. */
const LAST_DATE_MS = 8_640_000_000_000_000n;

/** "2026-11-23T13:46:04.822083584Z"; what no date can say, as a damaged file may claim, as seconds. */
export function formatDate(ns: bigint): string {
  const ms = ns / 1_000_000n;
  if (ns < 0n || ms > LAST_DATE_MS) return `${formatTime(ns)} s after 1970`;
  return `${new Date(Number(ms)).toISOString().slice(0, -1)}${String(ns % 1_000_000n).padStart(6, "0")}Z`;
}

/** "13:46:19.441", of the same. */
export const formatClock = (ns: bigint): string => /T([^Z]{12})/.exec(formatDate(ns))?.[1] ?? formatDate(ns);
