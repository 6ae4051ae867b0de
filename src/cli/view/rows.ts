// Which packets the list has: all, or those that the filter matches.
import type { State } from "./state.ts";
import type { World } from "./world.ts";

export type Rows = {
  readonly length: number;
  /** Number of the packet in a row. */
  packet(row: number): number;
  /** Row of a packet; where it has none, of the next one that has. */
  row(packet: number): number;
};

export function rowsOf(state: State, world: World): Rows {
  const { filter } = world;
  if (!filter || !state.only) return { length: world.length, packet: (row) => row, row: (packet) => Math.max(0, Math.min(packet, world.length - 1)) };
  const { matches } = filter;
  return {
    length: matches.length,
    packet: (row) => matches.at(row) ?? 0,
    row: (packet) => Math.max(0, Math.min(matches.place(packet), matches.length - 1)),
  };
}

/** Number of the packet that is chosen: of those in the list. undefined: the list is empty. */
export function chosen(state: State, world: World): number | undefined {
  const rows = rowsOf(state, world);
  if (rows.length === 0) return undefined;
  return rows.packet(state.follow ? rows.length - 1 : rows.row(state.packet));
}
