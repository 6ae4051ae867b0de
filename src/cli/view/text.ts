// Text in the cells of a terminal: lines of styled spans, exactly as wide as they are said to be. Nothing of a capture reaches the terminal but through here.

export type Color = "blue" | "green" | "grey" | "orange" | "red" | "cyan" | "yellow";
export type Style = { readonly color?: Color; readonly bold?: boolean; readonly dim?: boolean; readonly reverse?: boolean };
export type Span = { readonly text: string; readonly style?: Style | undefined };
export type Line = readonly Span[];

/** Control characters, what changes the direction or joins, and what has no width of its own stand as a dot. */
export const safe = (text: string): string => (PLAIN.test(text) ? text : text.replaceAll(/[\p{C}\p{M}\p{Zl}\p{Zp}]/gu, "·"));
const PLAIN = /^[ -~]*$/;

/** East Asian wide characters and emoji, as wcwidth has them. */
const WIDE =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{1f300}-\u{1faff}\u{20000}-\u{3fffd}]/u;

/** Cells of safe text. */
export function widthOf(text: string): number {
  if (PLAIN.test(text)) return text.length;
  let n = 0;
  for (const c of text) n += WIDE.test(c) ? 2 : 1;
  return n;
}

/** The text in at most `width` cells; what is cut ends in "…". */
export function clip(text: string, width: number): string {
  const s = safe(text);
  if (widthOf(s) <= width) return s;
  if (width <= 0) return "";
  if (PLAIN.test(s)) return `${s.slice(0, width - 1)}…`;
  let out = "";
  let n = 0;
  for (const c of s) {
    n += WIDE.test(c) ? 2 : 1;
    if (n > width - 1) break;
    out += c;
  }
  return `${out}…`;
}

/** The text in exactly `width` cells. */
export function fit(text: string, width: number, align: "left" | "right" = "left"): string {
  const s = clip(text, width);
  const blank = " ".repeat(Math.max(0, width - widthOf(s)));
  return align === "left" ? s + blank : blank + s;
}

/** The line in exactly `width` cells, the last span's style going on to the end; `style` is laid over all of it. */
export function fitLine(line: Line, width: number, style?: Style): Line {
  const out: Span[] = [];
  let left = width;
  for (const span of line) {
    if (left <= 0) break;
    const text = clip(span.text, left);
    left -= widthOf(text);
    out.push({ text, style: style ? { ...span.style, ...style } : span.style });
  }
  if (left > 0) out.push({ text: " ".repeat(left), style });
  return out;
}

/** Words in lines of at most `columns` cells, `indent` blanks before all but the first. */
export function wrap(text: string, columns: number, indent = 0): string[] {
  const width = Math.max(1, columns);
  const lines: string[] = [];
  let line = "";
  for (let word of safe(text).split(" ")) {
    for (;;) {
      const room = width - widthOf(line) - (line.trim() === "" ? 0 : 1);
      if (widthOf(word) <= room) break;
      if (line.trim() !== "") lines.push(line);
      else {
        // Longer than a line, as a key may be.
        const head = Array.from(word).slice(0, Math.max(1, room)).join("");
        lines.push(line + head);
        word = word.slice(head.length);
      }
      line = " ".repeat(Math.min(indent, Math.max(0, width - 1)));
    }
    line += (line.trim() === "" ? "" : " ") + word;
  }
  lines.push(line);
  return lines;
}

/** With its full stop, whether it has one or not. */
export const sentence = (text: string): string => (/[.!?]$/.test(text) ? text : `${text}.`);
export const plain = (line: Line): string => line.map((s) => s.text).join("");
export const span = (text: string, style?: Style): Span => ({ text, style });
