// The conversations: who talks with whom on the wire and inside of the tunnels; the chosen one becomes a filter, or is followed.
import { formatEndpoint, formatIp } from "../../base/ip.ts";
import type { Conversation, ConversationEnd } from "../../capture/conversations.ts";
import { formatTime } from "../../capture/moment.ts";
import { flowKey } from "../../capture/packetflow.ts";
import { bodyRows } from "./layout.ts";
import { topFor } from "./scroll.ts";
import type { State } from "./state.ts";
import { fit, fitLine, type Line, span } from "./text.ts";
import type { World } from "./world.ts";

const LEAST_FOR_TIMES = 100;
/** Rows of the table without its heading. */
export const conversationRows = (state: State): number => Math.max(1, bodyRows(state) - 1);
export const chosenConversation = (state: State, world: World): Conversation | undefined => {
  const all = world.conversations.list();
  return all[Math.min(state.conversations.cursor, all.length - 1)];
};

/** undefined for what is not TCP or UDP. */
export function followKeyOf({ protocol, inside, ends: [a, b] }: Conversation): string | undefined {
  return protocol === "ip" ? undefined : flowKey(protocol, inside, { ip: a.ip, port: a.port! }, { ip: b.ip, port: b.port! });
}

export function conversationLines(state: State, world: World): Line[] {
  const { columns } = state.size;
  const all = world.conversations.list();
  if (all.length === 0) return [[span(world.walking ? "  Looking through the capture …" : "  No IP packet has been seen", { dim: true })]];
  const rows = conversationRows(state);
  const cursor = Math.min(state.conversations.cursor, all.length - 1);
  const top = topFor({ cursor, top: state.conversations.top }, all.length, rows);
  const side = Math.max(21, Math.min(47, Math.floor((columns - 52) / 2)));
  const line = (protocol: string, where: string, a: string, b: string, numbers: readonly string[], start: string): string =>
    [
      fit(protocol, 4),
      fit(where, 6),
      fit(a, side),
      fit(b, side),
      ...numbers.map((n) => fit(n, 7, "right")),
      ...(columns >= LEAST_FOR_TIMES ? [start] : []),
    ].join(" ");
  const heading = line("Prot", "Where", "A", "B", ["A→B", "B→A", "Bytes"], "Start, length");
  const lines: Line[] = [[span(fit(heading, columns), { bold: true })]];
  all.slice(top, top + rows).forEach((c, i) => {
    const [a, b] = c.ends;
    const start = c.first === undefined ? "-" : formatTime(c.first - (world.facts.first ?? c.first), 3);
    const length = c.first === undefined || c.last === undefined ? "" : `, ${formatTime(c.last - c.first, 1)} s`;
    const numbers = [brief(a.packets), brief(b.packets), brief(a.bytes + b.bytes)];
    const text = line(c.protocol.toUpperCase(), c.inside ? "tunnel" : "wire", endText(a), endText(b), numbers, start + length);
    lines.push(fitLine([span(text, c.inside ? { color: "green" } : undefined)], columns, top + i === cursor ? { reverse: true } : undefined));
  });
  return lines;
}

const endText = (e: ConversationEnd): string => (e.port === undefined ? formatIp(e.ip) : formatEndpoint(e.ip, e.port));
/** In seven cells. */
const brief = (n: number): string => (n < 1e6 ? String(n) : n < 1e9 ? `${(n / 1e6).toFixed(1)}M` : `${(n / 1e9).toFixed(1)}G`);
