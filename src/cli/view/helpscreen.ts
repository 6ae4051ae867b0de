// The keys, and what the letters and colours of the list mean.
import { bodyRows } from "./layout.ts";
import { CLASS_STYLES } from "./listpane.ts";
import type { State } from "./state.ts";
import { fit, type Line, span, type Style, wrap } from "./text.ts";

const KEYS: readonly (readonly [keys: string, what: string])[] = [
  ["↑ ↓ PgUp PgDn Home End", "move (also j, k and space)"],
  ["Tab, Shift-Tab", "next pane, previous pane"],
  ["Enter, → ←", "list: to the tree; tree: unfold and fold; bytes: next tab"],
  ["/", "display filter, Wireshark's language: wg.type == 1; ↑ brings earlier ones"],
  ["n, N", "next and previous match"],
  ["v", "show the other packets too, matches marked"],
  ["Esc", "one step back: stops a search, then shows all packets"],
  ["g", 'go to a packet: 120, "50%", "3.5s" after the first'],
  ["f", "follow: the newest packet as it comes, also of a file that grows"],
  ["y", "copy as filter: the session of the packet, or the field in the tree"],
  ["o", "outer or inner packet in the list"],
  ["z", "one pane on the whole screen"],
  ["s", "sessions; Enter there shows the packets of one"],
  ["c", "conversations, on the wire and inside; Enter there shows their packets"],
  ["F", "follow the TCP or UDP stream of the packet or conversation; x as bytes"],
  ["P", "peers: what each end sent and lost, handshakes, alarms"],
  ["a", "audit: were pods' packets in the clear (needs --inventory or --cluster)"],
  ["t", "timeline of the sessions"],
  ["d", "doctor: why sessions do not open, and what would be needed"],
  ["p", "back to the packets"],
  ["?", "this help"],
  ["q, Ctrl-C", "quit;  Ctrl-Z: to the shell and back with fg;  Ctrl-L: draw anew"],
];

export function helpLines(state: State): Line[] {
  const lines: Line[] = [[span(" Keys", { bold: true })]];
  const entry = (keys: string, what: string, style: Style): void =>
    wrap(what, state.size.columns - 26).forEach((text, i) => lines.push([span(`  ${fit(i === 0 ? keys : "", 23)}`, style), span(text)]));
  for (const [keys, what] of KEYS) entry(keys, what, { bold: true });
  lines.push([], [span(" The first letter of a packet", { bold: true })]);
  for (const { mark, style, what } of Object.values(CLASS_STYLES)) entry(mark === " " ? "(none)" : mark, what, style);
  const rows = bodyRows(state);
  const top = Math.max(0, Math.min(state.help, lines.length - rows));
  return lines.slice(top, top + rows);
}
