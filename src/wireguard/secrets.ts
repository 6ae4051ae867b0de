// Where the control half keeps its secrets: cells of 32 bytes at fixed places in one piece of memory, which in production lies in the device's shared
// memory (src/runtime/plan.ts) and is locked and kept out of dumps. The transport keys alone lie elsewhere: in their keypairs' rows (tables.ts).
// Nothing here is allocated or given back: every secret has its place, and is wiped there when its time is over.
import type { Limits } from "./tables.ts";

const CELL = 32;
/** What a SecretCrypto computes in. */
const SCRATCH = 1024;

const cellNames = ["privateKey", "cookieSecret", "incoming", "ephemeral", "chain", "hash", "key", "shared", "first", "second"] as const;
const peerNames = ["presharedKey", "shared", "ephemeral", "chain", "hash", "cookie"] as const;
const PEERS = Math.ceil((SCRATCH + cellNames.length * CELL) / 64) * 64;
const ROW = peerNames.length * CELL;

/**
 * The device's own cells: its private key, the secret its cookies are made of, a key on its way in, and those that the handshake message of the moment is worked on in: an
 * ephemeral private key, the transcript (chaining key, hash, key), a Diffie-Hellman result, the two transport keys.
 */
export type Cells = { readonly [Name in (typeof cellNames)[number]]: Uint8Array };
/** A peer's: preshared key, DH of the static keys, then of our initiation that waits for its response; the cookie it gave us (16 bytes). */
export type PeerCells = { readonly [Name in (typeof peerNames)[number]]: Uint8Array };

/** Bytes that the secrets of a device with these limits take. */
export const secretsSize = (limits: Pick<Limits, "peers">): number => PEERS + limits.peers * ROW;

export class Secrets {
  readonly cells: Cells;
  readonly scratch: Uint8Array;
  readonly #memory: ArrayBufferLike;
  readonly #at: number;
  readonly #peers: number;
  #used = 0;

  /** `at`: offset of secretsSize() zero bytes, a multiple of 64. @default memory of their own */
  constructor(limits: Pick<Limits, "peers">, memory: ArrayBufferLike = new ArrayBuffer(secretsSize(limits)), at = 0) {
    this.#memory = memory;
    this.#at = at;
    this.#peers = limits.peers;
    this.scratch = new Uint8Array(memory, at, SCRATCH);
    this.cells = this.#name(cellNames, at + SCRATCH);
  }
  /** The cells of the peer in this slot. */
  peer(slot: number): PeerCells {
    if (slot >= this.#peers) throw new RangeError(`Cannot keep secrets of peer ${slot}: there is room for ${this.#peers}`);
    this.#used = Math.max(this.#used, slot + 1);
    return this.#name(peerNames, this.#at + PEERS + slot * ROW);
  }
  /** Zeroes all that was ever used. */
  wipe(): void {
    new Uint8Array(this.#memory, this.#at, PEERS + this.#used * ROW).fill(0);
  }

  #name<Name extends string>(names: readonly Name[], at: number): { readonly [N in Name]: Uint8Array } {
    return Object.fromEntries(names.map((name, i) => [name, new Uint8Array(this.#memory, at + i * CELL, CELL)])) as { [N in Name]: Uint8Array };
  }
}
