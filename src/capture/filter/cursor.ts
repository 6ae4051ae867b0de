// The place in a filter expression while it is read, and the errors that point to it.
import { FilterError } from "./error.ts";
import type { Token } from "./lexer.ts";

const MAX_DEPTH = 64;

export class Cursor {
  readonly source: string;
  readonly tokens: readonly Token[];
  /** Index of the token that is next. */
  at = 0;
  #depth = 0;

  /** `tokens` ends with an "end". */
  constructor(source: string, tokens: readonly Token[]) {
    this.source = source;
    this.tokens = tokens;
  }

  get token(): Token {
    return this.tokens[this.at]!;
  }
  is(...texts: string[]): boolean {
    return this.token.kind !== "end" && texts.includes(this.token.text);
  }
  accept(...texts: string[]): boolean {
    const found = this.is(...texts);
    if (found) this.at++;
    return found;
  }
  expect(text: string): void {
    if (!this.accept(text)) throw this.error(`"${text}" is missing`);
  }

  error(problem: string, suggestion?: string, at: number = this.token.at): FilterError {
    return new FilterError(this.source, at, problem, suggestion);
  }
  /** The expression with `text` in place of token `index`. */
  replaced(index: number, text: string): string {
    const t = this.tokens[index]!;
    return this.source.slice(0, t.at) + text + this.source.slice(t.at + t.text.length);
  }

  /** Expressions are read by recursion: not deeper than a person can follow. */
  nested<T>(parse: () => T): T {
    if (++this.#depth > MAX_DEPTH) throw this.error("it is nested too deeply");
    try {
      return parse();
    } finally {
      this.#depth--;
    }
  }

  number(max: number): number {
    const t = this.token;
    if (t.kind !== "number") throw this.error("a number is missing");
    // A leading zero means octal, as in C.
    const value = /^0[0-7]+$/.test(t.text) ? parseInt(t.text, 8) : Number(t.text);
    if (value > max) throw this.error(`${t.text} is more than ${max}`);
    this.at++;
    return value;
  }
}
