// The variables of a template: "$" is what it was given; a block sees those around it.
import { templateError } from "./lex.ts";
import type { Value } from "./parse.ts";

export const isJsonMap = (v: Value): v is { [key: string]: Value } => typeof v === "object" && v !== null && !Array.isArray(v);

export class Scope {
  readonly #outer: Scope | undefined;
  readonly #values = new Map<string, Value>();
  constructor(outer?: Scope) {
    this.#outer = outer;
  }
  inner(): Scope {
    return new Scope(this);
  }
  declare(name: string, value: Value): void {
    this.#values.set(name, value);
  }
  /** Throws TortieError for a variable that nobody declared. */
  assign(name: string, value: Value, line: number): void {
    this.#holder(name, line).#values.set(name, value);
  }
  get(name: string, line: number): Value {
    return this.#holder(name, line).#values.get(name);
  }
  #holder(name: string, line: number): Scope {
    if (this.#values.has(name)) return this;
    if (!this.#outer) throw templateError(line, `undefined variable ${JSON.stringify(name)}`);
    return this.#outer.#holder(name, line);
  }
}

/** A scope of its own, for a template that is given `data`. */
export function scopeOf(data: Value): Scope {
  const scope = new Scope();
  scope.declare("$", data);
  return scope;
}
