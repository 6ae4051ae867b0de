// What is wrong with a filter expression, where, and what was probably meant.
import { TortieError } from "../../base/errors.ts";

const SHOWN = 60;
/** The part of a long expression around a place, and where the place is in it. */
function excerpt(text: string, at: number): { text: string; at: number } {
  const from = at > 2 * SHOWN ? at - SHOWN : 0;
  const to = text.length - at > 2 * SHOWN ? at + SHOWN : text.length;
  const head = from > 0 ? "…" : "";
  // Whatever was typed goes to a terminal.
  const plain = text.slice(from, to).replace(/[\p{Cc}\p{Cf}]/gu, "?");
  return { text: `${head}${plain}${to < text.length ? "…" : ""}`, at: at - from + head.length };
}

export class FilterError extends TortieError {
  /** Place in the expression, from 0. */
  readonly at: number;
  /** The whole expression as it was probably meant. */
  readonly suggestion: string | undefined;
  constructor(expression: string, at: number, problem: string, suggestion?: string) {
    const shown = excerpt(expression, at);
    super(`Cannot read the filter "${shown.text}": ${problem}, at character ${at + 1}`, {
      hint: `  ${shown.text}\n  ${" ".repeat(shown.at)}^${suggestion === undefined ? "" : ` did you mean \`${suggestion}\`?`}`,
    });
    this.name = "FilterError";
    this.at = at;
    this.suggestion = suggestion;
  }
}

/** Edit distance, up to `limit`. */
export function distance(a: string, b: string, limit: number): number {
  if (Math.abs(a.length - b.length) > limit) return limit + 1;
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  let before: number[] = [];
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const change = row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      const swap = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1] ? before[j - 2]! + 1 : Infinity;
      next.push(Math.min(change, swap, row[j]! + 1, next[j - 1]! + 1));
    }
    before = row;
    row = next;
  }
  return row[b.length]!;
}

/** The word of `known` that was probably meant. */
export function nearest(word: string, known: Iterable<string>): string | undefined {
  let best: string | undefined;
  let bestDistance = word.length <= 3 ? 1 : 2;
  for (const k of known) {
    const d = distance(word.toLowerCase(), k, bestDistance);
    if (d < bestDistance || (d === bestDistance && best === undefined)) [best, bestDistance] = [k, d];
  }
  return best;
}
