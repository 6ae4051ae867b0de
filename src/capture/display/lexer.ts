// Words of a display filter, each with its place, so that an error can point there.
import { TortieError } from "../../base/errors.ts";

export type Token = {
  readonly kind: "word" | "string" | "char" | "operator" | "slice" | "end";
  readonly text: string;
  readonly at: number;
  readonly length: number;
};

/** Throws the error that every misuse of a display filter ends in, with the place marked. */
export function refuse(filter: string, why: string, at: number, length = 1): never {
  const shown = filter.replaceAll(/\s/g, " ");
  throw new TortieError(`Cannot use the display filter: ${why}`, {
    hint: `${shown}\n${" ".repeat(at)}${"^".repeat(Math.max(1, Math.min(length, shown.length - at)))}`,
  });
}

const OPERATORS = [
  "===",
  "!==",
  "==",
  "!=",
  "~=",
  ">=",
  "<=",
  "&&",
  "||",
  "^^",
  "..",
  "!",
  "~",
  ">",
  "<",
  "(",
  ")",
  "{",
  "}",
  ",",
  "&",
  "+",
  "*",
  "/",
  "%",
  "#",
  "-",
];
const WORD = /[A-Za-z0-9_:](?:[A-Za-z0-9_:/]|\.(?!\.)|-(?=[A-Za-z0-9]))*/y;
const MAX_LENGTH = 65_536;

export function tokens(filter: string): Token[] {
  if (filter.length > MAX_LENGTH) refuse(filter.slice(0, 60), `it is longer than ${MAX_LENGTH} characters`, 0);
  const found: Token[] = [];
  for (let at = 0; at < filter.length;) {
    const c = filter[at]!;
    if (/\s/.test(c)) {
      at++;
      continue;
    }
    const token = quoted(filter, at) ?? slice(filter, at) ?? word(filter, at) ?? operator(filter, at);
    if (!token) return refuse(filter, `"${c}" means nothing here`, at);
    found.push(token);
    at += token.length;
  }
  return [...found, { kind: "end", text: "", at: filter.length, length: 1 }];
}

function quoted(filter: string, at: number): Token | undefined {
  const raw = /^[rR]"/.test(filter.slice(at, at + 2));
  const from = raw ? at + 1 : at;
  const quote = filter[from];
  if (quote !== '"' && (quote !== "'" || raw)) return undefined;
  let text = "";
  let i = from + 1;
  for (; filter[i] !== quote; i++) {
    if (i >= filter.length) refuse(filter, `the closing ${quote} is missing`, from);
    if (filter[i] !== "\\" || raw) text += filter[i];
    else {
      const [char, length] = escaped(filter, i);
      text += char;
      i += length - 1;
    }
  }
  if (quote === "'" && text.length !== 1) refuse(filter, "a character stands between ' and '", from, i + 1 - from);
  return { kind: quote === "'" ? "char" : "string", text, at, length: i + 1 - at };
}
const ESCAPES: Readonly<Record<string, string>> = { n: "\n", r: "\r", t: "\t", a: "\u0007", b: "\b", f: "\f", v: "\v", "0": "\0" };
function escaped(filter: string, at: number): [char: string, length: number] {
  const hex = /^\\x([0-9a-fA-F]{2})|^\\u([0-9a-fA-F]{4})/.exec(filter.slice(at, at + 6));
  if (hex) return [String.fromCharCode(Number.parseInt((hex[1] ?? hex[2])!, 16)), hex[0].length];
  const c = filter[at + 1] ?? "";
  return [ESCAPES[c] ?? c, 2];
}

function slice(filter: string, at: number): Token | undefined {
  if (filter[at] !== "[") return undefined;
  const end = filter.indexOf("]", at);
  if (end < 0) refuse(filter, 'the closing "]" is missing', at);
  return { kind: "slice", text: filter.slice(at + 1, end), at, length: end + 1 - at };
}
function word(filter: string, at: number): Token | undefined {
  WORD.lastIndex = at;
  const text = WORD.exec(filter)?.[0];
  return text === undefined ? undefined : { kind: "word", text, at, length: text.length };
}
function operator(filter: string, at: number): Token | undefined {
  const text = OPERATORS.find((o) => filter.startsWith(o, at));
  return text === undefined ? undefined : { kind: "operator", text, at, length: text.length };
}
