// The packet list: one line a packet, coloured by its class, which its first letter tells without colour.
import type { PacketClass } from "../../capture/packetclass.ts";
import { formatTime } from "../../capture/moment.ts";
import { contentRows, type Rect } from "./layout.ts";
import { chosen, rowsOf } from "./rows.ts";
import type { State } from "./state.ts";
import { clip, fit, fitLine, type Line, span, type Style, widthOf } from "./text.ts";
import type { World } from "./world.ts";

export const CLASS_STYLES: Readonly<Record<PacketClass, { readonly mark: string; readonly style: Style; readonly what: string }>> = {
  handshake: { mark: "H", style: { color: "blue" }, what: "handshake: initiation or response" },
  data: { mark: "D", style: { color: "green" }, what: "data that keys open; the line shows the inner packet" },
  keepalive: { mark: "k", style: { color: "grey" }, what: "keepalive" },
  cookie: { mark: "C", style: { color: "orange" }, what: "cookie reply: that side is under load" },
  plaintext: { mark: "!", style: { color: "red", bold: true }, what: "a pod's packet in the clear (needs --inventory or --cluster)" },
  sealed: { mark: "·", style: { dim: true }, what: "data that no key at hand opens; d says why" },
  other: { mark: " ", style: {}, what: "anything else" },
};

type Cells = {
  readonly no: string;
  readonly time: string;
  readonly src: string;
  readonly dst: string;
  readonly protocol: string;
  readonly length: string;
  readonly info: string;
};

/** The lines of the pane without its rule: headings, then packets. */
export function listLines(state: State, world: World, rect: Rect): Line[] {
  const rows = rowsOf(state, world);
  const page = contentRows(state, "list");
  const cursor = chosen(state, world);
  const top = state.follow ? Math.max(0, rows.length - page) : Math.max(0, Math.min(state.top, rows.length - page));
  const packets = Array.from({ length: Math.max(0, Math.min(page, rows.length - top)) }, (_, i) => rows.packet(top + i));
  const narrow = rect.columns < 100;
  const cells = packets.map((p) => cellsOf(p, state, world, narrow));
  const widest = (of: (c: Cells) => string, least: number, most: number): number =>
    Math.min(most, Math.max(least, ...cells.map((c) => widthOf(of(c)))));
  const address = narrow ? 15 : rect.columns < 160 ? 24 : 39;
  const widths = {
    no: Math.max(3, String(world.length).length),
    time: widest((c) => c.time, 8, 16),
    src: widest((c) => c.src, 11, address),
    dst: widest((c) => c.dst, 11, address),
    protocol: widest((c) => c.protocol, narrow ? 4 : 9, 9),
    length: widest((c) => c.length, 4, 6),
  };
  const text = (c: Cells): string =>
    [
      fit(c.no, widths.no, "right"),
      fit(c.time, widths.time, "right"),
      fit(c.src, widths.src),
      fit(c.dst, widths.dst),
      fit(c.protocol, widths.protocol),
      fit(c.length, widths.length, "right"),
      c.info,
    ].join(" ");
  const heading = { no: "No.", time: "Time", src: "Source", dst: "Destination", protocol: narrow ? "Prot" : "Protocol", length: "Len", info: "Info" };
  const lines: Line[] = [[span(fit(`   ${text(heading)}`, rect.columns), { bold: true })]];
  packets.forEach((p, i) => {
    const { mark, style } = CLASS_STYLES[world.classOf(p)];
    const isMatch = world.filter !== undefined && !state.only && world.filter.matches.has(p);
    const line = [span(isMatch ? "▌" : " ", { bold: true }), span(`${mark} ${text(cells[i]!)}`, isMatch ? { ...style, bold: true } : style)];
    lines.push(fitLine(line, rect.columns, p === cursor ? { reverse: true } : undefined));
  });
  if (packets.length === 0) lines.push([span(clip(emptyText(world), rect.columns), { dim: true })]);
  return lines;
}

function cellsOf(packet: number, state: State, world: World, narrow: boolean): Cells {
  const look = world.look(packet);
  const { packet: p } = look.tracked;
  const { outer, inner } = look.lines;
  const shown = (state.outer ? undefined : inner[0]) ?? outer;
  const more = !state.outer && inner.length > 1 ? ` (and ${inner.length - 1} more)` : "";
  const comment = p.comments.length > 0 ? ` # ${p.comments[0]}` : "";
  return {
    no: String(packet + 1),
    time: p.time === undefined ? "-" : formatTime(p.time - (world.facts.first ?? p.time), narrow ? 4 : 6),
    src: shown.src,
    dst: shown.dst,
    protocol: narrow && shown.protocol === "WireGuard" ? "WG" : shown.protocol,
    length: String(p.originalLength),
    info: shown.info + more + comment,
  };
}

function emptyText(world: World): string {
  const { filter } = world;
  if (filter) return filter.done < world.length ? "  No packet matches so far" : "  No packet matches the filter: / changes it, Esc shows all";
  return world.rates || world.progress ? "  No packet has come yet" : "  There are no packets in this capture";
}
