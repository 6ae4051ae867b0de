// The state of a peer while it is being put together: by a client from an answer, by the in-memory device from what is set.
import type { Cidr } from "../base/cidr.ts";
import type { PeerState } from "./types.ts";

export type Draft<T> = { -readonly [K in keyof T]: T[K] };
export type PeerDraft = Draft<Omit<PeerState, "allowedIps">> & { allowedIps: Cidr[] };

/** A peer of which nothing but the key is known. */
export const newPeer = (publicKey: Uint8Array): PeerDraft => ({
  publicKey,
  presharedKey: new Uint8Array(32),
  lastHandshakeSec: 0,
  lastHandshakeNsec: 0,
  txBytes: 0,
  rxBytes: 0,
  persistentKeepalive: 0,
  allowedIps: [],
});
