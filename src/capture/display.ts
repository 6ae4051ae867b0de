// Display filters: a small part of Wireshark's language, over the fields of dissect.ts: NAME, NAME == VALUE, != < <= > >=, contains, in {a, b},
// && || ! and or not, parentheses (section 8.2). Ambiguity is settled as Wireshark does: a comparison holds when any occurrence of the field fits.
import { TortieError } from "../base/errors.ts";

/** Looks a field's values up; a protocol's name gives [""] when the packet has it. */
export type Lookup = (name: string) => readonly string[];
export type DisplayFilter = (lookup: Lookup) => boolean;

type Token = { readonly text: string; readonly quoted: boolean };

/** A name that stands for several fields. */
const ALIASES: Readonly<Record<string, readonly string[]>> = {
  "ip.addr": ["ip.src", "ip.dst"],
  "ipv6.addr": ["ipv6.src", "ipv6.dst"],
  "eth.addr": ["eth.src", "eth.dst"],
  "udp.port": ["udp.srcport", "udp.dstport"],
  "tcp.port": ["tcp.srcport", "tcp.dstport"],
};
const OPERATORS: Readonly<Record<string, string>> = { eq: "==", ne: "!=", gt: ">", lt: "<", ge: ">=", le: "<=" };
const MAX_DEPTH = 50;

const refuse = (why: string): never => {
  throw new TortieError(`Cannot use the display filter: ${why}`, { hint: 'For example: wg.type == 1, or "icmp && ip.addr == 172.16.1.2".' });
};

function tokens(text: string): Token[] {
  const out: Token[] = [];
  const pattern = /\s*(?:"((?:[^"\\]|\\.)*)"|(&&|\|\||==|!=|>=|<=|[()<>!{},])|([^\s()<>!{},&|="]+))/y;
  const end = text.trimEnd().length;
  while (pattern.lastIndex < end) {
    const at = pattern.lastIndex;
    const m = pattern.exec(text);
    if (!m) return refuse(`what is "${text.slice(at).trim().slice(0, 20)}"?`);
    out.push(m[1] === undefined ? { text: (m[2] ?? m[3])!, quoted: false } : { text: m[1].replaceAll(/\\(.)/g, "$1"), quoted: true });
  }
  return out;
}

/** Compiles an expression. Throws TortieError. */
export function displayFilter(text: string): DisplayFilter {
  const list = tokens(text);
  let at = 0;
  const peek = (): string | undefined => (list[at]?.quoted ? undefined : list[at]?.text);
  const take = (): Token => list[at++] ?? refuse("it ends too early");
  const value = (): string => {
    const t = take();
    if (!t.quoted && /^[()<>!{},]|^(&&|\|\||[=!<>]=)$/.test(t.text)) refuse(`a value is missing before "${t.text}"`);
    return t.text;
  };

  const alternatives = (depth: number): DisplayFilter => {
    let left = conjunction(depth);
    while (peek() === "||" || peek() === "or") {
      at++;
      const [a, b] = [left, conjunction(depth)];
      left = (l) => a(l) || b(l);
    }
    return left;
  };
  const conjunction = (depth: number): DisplayFilter => {
    let left = term(depth);
    while (peek() === "&&" || peek() === "and") {
      at++;
      const [a, b] = [left, term(depth)];
      left = (l) => a(l) && b(l);
    }
    return left;
  };
  const term = (depth: number): DisplayFilter => {
    if (depth > MAX_DEPTH) return refuse("too many parentheses within one another");
    const word = peek();
    if (word === "!" || word === "not") {
      at++;
      const inner = term(depth + 1);
      return (l) => !inner(l);
    }
    if (word === "(") {
      at++;
      const inner = alternatives(depth + 1);
      if (take().text !== ")") refuse('a ")" is missing');
      return inner;
    }
    return comparison();
  };
  const comparison = (): DisplayFilter => {
    const name = value();
    if (!/^[a-z][a-z0-9_.]*$/.test(name)) refuse(`"${name}" is no name of a field`);
    const fields = ALIASES[name] ?? [name];
    const values = (l: Lookup): string[] => fields.flatMap((f) => l(f));
    const raw = peek() ?? "";
    const operator = OPERATORS[raw] ?? raw;
    if (operator === "in") {
      at++;
      if (take().text !== "{") refuse('"in" wants { … }');
      const set: string[] = [];
      while (peek() !== "}") {
        set.push(value());
        if (peek() === ",") at++;
      }
      at++;
      return (l) => values(l).some((v) => set.some((s) => compare(v, s) === 0));
    }
    if (operator === "contains") {
      at++;
      const wanted = value().toLowerCase();
      return (l) => values(l).some((v) => v.toLowerCase().includes(wanted));
    }
    if (!["==", "!=", "<", "<=", ">", ">="].includes(operator)) return (l) => values(l).length > 0;
    at++;
    const wanted = value();
    return (l) => {
      const found = values(l);
      // "!=" holds when no occurrence is equal, as Wireshark 4 has it.
      if (operator === "!=") return found.length > 0 && found.every((v) => compare(v, wanted) !== 0);
      return found.some((v) => holds(operator, compare(v, wanted)));
    };
  };
  if (list.length === 0) return () => true;
  const filter = alternatives(0);
  if (at < list.length) refuse(`"${list[at]!.text}" stands where nothing is expected`);
  return filter;
}

function holds(operator: string, order: number): boolean {
  if (operator === "==") return order === 0;
  if (operator === "<") return order < 0;
  if (operator === "<=") return order <= 0;
  return operator === ">" ? order > 0 : order >= 0;
}

const NUMBER = /^(0x[0-9a-fA-F]+|[0-9]+)$/;
const BOOLEANS: Readonly<Record<string, string>> = { true: "1", false: "0" };
function compare(have: string, want: string): number {
  const b = BOOLEANS[want.toLowerCase()] ?? want;
  if (NUMBER.test(have) && NUMBER.test(b)) {
    const [x, y] = [BigInt(have), BigInt(b)];
    return x < y ? -1 : x > y ? 1 : 0;
  }
  const [x, y] = [Number(have), Number(b)];
  if (have !== "" && b !== "" && Number.isFinite(x) && Number.isFinite(y)) return x - y;
  return have === b ? 0 : have < b ? -1 : 1;
}
