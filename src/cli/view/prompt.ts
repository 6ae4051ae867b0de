// The line in which filters and places are typed.
import type { Key } from "./keys.ts";
import type { Prompt } from "./state.ts";

const MAX_LENGTH = 4096;

/** What a key makes of it; up and down bring earlier filters back. */
export function edited(p: Prompt, key: Key, history: readonly string[]): Prompt {
  const { text, caret } = p;
  const to = (next: string, at: number): Prompt => ({ ...p, text: next, caret: at, error: undefined });
  const word = (): number => text.slice(0, caret).trimEnd().lastIndexOf(" ") + 1;
  const cut = (from: number, until: number): Prompt => to(text.slice(0, from) + text.slice(until), from);
  if (key.ctrl) {
    if (key.name === "u") return cut(0, caret);
    if (key.name === "k") return cut(caret, text.length);
    if (key.name === "w") return cut(word(), caret);
    if (key.name === "a") return to(text, 0);
    if (key.name === "e") return to(text, text.length);
    return p;
  }
  switch (key.name) {
    case "backspace":
      return caret > 0 ? cut(caret - 1, caret) : p;
    case "delete":
      return cut(caret, caret + 1);
    case "left":
      return to(text, Math.max(0, caret - 1));
    case "right":
      return to(text, Math.min(text.length, caret + 1));
    case "home":
      return to(text, 0);
    case "end":
      return to(text, text.length);
    case "up":
    case "down": {
      if (p.kind !== "filter") return p;
      const past = Math.max(-1, Math.min(history.length - 1, p.past + (key.name === "up" ? 1 : -1)));
      const line = past < 0 ? "" : history[past]!;
      return { ...to(line, line.length), past };
    }
    default:
      if (!/^[ -~\u00a0-\uffff]+$/.test(key.text) || text.length + key.text.length > MAX_LENGTH) return p;
      return to(text.slice(0, caret) + key.text + text.slice(caret), caret + key.text.length);
  }
}
