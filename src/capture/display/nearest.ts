// The names that a mistyped one may have meant.
import { fieldNames } from "../fields/registry.ts";

/** At most three, best first; none when nothing is near. */
export function nearest(text: string): string[] {
  const name = text.toLowerCase().slice(0, 64);
  const limit = Math.max(1, Math.floor(name.length / 3));
  return fieldNames()
    .map((candidate) => ({ candidate, d: distance(name, candidate) }))
    .filter(({ candidate, d }) => d <= limit || (name.length >= 3 && candidate.endsWith(`.${name}`)))
    .sort((a, b) => a.d - b.d || (a.candidate < b.candidate ? -1 : 1))
    .slice(0, 3)
    .map(({ candidate }) => candidate);
}

/** Levenshtein's. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) next.push(Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)));
    row = next;
  }
  return row[b.length]!;
}
