// How packets are printed: the list (outer line, inner line under it), the tree, the bytes.
import type { Dissection } from "../../capture/dissect.ts";
import { formatTime } from "../../capture/moment.ts";
import type { Summary } from "../../capture/summary.ts";
import { linesOf } from "../../capture/summary.ts";
import type { TrackedPacket } from "../../capture/tracker.ts";
import { printable } from "./printable.ts";

/** "    3   0.000963    10.77.0.1 → 10.77.0.2    WireGuard 170 Transport Data, …": tshark's columns. */
export function packetLine(t: TrackedPacket, first: bigint | undefined, outer: Summary = linesOf(t).outer): string {
  const time = t.packet.time === undefined ? "-" : formatTime(t.packet.time - (first ?? t.packet.time), 6);
  const ends = `${outer.src.padStart(12)} → ${outer.dst.padEnd(12)}`;
  return `${String(t.packet.number).padStart(5)} ${time.padStart(10)} ${ends} ${outer.protocol} ${t.packet.originalLength} ${outer.info}`;
}

/** The lines of one packet: the outer one, then one for each inner packet, then comments. */
export function packetLines(t: TrackedPacket, first: bigint | undefined, d?: Dissection): string[] {
  const { outer, inner } = linesOf(t, d);
  if (inner.length === 0 && t.packet.comments.length === 0) return [packetLine(t, first, outer)];
  const opened = t.messages.filter((m) => m.opened && m.opened.length > 0);
  return [
    packetLine(t, first, outer),
    ...inner.map((s, i) => `${" ".repeat(14)}└─ ${s.src.padStart(12)} → ${s.dst.padEnd(12)} ${s.protocol} ${opened[i]!.opened!.length} ${s.info}`),
    ...t.packet.comments.map((c) => `${" ".repeat(14)}   # ${printable(c)}`),
  ];
}

/** What was opened of a packet, a line for each inner packet. */
export const innerLines = (t: TrackedPacket, first: bigint | undefined): string[] =>
  t.messages.some((m) => m.opened && m.opened.length > 0) ? linesOf(t).inner.map((s) => packetLine(t, first, s)) : [];

/** Rows of sixteen bytes: offset, hex, characters. */
export function hexRows(bytes: Uint8Array): string[] {
  const rows: string[] = [];
  for (let at = 0; at < bytes.length; at += 16) {
    const part = bytes.subarray(at, at + 16);
    const hex = Array.from(part, (b) => b.toString(16).padStart(2, "0"))
      .join(" ")
      .padEnd(47);
    const text = Array.from(part, (b) => (b >= 32 && b < 127 ? String.fromCharCode(b) : ".")).join("");
    rows.push(`${at.toString(16).padStart(4, "0")}  ${hex}  ${text}`);
  }
  return rows;
}

/** Two columns of rows side by side; without a right column the left alone. */
export function sideBySide(left: readonly string[], right: readonly string[], width: number): string[] {
  if (right.length === 0) return [...left];
  const rows = Math.max(left.length, right.length);
  return Array.from({ length: rows }, (_, i) => `${clip(left[i] ?? "", width).padEnd(width)} │ ${right[i] ?? ""}`.trimEnd());
}
const clip = (text: string, width: number): string => (text.length > width ? `${text.slice(0, width - 1)}…` : text);
