// The terminal: alternate screen and raw mode, given back on every way out; keys as they come; only the lines that changed are written.
import { emitKeypressEvents, type Interface } from "node:readline";
import type { ReadStream, WriteStream } from "node:tty";
import type { Key } from "./keys.ts";
import type { Color, Line, Style } from "./text.ts";

export type TerminalOptions = { readonly color: boolean; readonly unicode: boolean; readonly manyColors: boolean };

/** Between ESC alone and a key that begins with it. */
const ESCAPE_MS = 50;
const ENTER = "\x1b[?1049h\x1b[?7l\x1b[?25l\x1b[2J";
const LEAVE = "\x1b[0m\x1b[?7h\x1b[?25h\x1b[?1049l";

const COLORS: Readonly<Record<Color, string>> = { blue: "94", green: "32", grey: "90", orange: "33", red: "91", cyan: "36", yellow: "93" };
const ORANGE_OF_256 = "38;5;208";

export class Terminal {
  readonly #input: ReadStream;
  readonly #output: WriteStream;
  readonly #options: TerminalOptions;
  #shown: string[] = [];
  #entered = false;

  constructor(input: ReadStream, output: WriteStream, options: TerminalOptions) {
    this.#input = input;
    this.#output = output;
    this.#options = options;
  }

  get size(): { columns: number; rows: number } {
    return { columns: Math.max(1, this.#output.columns || 80), rows: Math.max(1, this.#output.rows || 24) };
  }

  /** Takes the terminal until the result is called. `closed`: it is gone. */
  open(on: { key: (key: Key) => void; resize: () => void; closed: () => void }): () => void {
    const key = (text: string | undefined, k: { name?: string; ctrl?: boolean; meta?: boolean; shift?: boolean } | undefined): void => {
      if (k?.meta && k.name !== "escape") return;
      const name = k?.name ?? text ?? "";
      on.key({ name, text: k?.ctrl ? "" : (text ?? ""), ctrl: k?.ctrl ?? false, shift: k?.shift ?? false });
    };
    const stop = (): void => this.suspend();
    const again = (): void => {
      this.#enter();
      on.resize();
    };
    const restore = (): void => this.#leave();
    emitKeypressEvents(this.#input, { escapeCodeTimeout: ESCAPE_MS } as unknown as Interface);
    this.#input.on("keypress", key).on("end", on.closed).on("error", on.closed);
    this.#output.on("resize", on.resize);
    process.on("SIGTSTP", stop).on("SIGCONT", again).on("exit", restore).on("uncaughtExceptionMonitor", restore);
    this.#enter();
    return () => {
      this.#leave();
      this.#input.off("keypress", key).off("end", on.closed).off("error", on.closed);
      this.#output.off("resize", on.resize);
      process.off("SIGTSTP", stop).off("SIGCONT", again).off("exit", restore).off("uncaughtExceptionMonitor", restore);
      this.#input.destroy();
    };
  }

  /** To the shell; SIGCONT brings it back. */
  suspend(): void {
    this.#leave();
    process.kill(process.pid, "SIGSTOP");
  }

  #enter(): void {
    this.#shown = [];
    this.#entered = true;
    this.#input.setRawMode(true);
    this.#input.resume();
    this.#output.write(ENTER);
  }
  #leave(): void {
    if (!this.#entered) return;
    this.#entered = false;
    this.#output.write(LEAVE);
    try {
      this.#input.setRawMode(false);
    } catch {
      // The terminal is gone, and its mode with it.
    }
  }

  /** Everything is written again at the next draw(): what was on the screen is not what was drawn. */
  forget(): void {
    this.#shown = [];
    if (this.#entered) this.#output.write("\x1b[0m\x1b[2J");
  }

  /** `caret`: column of the cursor in the last line, hidden without it. */
  draw(lines: readonly Line[], caret: number | undefined): void {
    if (!this.#entered) return;
    let out = "";
    lines.forEach((line, i) => {
      const painted = this.#paint(line);
      if (this.#shown[i] === painted) return;
      this.#shown[i] = painted;
      // As wide as the screen: to erase the rest of the line would erase its last column.
      out += `\x1b[${i + 1};1H${painted}\x1b[0m`;
    });
    this.#shown.length = lines.length;
    out += caret === undefined ? "\x1b[?25l" : `\x1b[${lines.length};${caret + 1}H\x1b[?25h`;
    this.#output.write(out);
  }

  /** Into the clipboard of whoever sits at the terminal, where it supports that (OSC 52). */
  copy(text: string): void {
    this.#output.write(`\x1b]52;c;${Buffer.from(text).toString("base64")}\x07`);
  }

  #paint(line: Line): string {
    let out = "";
    let last = "";
    for (const { text, style } of line) {
      const sgr = this.#sgr(style);
      if (sgr !== last) out += `\x1b[0${sgr}m`;
      last = sgr;
      out += this.#options.unicode ? text : ascii(text);
    }
    return out;
  }
  #sgr(style: Style | undefined): string {
    if (!style) return "";
    const { color: wants, manyColors } = this.#options;
    const color = wants && style.color ? (style.color === "orange" && manyColors ? ORANGE_OF_256 : COLORS[style.color]) : "";
    return `${style.bold ? ";1" : ""}${style.dim && !style.reverse ? ";2" : ""}${style.reverse ? ";7" : ""}${color === "" ? "" : `;${color}`}`;
  }
}

const ASCII: Readonly<Record<string, string>> = {
  "─": "-", "═": "=", "━": "=", "│": "|", "▌": ">", "▸": "+", "▾": "-", "→": ">", "←": "<", "↑": "^", "↓": "v", "⇄": "-", "…": "~", "·": ".", "∙": ".", "█": "#", "░": ".", "✓": "+", "✗": "x",
}; // prettier-ignore
/** For terminals whose locale has no more. */
const ascii = (text: string): string => text.replaceAll(/[^ -~]/gu, (c) => ASCII[c] ?? "?");
