// Opening a data message: whole and authenticated, or as much of it as was captured.
import { decodeIp } from "../packet/decode.ts";
import type { Layer } from "../packet/layer.ts";
import type { Crypto } from "../wireguard/crypto.ts";
import { DATA_HEADER, TAG_LENGTH } from "../wireguard/messages.ts";
import type { DataMessage } from "./message.ts";
import { openData, openPrefix } from "./replay.ts";

/** An inner packet. */
export type Opened = {
  /** The inner IP packet without padding; empty for a keepalive. */
  readonly bytes: Uint8Array;
  readonly layers: readonly Layer[];
  /** False when the captured packet was cut, so that no tag could be checked. */
  readonly authenticated: boolean;
  /** Zero bytes that stood after the packet. */
  readonly padding: number;
};
/** undefined: the key is not this message's. */
export function openMessage(crypto: Crypto, key: Uint8Array, m: DataMessage): Opened | undefined {
  const sealed = m.bytes.subarray(DATA_HEADER);
  if (m.bytes.length === m.length) {
    const plain = openData(crypto, key, m.counter, sealed);
    return plain && inner(plain, plain.length, true);
  }
  const total = m.length - DATA_HEADER - TAG_LENGTH;
  const plain = openPrefix(crypto, key, m.counter, sealed.subarray(0, total));
  // Without a tag only the look of it tells: an IP header whose length fits.
  return looksLikeIp(plain, total) ? inner(plain, total, false) : undefined;
}

/** Length of the IP packet at the start of a plaintext, from its own header; the rest is padding. */
function ipLength(plain: Uint8Array, total: number): number {
  if (total >= 20 && plain.length >= 4 && plain[0]! >> 4 === 4) return Math.min(total, (plain[2]! << 8) | plain[3]!);
  if (total >= 40 && plain.length >= 6 && plain[0]! >> 4 === 6) return Math.min(total, 40 + ((plain[4]! << 8) | plain[5]!));
  return total;
}
function inner(plain: Uint8Array, total: number, authenticated: boolean): Opened {
  const length = ipLength(plain, total);
  const bytes = plain.subarray(0, length);
  return { bytes, layers: bytes.length > 0 ? decodeIp(bytes) : [], authenticated, padding: total - length };
}
function looksLikeIp(plain: Uint8Array, total: number): boolean {
  const version = plain.length > 0 ? plain[0]! >> 4 : 0;
  if (version === 4) return plain.length >= 20 && (plain[0]! & 15) >= 5 && ipLength(plain, total) >= 20 && total - ipLength(plain, total) < 16;
  return version === 6 && plain.length >= 6 && total - ipLength(plain, total) < 16;
}
