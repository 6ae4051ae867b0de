// When the timers of which peer are looked at: those that were just noted (noted.ts) and those that have something due within a second on every tick, the others
// when their second comes, and those that wait for nothing never. It knows rows of peers and times, not what the timers are.
import { takeNoted } from "./noted.ts";
import type { Tables } from "./tables.ts";

/** Milliseconds: how fine what is far away is sorted; and how long a noted peer is looked at, as the stamp behind a note may be seen later than the note. */
const SECOND = 1000;

export class Agenda {
  readonly #t: Tables;
  /** Looked at on every tick: since when. */
  readonly #soon = new Map<number, number>();
  /** By the second in which something is due. */
  readonly #later = new Map<number, Set<number>>();
  readonly #secondOf = new Map<number, number>();
  #second = -1;

  constructor(tables: Tables) {
    this.#t = tables;
  }
  /** Peers that are waiting for something: for leak checks. */
  get size(): number {
    return this.#soon.size + this.#secondOf.size;
  }

  /** The peers to look at. After the look, later() for each. */
  now(now: number): Iterable<number> {
    takeNoted(this.#t, (peer) => this.#bring(peer, now));
    const second = Math.floor(now / SECOND);
    if (second !== this.#second) {
      this.#second = second;
      for (const [due, peers] of this.#later) if (due <= second) for (const peer of peers) this.#bring(peer, now - SECOND);
    }
    return this.#soon.keys();
  }
  /** Nothing of the peer is due before `due`; Infinity: nothing at all. */
  later(peer: number, due: number, now: number): void {
    if (due - now < SECOND || now - (this.#soon.get(peer) ?? now) < SECOND) return;
    this.#soon.delete(peer);
    if (due === Infinity) return;
    const second = Math.floor(due / SECOND);
    const peers = this.#later.get(second);
    if (peers) peers.add(peer);
    else this.#later.set(second, new Set([peer]));
    this.#secondOf.set(peer, second);
  }
  forget(peer: number): void {
    this.#soon.delete(peer);
    this.#take(peer);
  }

  #bring(peer: number, since: number): void {
    this.#take(peer);
    this.#soon.set(peer, since);
  }
  #take(peer: number): void {
    const second = this.#secondOf.get(peer);
    if (second === undefined) return;
    const peers = this.#later.get(second)!;
    peers.delete(peer);
    if (peers.size === 0) this.#later.delete(second);
    this.#secondOf.delete(peer);
  }
}
