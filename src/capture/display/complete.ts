// What may stand at the caret of a display filter that is being typed: names of fields and protocols, or after a comparison the words that a field's values have.
import { field, fieldNames } from "../fields/registry.ts";
import type { FieldType } from "../fields/row.ts";

/** One way to go on. */
export type Completion = {
  /** What stands in the filter then. */
  readonly text: string;
  /** What it is: the field's label, or the number that a word stands for. */
  readonly label: string;
  /** Of a field, its values' type. */
  readonly type: FieldType;
};
/** Replace what is between `from` and `to` (places in the filter) by the text of a choice. Best first; at most 50. */
export type Completions = { readonly from: number; readonly to: number; readonly choices: readonly Completion[] };

const MAX_CHOICES = 50;
/** A field, what compares it, and in a set what stands in it already. */
const COMPARED = /([A-Za-z0-9_.]+)\s*(?:[=!]==?|[~<>]=?|\b(?:eq|ne|gt|lt|ge|le|any_eq|all_eq|any_ne|all_ne|in)\b)\s*(?:\{[^}]*)?$/;

/** The choices at `caret`, a place in `filter`. Throws nothing: of text that is no filter there are none. */
export function complete(filter: string, caret: number = filter.length): Completions {
  const before = filter.slice(0, caret);
  const quote = openQuote(before);
  const from = quote ?? caret - /[A-Za-z0-9_.]*$/.exec(before)![0].length;
  const compared = field(COMPARED.exec(withoutTexts(before.slice(0, from)))?.[1] ?? "");
  if (compared) return { from, to: caret, choices: wordsOf(compared.row.words, compared.type, before.slice(from)) };
  const typed = before.slice(from).toLowerCase();
  if (quote !== undefined || typed === "") return { from, to: caret, choices: [] };
  const to = caret + /^[A-Za-z0-9_.]*/.exec(filter.slice(caret))![0].length;
  // From the beginning, then from a part of the name, then somewhere in it; short ones first.
  const rank = (name: string): number => (name.startsWith(typed) ? 0 : name.includes(`.${typed}`) ? 1 : name.includes(typed) ? 2 : 3);
  const names = [...new Set(fieldNames())]
    .map((name) => ({ name, rank: rank(name.toLowerCase()) }))
    .filter((n) => n.rank < 3)
    .sort((a, b) => a.rank - b.rank || a.name.length - b.name.length || (a.name < b.name ? -1 : 1));
  return { from, to, choices: names.slice(0, MAX_CHOICES).map(({ name }) => choiceOf(name)) };
}

const choiceOf = (name: string): Completion => {
  const { label, type } = field(name)!;
  return { text: name, label, type };
};

function wordsOf(words: Readonly<Record<number, string>> | undefined, type: FieldType, typed: string): Completion[] {
  const known =
    type === "bool"
      ? ["True", "False"].map((text) => ({ text, label: "", type }))
      : Object.entries(words ?? {}).map(([value, word]) => ({ text: `"${word}"`, label: value, type }));
  const wanted = typed.replace(/^"/, "").toLowerCase();
  return known.filter((c) => c.text.toLowerCase().includes(wanted) || c.label === wanted).slice(0, MAX_CHOICES);
}

/** Where the text begins that is not closed yet. */
function openQuote(text: string): number | undefined {
  let open: number | undefined;
  for (let i = 0; i < text.length; i++) {
    if (open !== undefined && text[i] === "\\") i++;
    else if (text[i] === '"') open = open === undefined ? i : undefined;
  }
  return open;
}
/** The same length; what stands in quotes is no operator. */
const withoutTexts = (text: string): string => text.replaceAll(/"(?:[^"\\]|\\.)*"/g, (t) => "_".repeat(t.length));
