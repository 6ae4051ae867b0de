// The control half's side of keypairs: filling rows, and the order of previous, current and next (the kernel's noise.c, add_new_keypair).
import { wipe } from "../base/bytes.ts";
import type { TransportKeys } from "./handshake.ts";
import { lockKeypairs, unlockKeypairs } from "./lock.ts";
import type { Indices } from "./indices.ts";
import type { Reclaimer } from "./reclaim.ts";
import { keep } from "./secret.ts";
import { Keypair, keypairOf, Row, rowOf, stamp, type Tables, Usable } from "./tables.ts";

/** Keys of a session with the receiver indices of its messages: `remote` stands in those that are sent, `local` in those that come. */
export type SessionKeys = { readonly remote: number; readonly send: Uint8Array; readonly local: number; readonly receive: Uint8Array };

export class Keypairs {
  readonly #t: Tables;
  readonly #indices: Indices<unknown>;
  readonly #reclaimer: Reclaimer;
  readonly #free: number[] = [];
  /** Rows that were ever used: those after them are free too, and their memory was never touched. */
  #used = 0;
  /** Live keypairs of each peer. */
  readonly #live = new Map<number, Set<number>>();

  constructor(tables: Tables, indices: Indices<unknown>, reclaimer: Reclaimer) {
    this.#t = tables;
    this.#indices = indices;
    this.#reclaimer = reclaimer;
  }
  /** Rows that hold keys or wait to be freed: for leak checks. */
  get inUse(): number {
    return this.#used - this.#free.length;
  }

  /**
   * Installs the keys of a finished handshake, whose index becomes the keypair's; the keys are wiped. An initiator sends with them at once; a responder
   * when the initiator has proved that it has them. False: no row is free.
   */
  install(peer: number, keys: TransportKeys, a: { local: number; remote: number; initiator: boolean; now: number }): boolean {
    const slot = this.#take();
    if (slot < 0) {
      wipe(keys.send, keys.receive);
      return false;
    }
    const t = this.#t;
    const k = keypairOf(t, slot);
    t.i32[k + Keypair.PEER] = peer;
    t.u32[k + Keypair.LOCAL] = a.local;
    t.u32[k + Keypair.REMOTE] = a.remote;
    t.i32[k + Keypair.CREATED] = stamp(a.now);
    t.i32[k + Keypair.INITIATOR] = a.initiator ? 1 : 0;
    t.u8.set(keys.send, 4 * (k + Keypair.SEND_KEY));
    t.u8.set(keys.receive, 4 * (k + Keypair.RECEIVE_KEY));
    wipe(keys.send, keys.receive);
    Atomics.store(t.i32, k + Keypair.USABLE, Usable.SENDING | Usable.RECEIVING);
    this.#indices.publish(a.local, slot);
    this.#liveOf(peer).add(slot);

    const row = rowOf(t, peer);
    lockKeypairs(t, row);
    if (a.initiator) {
      const next = t.i32[row + Row.NEXT]!;
      Atomics.store(t.i32, row + Row.PREVIOUS, next !== 0 ? next : t.i32[row + Row.CURRENT]!);
      Atomics.store(t.i32, row + Row.NEXT, 0);
      Atomics.store(t.i32, row + Row.CURRENT, slot + 1);
    } else {
      Atomics.store(t.i32, row + Row.NEXT, slot + 1);
      Atomics.store(t.i32, row + Row.PREVIOUS, 0);
    }
    unlockKeypairs(t, row);
    this.sweep(peer);
    return true;
  }
  /** Puts a session of a device that was taken over into this word of its peer's row; `fill` writes its row. False: no row is free. */
  adopt(peer: number, word: number, fill: (k: number) => void): boolean {
    const slot = this.#take();
    if (slot < 0) return false;
    const k = keypairOf(this.#t, slot);
    this.#t.i32[k + Keypair.PEER] = peer;
    fill(k);
    this.#indices.publish(this.#t.u32[k + Keypair.LOCAL]!, slot);
    this.#liveOf(peer).add(slot);
    Atomics.store(this.#t.i32, rowOf(this.#t, peer) + word, slot + 1);
    return true;
  }
  /** Copies of the keys of a peer's sessions, which the caller wipes. */
  keys(peer: number): SessionKeys[] {
    const t = this.#t;
    return Array.from(this.#live.get(peer) ?? [], (slot) => {
      const k = keypairOf(t, slot);
      const copy = (word: number): Uint8Array => keep(t.u8.subarray(4 * (k + word), 4 * (k + word) + 32));
      return {
        remote: t.u32[k + Keypair.REMOTE]!,
        send: copy(Keypair.SEND_KEY),
        local: t.u32[k + Keypair.LOCAL]!,
        receive: copy(Keypair.RECEIVE_KEY),
      };
    });
  }
  /** Frees what the peer's row no longer names. */
  sweep(peer: number): void {
    const row = rowOf(this.#t, peer);
    lockKeypairs(this.#t, row);
    const named = [Row.CURRENT, Row.PREVIOUS, Row.NEXT].map((w) => this.#t.i32[row + w]! - 1);
    unlockKeypairs(this.#t, row);
    for (const slot of this.#liveOf(peer)) if (!named.includes(slot)) this.#retire(peer, slot);
  }
  /** Drops all keypairs of a peer. */
  clear(peer: number): void {
    const row = rowOf(this.#t, peer);
    lockKeypairs(this.#t, row);
    for (const w of [Row.CURRENT, Row.PREVIOUS, Row.NEXT]) Atomics.store(this.#t.i32, row + w, 0);
    unlockKeypairs(this.#t, row);
    this.sweep(peer);
    this.#live.delete(peer);
  }
  /** After a change of our key: what is on its way to us still opens, what leaves starts a new session. */
  stopSending(peer: number): void {
    for (const slot of this.#liveOf(peer)) Atomics.and(this.#t.i32, keypairOf(this.#t, slot) + Keypair.USABLE, ~Usable.SENDING);
  }

  /** Zeroes every row, whoever may still look at it. */
  wipe(): void {
    this.#t.i32.fill(0, this.#t.keypairs, keypairOf(this.#t, this.#used));
  }

  // A free row, or -1.
  #take(): number {
    return this.#free.pop() ?? (this.#used < this.#t.keypairCount ? this.#used++ : -1);
  }
  #liveOf(peer: number): Set<number> {
    const live = this.#live.get(peer) ?? new Set();
    this.#live.set(peer, live);
    return live;
  }
  #retire(peer: number, slot: number): void {
    const k = keypairOf(this.#t, slot);
    this.#live.get(peer)?.delete(slot);
    Atomics.store(this.#t.i32, k + Keypair.USABLE, 0);
    this.#indices.release(this.#t.u32[k + Keypair.LOCAL]!);
    this.#reclaimer.retire(() => {
      this.#t.i32.fill(0, k, k + Keypair.WORDS);
      return this.#free.push(slot) > 0;
    });
  }
}
