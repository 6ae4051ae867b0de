// `matches`: Wireshark's are PCRE and ignore case; ours are ECMAScript's, over at most so many characters, and without what takes exponential time.
const MAX_PATTERN = 1000;
const MAX_INPUT = 8192;

/** The expression, or why it is none. */
export function pattern(text: string): RegExp | string {
  if (text.length > MAX_PATTERN) return `the expression is longer than ${MAX_PATTERN} characters`;
  if (nestsRepeats(text)) return "a repeat within a repeat, as (a+)+, may take for ever: write it without the inner one";
  const inline = /^\(\?(-?)i\)/.exec(text);
  const body = inline ? text.slice(inline[0].length) : text;
  try {
    return new RegExp(body, inline?.[1] === "-" ? "s" : "is");
  } catch (e) {
    return `"${text}" is no regular expression (${e instanceof Error ? e.message.replace(/^.*: /, "") : "malformed"})`;
  }
}

/** A group that is repeated without end, and holds a repeat without end or alternatives: where backtracking explodes. */
function nestsRepeats(text: string): boolean {
  const groups: boolean[] = [];
  let inClass = false;
  for (let i = 0; i < text.length; i++) {
    const c = text[i]!;
    if (c === "\\") i++;
    else if (inClass) inClass = c !== "]";
    else if (c === "[") inClass = true;
    else if (c === "(") groups.push(false);
    else if (c === ")") {
      const inner = groups.pop() ?? false;
      const isRepeated = repeats(text, i + 1);
      if (inner && isRepeated) return true;
      if ((inner || isRepeated) && groups.length > 0) groups[groups.length - 1] = true;
    } else if ((c === "|" || repeats(text, i)) && groups.length > 0) groups[groups.length - 1] = true;
  }
  return false;
}
const repeats = (text: string, at: number): boolean => text[at] === "*" || text[at] === "+" || /^\{\d*,\d*\}/.test(text.slice(at, at + 16));

/** What of a value is searched; bytes as characters of the same numbers. */
export const searchable = (v: string | Uint8Array): string =>
  typeof v === "string" ? v.slice(0, MAX_INPUT) : String.fromCharCode(...v.subarray(0, MAX_INPUT));
