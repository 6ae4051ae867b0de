// Parses display filters: Wireshark's grammar (its dfilter/grammar.lemon). Of the connectives || binds least, then ^^, &&, !; arithmetic binds as usual.
import { refuse, type Token, tokens } from "./lexer.ts";
import type { Comparison, Condition, Entity, Range } from "./syntax.ts";

const COMPARISONS: Readonly<Record<string, Comparison>> = {
  "==": "any_eq",
  eq: "any_eq",
  any_eq: "any_eq",
  "===": "all_eq",
  all_eq: "all_eq",
  "!=": "all_ne",
  ne: "all_ne",
  all_ne: "all_ne",
  "!==": "any_ne",
  "~=": "any_ne",
  any_ne: "any_ne",
  ">": ">",
  gt: ">",
  "<": "<",
  lt: "<",
  ">=": ">=",
  ge: ">=",
  "<=": "<=",
  le: "<=",
  contains: "contains",
  matches: "matches",
  "~": "matches",
};
const RESERVED = new Set([...Object.keys(COMPARISONS), "and", "or", "not", "xor", "in", "any", "all", "bitwise_and"]);
const MAX_DEPTH = 100;

/** undefined for an empty filter. Throws TortieError. */
export function parse(filter: string): Condition | undefined {
  const list = tokens(filter);
  if (list.length === 1) return undefined;
  return new Parser(filter, list).whole();
}

class Parser {
  readonly #filter: string;
  readonly #tokens: readonly Token[];
  #at = 0;
  #depth = 0;

  constructor(filter: string, list: readonly Token[]) {
    this.#filter = filter;
    this.#tokens = list;
  }

  whole(): Condition {
    const condition = this.#or();
    const rest = this.#peek();
    if (rest.kind !== "end") this.#refuse(`"${rest.text}" stands where "and", "or" or the end is expected`, rest);
    return condition;
  }

