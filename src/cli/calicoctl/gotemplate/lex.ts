// Go's text/template cut into text and actions, and actions into words. https://pkg.go.dev/text/template
import { TortieError } from "../../../base/errors.ts";

/** `field` is one ".Name" without its dot, `chained` when no blank stands before it; `dot` is "." alone; `variable` begins with "$". */
export type Token =
  | { readonly is: "word" | "field" | "variable" | "string" | "number"; readonly text: string; readonly chained: boolean }
  | { readonly is: "dot" | "|" | "(" | ")" | ":=" | "=" | ","; readonly text: string; readonly chained: boolean };
export type Piece = { readonly text: string } | { readonly action: readonly Token[]; readonly line: number };

export const templateError = (line: number, why: string): TortieError => new TortieError(`template: get:${line}: ${why}`);

const ESCAPES: Readonly<Record<string, string>> = { n: "\n", t: "\t", r: "\r", a: "\x07", b: "\b", f: "\f", v: "\v", "\\": "\\", "'": "'", '"': '"' };

/** The value of a Go string or character literal between its quotes. */
function unquoted(text: string, line: number): string {
  return text.replace(/\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[0-7]{3}|.)/g, (_, escape: string) => {
    if (/^[xuU]./.test(escape)) return String.fromCodePoint(Math.min(0x10ffff, parseInt(escape.slice(1), 16)));
    if (/^[0-7]{3}$/.test(escape)) return String.fromCharCode(parseInt(escape, 8));
    const value = ESCAPES[escape];
    if (value === undefined) throw templateError(line, `unknown escape sequence \\${escape}`);
    return value;
  });
}

const TOKEN =
  /("(?:[^"\\\n]|\\.)*")|(`[^`]*`)|('(?:[^'\\\n]|\\.)+')|([+-]?(?:0x[0-9a-fA-F]+|[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?))|(\.[\p{L}_][\p{L}\p{N}_]*)|(\$[\p{L}\p{N}_]*)|([\p{L}_][\p{L}\p{N}_]*)|(:=|[.|()=,])/uy;

function wordsOf(source: string, line: number): Token[] {
  const tokens: Token[] = [];
  for (let at = 0; ;) {
    const blanks = /^\s*/.exec(source.slice(at))![0].length;
    at += blanks;
    if (at >= source.length) return tokens;
    const chained = blanks === 0 && tokens.length > 0;
    TOKEN.lastIndex = at;
    const m = TOKEN.exec(source);
    if (!m) throw templateError(line, `unexpected ${JSON.stringify(source[at])} in command`);
    at = TOKEN.lastIndex;
    const [, quoted, raw, character, number, field, variable, word, sign] = m;
    if (quoted !== undefined) tokens.push({ is: "string", text: unquoted(quoted.slice(1, -1), line), chained });
    else if (raw !== undefined) tokens.push({ is: "string", text: raw.slice(1, -1), chained });
    else if (character !== undefined) tokens.push({ is: "number", text: String(unquoted(character.slice(1, -1), line).codePointAt(0)), chained });
    else if (number !== undefined) tokens.push({ is: "number", text: number, chained });
    else if (field !== undefined) tokens.push({ is: "field", text: field.slice(1), chained });
    else if (variable !== undefined) tokens.push({ is: "variable", text: variable, chained });
    else if (word !== undefined) tokens.push({ is: "word", text: word, chained });
    else if (sign === ".") tokens.push({ is: "dot", text: ".", chained });
    else tokens.push({ is: sign as "|", text: sign!, chained });
  }
}

/** Where the action that begins at `from` ends: the index of its "}}", strings skipped. */
function endOf(source: string, from: number): number {
  const skip = /"(?:[^"\\\n]|\\.)*"|`[^`]*`|'(?:[^'\\\n]|\\.)*'|\}\}/g;
  skip.lastIndex = from;
  for (let m = skip.exec(source); m; m = skip.exec(source)) if (m[0] === "}}") return m.index;
  return -1;
}

/** Text and actions in order; "{{- " and " -}}" have eaten the blanks around them, comments are gone. Throws TortieError. */
export function piecesOf(source: string): Piece[] {
  const pieces: Piece[] = [];
  let at = 0;
  let trim = false;
  const text = (end: number, trimEnd: boolean): void => {
    let t = source.slice(at, end);
    if (trim) t = t.replace(/^[ \t\r\n]+/, "");
    if (trimEnd) t = t.replace(/[ \t\r\n]+$/, "");
    if (t !== "") pieces.push({ text: t });
  };
  for (;;) {
    const open = source.indexOf("{{", at);
    if (open < 0) break;
    const line = source.slice(0, open).split("\n").length;
    const trimBefore = /^\{\{-\s/.test(source.slice(open, open + 4));
    text(open, trimBefore);
    const from = open + (trimBefore ? 3 : 2);
    const comment = /^\s*\/\*[^]*?\*\/( -)?\s*(?=\}\})/.exec(source.slice(from));
    const close = comment ? from + comment[0].length : endOf(source, from);
    if (close < 0) throw templateError(line, "unclosed action");
    const inner = source.slice(from, close);
    trim = comment ? comment[1] !== undefined : /\s-$/.test(inner);
    if (!comment) pieces.push({ action: wordsOf(trim ? inner.slice(0, -1) : inner, line), line });
    at = close + 2;
  }
  text(source.length, false);
  return pieces;
}
