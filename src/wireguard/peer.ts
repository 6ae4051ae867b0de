// What the control half knows of a peer.
import type { Cidr } from "../base/cidr.ts";
import type { Endpoint } from "./endpoint.ts";

/** Changes go through Device. */
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