  #peek(): Token {
    return this.#tokens[this.#at]!;
  }
  #take(): Token {
    const t = this.#peek();
    if (t.kind !== "end") this.#at++;
    return t;
  }
  #refuse(why: string, t: { at: number; length: number } = this.#peek()): never {
    return refuse(this.#filter, why, t.at, t.length);
  }
  /** Takes the next token when it is one of these operators or words. */
  #accept(...texts: readonly string[]): Token | undefined {
    const t = this.#peek();
    return (t.kind === "operator" || t.kind === "word") && texts.includes(t.text) ? this.#take() : undefined;
  }
  #expect(text: string): void {
    const t = this.#peek();
    if (!this.#accept(text)) this.#refuse(t.kind === "end" ? `it ends where "${text}" is missing` : `"${text}" is missing before "${t.text}"`, t);
  }
  #deeper<T>(parse_: () => T): T {
    if (++this.#depth > MAX_DEPTH) this.#refuse("too many parentheses within one another");
    const result = parse_();
    this.#depth--;
    return result;
  }

  #or(): Condition {
    let left = this.#xor();
    while (this.#accept("||", "or")) left = { kind: "or", left, right: this.#xor() };
    return left;
  }
  #xor(): Condition {
    let left = this.#and();
    while (this.#accept("^^", "xor")) left = { kind: "xor", left, right: this.#and() };
    return left;
  }
  #and(): Condition {
    let left = this.#not();
    while (this.#accept("&&", "and")) left = { kind: "and", left, right: this.#not() };
    return left;
  }
  #not(): Condition {
    if (this.#accept("!", "not")) return { kind: "not", of: this.#deeper(() => this.#not()) };
    if (this.#accept("(")) {
      const inner = this.#deeper(() => this.#or());
      this.#expect(")");
      return inner;
    }
    return this.#relation();
  }

  #relation(): Condition {
    const quantifier = this.#accept("any", "all")?.text as "any" | "all" | undefined;
    const left = this.#entity();
    const wantsNot = this.#peek().text === "not" && this.#tokens[this.#at + 1]?.text === "in" && this.#accept("not");
    const here = this.#accept("in");
    if (here) {
      const found: Condition = { kind: "in", left, set: this.#set(), quantifier, at: here.at, length: here.length };
      return wantsNot ? { kind: "not", of: found } : found;
    }
    let result: Condition | undefined;
    // 1 < x < 5 means both.
    for (let a = left; ;) {
      const t = this.#peek();
      const operator = t.kind === "operator" || t.kind === "word" ? COMPARISONS[t.text] : undefined;
      if (!operator) break;
      this.#take();
      const right = this.#entity();
      const one: Condition = { kind: "compare", operator, left: a, right, quantifier, at: t.at, length: t.length };
      result = result ? { kind: "and", left: result, right: one } : one;
      a = right;
    }
    if (result) return result;
    if (quantifier) this.#refuse(`a comparison is missing after "${quantifier}"`);
    return { kind: "exists", of: left };
  }

  #set(): { from: Entity; to: Entity | undefined }[] {
    this.#expect("{");
    const set: { from: Entity; to: Entity | undefined }[] = [];
    while (!this.#accept("}")) {
      const from = this.#entity();
      set.push({ from, to: this.#accept("..") ? this.#entity() : undefined });
      this.#accept(",");
    }
    if (set.length === 0) this.#refuse("the set { } has no values", this.#tokens[this.#at - 1]);
    return set;
  }

  #entity(): Entity {
    let left = this.#product();
    for (let t; (t = this.#accept("+", "-", "&", "bitwise_and"));) left = this.#binary(t, left, this.#product());
    return left;
  }
  #product(): Entity {
    let left = this.#factor();
    for (let t; (t = this.#accept("*", "/", "%"));) left = this.#binary(t, left, this.#factor());
    return left;
  }
  #binary(t: Token, left: Entity, right: Entity): Entity {
    const operator = (t.text === "bitwise_and" ? "&" : t.text) as "+";
    return { kind: "arithmetic", operator, left, right, at: left.at, length: right.at + right.length - left.at };
  }
  #factor(): Entity {
    if (this.#accept("{")) {
      const inner = this.#deeper(() => this.#entity());
      this.#expect("}");
      return inner;
    }
    const minus = this.#accept("-");
    const t = this.#take();
    if (t.kind === "string" || t.kind === "char") return this.#sliced({ kind: "literal", text: t.text, quoted: t.kind, at: t.at, length: t.length });
    if (t.kind === "end") this.#refuse(this.#at === 0 ? "there is nothing in it" : "it ends too early: a field or a value is missing", t);
    if (t.kind !== "word" || RESERVED.has(t.text)) this.#refuse(`a field or a value is missing before "${t.text}"`, t);
    if (minus) return { kind: "literal", text: `-${t.text}`, quoted: undefined, at: minus.at, length: t.at + t.length - minus.at };
    const next = this.#peek();
    if (next.text === "(" && next.kind === "operator" && /^[a-z]+$/.test(t.text)) return this.#sliced(this.#call(t));
    if (!isName(t.text)) return { kind: "literal", text: t.text, quoted: undefined, at: t.at, length: t.length };
    const layers = this.#accept("#") ? this.#layers() : undefined;
    return this.#sliced({ kind: "field", name: t.text, layers, at: t.at, length: t.length });
  }
  #call(name: Token): Entity {
    this.#expect("(");
    const args: Entity[] = [];
    while (!this.#accept(")")) {
      args.push(this.#deeper(() => this.#entity()));
      if (!this.#accept(",") && this.#peek().text !== ")") this.#expect(")");
    }
    return { kind: "call", name: name.text, args, at: name.at, length: name.length };
  }
  #layers(): readonly Range[] {
    const t = this.#peek();
    if (t.kind === "slice") return this.#ranges(this.#take(), "layers");
    const minus = this.#accept("-") ? -1 : 1;
    const n = this.#take();
    if (!/^[0-9]+$/.test(n.text)) this.#refuse("the number of a layer is missing after #", n);
    return [{ from: minus * Number(n.text), to: minus * Number(n.text) }];
  }
  #sliced(of: Entity): Entity {
    let entity = of;
    while (this.#peek().kind === "slice") {
      const t = this.#take();
      entity = { kind: "slice", of: entity, ranges: this.#ranges(t, "bytes"), at: of.at, length: t.at + t.length - of.at };
    }
    return entity;
  }
  /** [offset:length], [first-last], [offset:], [:length], [offset], and several with commas. Of layers: [first-last] or [n]. */
  #ranges(t: Token, what: "bytes" | "layers"): Range[] {
    return t.text.split(",").map((piece) => {
      const m = /^\s*(-?\d+)?\s*(?:([:-])\s*(-?\d+)?)?\s*$/.exec(piece);
      if (!m || (m[1] === undefined && m[3] === undefined))
        return this.#refuse(`"[${t.text}]" is no ${what === "bytes" ? "slice: [offset:length]" : "range of layers"}`, t);
      const from = Number(m[1] ?? 0);
      if (m[2] === undefined) return { from, to: from };
      if (m[3] === undefined) return { from, to: undefined };
      const second = Number(m[3]);
      if (m[2] === "-") return { from, to: second };
      if (second <= 0) return this.#refuse("the length of a slice is 1 or more", t);
      // A length that reaches beyond the end from its end counts to there.
      return { from, to: from < 0 && from + second - 1 >= 0 ? -1 : from + second - 1 };
    });
  }
}

/** Field names begin with a letter, and are no addresses or bytes: "ip.src" and "data" are names, "fe80::1", "ff:ff" and "10.0.0.1" are none. */
const isName = (text: string): boolean => /^[A-Za-z_][A-Za-z0-9_.-]*$/.test(text) && !/^(true|false)$/i.test(text);
