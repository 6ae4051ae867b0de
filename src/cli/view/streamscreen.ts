// A followed stream: what both ends of a TCP or UDP flow said, as text or as bytes; an arrow tells the sides apart without colour.
import { formatEndpoint } from "../../base/ip.ts";
import { concat } from "../../base/bytes.ts";
import type { FollowedStream, Said } from "../../capture/follow.ts";
import { many } from "../../base/text.ts";
import { bodyRows, bytesPerRow } from "./layout.ts";
import type { State } from "./state.ts";
import { clip, type Line, span, type Style, widthOf } from "./text.ts";
import { hexLine } from "./treepane.ts";
import type { World } from "./world.ts";

const SIDES: readonly (readonly [arrow: string, style: Style])[] = [
  ["→ ", { color: "blue" }],
  ["← ", { color: "red" }],
];

export function streamLines(state: State, world: World): Line[] {
  const { stream } = world;
  if (!stream?.ends) return [[span(world.walking ? "  Looking through the capture …" : "  No packet of this flow has been seen", { dim: true })]];
  const lines = linesOf(stream, state);
  const rows = bodyRows(state) - 1;
  const top = Math.max(0, Math.min(state.stream, lines.length - rows));
  return [heading(stream, state.size.columns, world.walking), ...lines.slice(top, top + rows)];
}

function heading(s: FollowedStream, columns: number, walking: boolean): Line {
  const [a, b] = s.ends!.map((e) => formatEndpoint(e.ip, e.port));
  const notes = [
    `${many(s.bytes[0], "byte")} →, ${s.bytes[1]} ←`,
    s.waiting > 0 ? `${s.waiting} behind a gap` : "",
    s.isCut ? "only the beginning is shown" : "",
    walking ? "looking on …" : "",
  ];
  return [span(clip(` ${a} ⇄ ${b}: ${notes.filter(Boolean).join(", ")}`, columns), { bold: true })];
}

/** What was made of a stream last: to draw it anew costs nothing while nothing has changed. */
let made: { readonly stream: FollowedStream; readonly key: string; readonly lines: readonly Line[] } | undefined;

function linesOf(stream: FollowedStream, state: State): readonly Line[] {
  const key = `${stream.version} ${state.size.columns} ${state.streamAsBytes}`;
  if (made?.stream !== stream || made.key !== key)
    made = { stream, key, lines: stream.said.flatMap((s) => saidLines(s, state.size.columns, state.streamAsBytes)) };
  return made.lines;
}

function saidLines(said: Said, columns: number, asBytes: boolean): Line[] {
  const [arrow, style] = SIDES[said.side]!;
  if (said.missing > 0)
    return [[span(arrow, style), span(`[${many(said.missing, "byte")} not in the capture, before packet ${said.frame}]`, { bold: true })]];
  const bytes = concat(...said.bytes);
  if (asBytes) {
    const perRow = bytesPerRow(columns - arrow.length);
    return Array.from({ length: Math.ceil(bytes.length / perRow) }, (_, i) => [span(arrow, style), ...hexLine(bytes, i * perRow, perRow, 0, 0)]);
  }
  const room = Math.max(1, columns - arrow.length);
  const text = new TextDecoder().decode(bytes).replaceAll("\t", "    ");
  const lines = text.replace(/\r?\n$/, "").split(/\r?\n/);
  return lines.flatMap((l) => pieces(l, room).map((piece): Line => [span(arrow, style), span(piece, style)]));
}

/** A line cut where the screen ends. */
function pieces(line: string, room: number): string[] {
  const found: string[] = [];
  let piece = "";
  let width = 0;
  for (const c of line) {
    const w = widthOf(c);
    if (width + w > room) {
      found.push(piece);
      [piece, width] = ["", 0];
    }
    piece += c;
    width += w;
  }
  return [...found, piece];
}
