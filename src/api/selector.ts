// Calico's selector expressions, as in nodeSelector: all(), has(k), k == 'v', k != 'v', k in {'a', 'b'}, k not in {'a'}, k contains 'v', k starts with 'v',
// k ends with 'v', joined by !, && and ||, grouped by (). Kubernetes' own selectors are another language (labelselector.ts).
// https://docs.tigera.io/calico/latest/reference/resources/networkpolicy#selectors
import { type Labels, type LabelSelector, SelectorError } from "./labelselector.ts";
import type { FieldError } from "./meta.ts";

/** Nothing that a person writes is nested deeper, and deeper ones would be a way to exhaust the stack. */
const DEEPEST = 100;

const KEY = /([a-zA-Z0-9_./-]+)/y;
const HAS = /has\([ \t]*([a-zA-Z0-9_./-]+)[ \t]*\)/y;
const EVERYTHING = /(?:all|global)\([ \t]*\)/y;
const OPERATOR = /(==|!=|contains|starts[ \t]*with|ends[ \t]*with|not[ \t]*in|in)/y;
const LITERAL = /(?:"([^"]*)"|'([^']*)')/y;
const [NOT, AND, OR, OPEN, CLOSE, OPEN_SET, CLOSE_SET, COMMA] = [/!/y, /&&/y, /\|\|/y, /\(/y, /\)/y, /\{/y, /\}/y, /,/y] as const;

class Input {
  readonly #text: string;
  #at = 0;
  constructor(text: string) {
    this.#text = text;
    this.#skipBlanks();
  }
  get ended(): boolean {
    return this.#at === this.#text.length;
  }
  /** What `token` (a sticky pattern) matches here: its group, or all of it. */
  take(token: RegExp): string | undefined {
    token.lastIndex = this.#at;
    const match = token.exec(this.#text);
    if (!match) return undefined;
    this.#at = token.lastIndex;
    this.#skipBlanks();
    return match[1] ?? match[2] ?? match[0];
  }
  need(token: RegExp, name: string): string {
    return this.take(token) ?? this.fail(`expected ${name}`);
  }
  fail(why: string): never {
    const rest = this.#text.slice(this.#at, this.#at + 20);
    throw new SelectorError(`invalid selector: ${why} at ${rest === "" ? "its end" : JSON.stringify(rest)}`);
  }
  #skipBlanks(): void {
    while (this.#text[this.#at] === " " || this.#text[this.#at] === "\t") this.#at++;
  }
}

/** Throws SelectorError. The empty text selects everything. */
export function parseSelector(text: string): LabelSelector {
  const input = new Input(text);
  if (input.ended) return () => true;
  const selects = any(input, 0);
  return input.ended ? selects : input.fail("unexpected text");
}

function any(input: Input, depth: number): LabelSelector {
  const terms = [all(input, depth)];
  while (input.take(OR) !== undefined) terms.push(all(input, depth));
  return terms.length === 1 ? terms[0]! : (labels) => terms.some((t) => t(labels));
}

function all(input: Input, depth: number): LabelSelector {
  const terms = [term(input, depth)];
  while (input.take(AND) !== undefined) terms.push(term(input, depth));
  return terms.length === 1 ? terms[0]! : (labels) => terms.every((t) => t(labels));
}

function term(input: Input, depth: number): LabelSelector {
  let negated = false;
  while (input.take(NOT) !== undefined) negated = !negated;
  const selects = simple(input, depth);
  return negated ? (labels) => !selects(labels) : selects;
}

const valueOf = (labels: Labels | undefined, key: string): string | undefined => (labels && Object.hasOwn(labels, key) ? labels[key] : undefined);

function simple(input: Input, depth: number): LabelSelector {
  if (input.take(OPEN) !== undefined) {
    if (depth === DEEPEST) input.fail(`parentheses deeper than ${DEEPEST}`);
    const inner = any(input, depth + 1);
    input.need(CLOSE, '")"');
    return inner;
  }
  if (input.take(EVERYTHING) !== undefined) return () => true;
  const present = input.take(HAS);
  if (present !== undefined) return (labels) => valueOf(labels, present) !== undefined;

  const key = input.need(KEY, "a label, all(), has() or a parenthesis");
  const operator = input.need(OPERATOR, "an operator, such as == or in,").replace(/[ \t]/g, "");
  if (operator === "in" || operator === "notin") {
    const values = setOf(input);
    // What a label that is not there has is in no set, also in none that is excluded.
    return (labels) => values.has(valueOf(labels, key)) === (operator === "in");
  }
  const text = input.need(LITERAL, "a text in quotes");
  switch (operator) {
    case "==":
      return (labels) => valueOf(labels, key) === text;
    case "!=":
      return (labels) => valueOf(labels, key) !== text;
    case "contains":
      return (labels) => valueOf(labels, key)?.includes(text) ?? false;
    case "startswith":
      return (labels) => valueOf(labels, key)?.startsWith(text) ?? false;
    default:
      return (labels) => valueOf(labels, key)?.endsWith(text) ?? false;
  }
}

function setOf(input: Input): ReadonlySet<string | undefined> {
  input.need(OPEN_SET, '"{"');
  const values = new Set<string | undefined>();
  for (let value = input.take(LITERAL); value !== undefined; value = input.take(LITERAL)) {
    values.add(value);
    if (input.take(COMMA) === undefined) break;
  }
  input.need(CLOSE_SET, '"}"');
  return values;
}

/** Whether `text` selects these labels; one that cannot be read selects nothing. */
export function selects(text: string, labels: Labels | undefined): boolean {
  try {
    return parseSelector(text)(labels);
  } catch (thrown) {
    if (thrown instanceof SelectorError) return false;
    throw thrown;
  }
}

/** What is wrong with the selector in a field. */
export function selectorErrors(field: string, text: string | undefined): FieldError[] {
  try {
    parseSelector(text ?? "");
    return [];
  } catch (thrown) {
    if (!(thrown instanceof SelectorError)) throw thrown;
    return [{ field, reason: "FieldValueInvalid", message: `Invalid value: ${JSON.stringify(text)}: ${thrown.message}` }];
  }
}
