// What the control half knows of a peer. Its owner is the Device: changes go through that.
import { wipe } from "../base/bytes.ts";
import type { Cidr } from "../base/cidr.ts";
import type { AllowedIps } from "./allowedips.ts";
import { CookieMaker } from "./cookie.ts";
import type { Crypto } from "./crypto.ts";
import { type Endpoint, ENDPOINT_WORDS, readEndpoint } from "./endpoint.ts";
import type { Initiator } from "./handshake.ts";
import { TIMESTAMP_LENGTH } from "./messages.ts";
import { copyEndpoint } from "./roaming.ts";
import { keep } from "./secret.ts";
import type { PeerCells } from "./secrets.ts";
import { rowOf, type Tables, Traffic } from "./tables.ts";
import { traffic } from "./traffic.ts";

/** For those who look on; the device holds PeerState. */
export interface Peer {
  readonly publicKey: Uint8Array;
  /** Number of its row in the tables. */
  readonly slot: number;
  /** A copy, which the caller wipes. Zeros: none. */
  presharedKey(): Uint8Array;
  endpoint(): Endpoint | undefined;
  /** Wall milliseconds of the last completed handshake; 0: never. Never decreases. */
  readonly lastHandshake: number;
  /** UDP payload bytes of what was accepted and sent: data, keepalives and handshakes. */
  rxBytes(): number;
  txBytes(): number;
  /** Seconds, 0: off. */
  readonly persistentKeepalive: number;
  /** In the order in which they were added. */
  allowedIps(): Iterable<Cidr>;
}

export class PeerState implements Peer {
  readonly publicKey: Uint8Array;
  readonly slot: number;
  readonly #tables: Tables;
  readonly #allowedIps: AllowedIps;
  readonly #words = new Int32Array(ENDPOINT_WORDS);

  // --- Keys ---
  readonly cells: PeerCells;
  /** DH of the two static keys, in its cell; undefined without a key of ours, or when theirs is of low order: then there is never a handshake. */
  ss: Uint8Array | undefined;
  readonly cookies: CookieMaker;

  // --- Handshake ---
  /** Our initiation that waits for its response, and its bytes. */
  initiator: Initiator | undefined;
  initiation: Uint8Array | undefined;
  lastInitiationSent: number = -Infinity;
  /** Rate limit of initiations: set by sending one, or a response. */
  lastHandshakeSent: number = -Infinity;
  lastStamp: Uint8Array = new Uint8Array(TIMESTAMP_LENGTH);
  /** Of the initiations of the peer that were accepted: the greatest timestamp, and when the last came. */
  greatestStamp: Uint8Array = new Uint8Array(TIMESTAMP_LENGTH);
  lastInitiationReceived: number = -Infinity;
  lastHandshake = 0;

  // --- Timers: when they expire (milliseconds), Infinity: not armed. The other two live as stamps in the row. ---
  retransmit: number = Infinity;
  zeroKeys: number = Infinity;
  attempts = 0;
  /** Of the new-handshake timer. */
  jitter = 0;
  persistentKeepalive = 0;
  /** Last handshake message sent or received, or keepalive wanted: for the persistent keepalive, beside the row's stamps. */
  lastTraversal: number = -Infinity;

  handshakeRxBytes = 0;
  handshakeTxBytes = 0;

  constructor(crypto: Crypto, tables: Tables, a: { publicKey: Uint8Array; slot: number; cells: PeerCells; allowedIps: AllowedIps }) {
    this.publicKey = a.publicKey;
    this.slot = a.slot;
    this.#tables = tables;
    this.#allowedIps = a.allowedIps;
    this.cells = a.cells;
    this.cookies = new CookieMaker(crypto, a.publicKey, a.cells.cookie);
  }
  get row(): number {
    return rowOf(this.#tables, this.slot);
  }
  presharedKey(): Uint8Array {
    return keep(this.cells.presharedKey);
  }
  endpoint(): Endpoint | undefined {
    if (copyEndpoint(this.#tables, this.slot, this.#words, 0) < 0) return undefined;
    return readEndpoint(new Uint8Array(this.#words.buffer), new Uint32Array(this.#words.buffer), 0);
  }
  rxBytes(): number {
    return this.handshakeRxBytes + traffic(this.#tables, this.slot, Traffic.RX_BYTES);
  }
  txBytes(): number {
    return this.handshakeTxBytes + traffic(this.#tables, this.slot, Traffic.TX_BYTES);
  }
  allowedIps(): Iterable<Cidr> {
    return this.#allowedIps.of(this.slot);
  }
  wipe(): void {
    this.cookies.wipe();
    wipe(...Object.values(this.cells));
  }
}
