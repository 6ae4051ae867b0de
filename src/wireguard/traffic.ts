// What the data threads count: drops by reason, bytes and packets of each peer. Every thread has rows of its own, so that counting needs no lock.
import { DATA_DROPS, DROPS } from "./drop.ts";
import { DATA_THREADS, type Tables, Traffic } from "./tables.ts";

/** Word index of a peer's counters of one thread. */
export const trafficOf = (t: Tables, thread: number, peer: number): number => t.traffic + (peer * DATA_THREADS + thread) * Traffic.WORDS;

/** Sum of one of a peer's float64 counters: Traffic.RX_BYTES and the like. */
export function traffic(t: Tables, peer: number, counter: number): number {
  let sum = 0;
  for (let thread = 0; thread < DATA_THREADS; thread++) sum += t.f64[(trafficOf(t, thread, peer) >>> 1) + counter]!;
  return sum;
}

/** Packets dropped for a reason, all threads together. */
export function dropped(t: Tables, reason: number): number {
  let sum = 0;
  for (let thread = 0; thread < DATA_THREADS; thread++) sum += t.f64[t.drops + thread * DROPS.length + reason]!;
  return sum;
}

/** For a new owner of the row. Writes only where something stands: memory that nobody wrote to costs nothing. */
export function clearTraffic(t: Tables, peer: number): void {
  const from = trafficOf(t, 0, peer);
  for (let i = from; i < from + DATA_THREADS * Traffic.WORDS; i++) if (t.i32[i] !== 0) t.i32[i] = 0;
}

/** Counts a drop of one thread; `peer` -1: nobody's. */
export function countDrop(t: Tables, thread: number, peer: number, reason: number): void {
  t.f64[t.drops + thread * DROPS.length + reason]! += 1;
  if (peer >= 0 && reason < DATA_DROPS) t.i32[trafficOf(t, thread, peer) + Traffic.DROPS + reason]! += 1;
}
