// What a packet is at a glance: the classes by which viewers colour it (section 8.2).
import { isKeepalive } from "./message.ts";
import type { TrackedPacket } from "./tracked.ts";

/** All classes. */
export const PACKET_CLASSES = ["other", "handshake", "cookie", "keepalive", "data", "sealed", "plaintext"] as const;
/** "data": opened; "sealed": data that no key at hand opens; "plaintext": a pod's packet outside of any tunnel. */
export type PacketClass = (typeof PACKET_CLASSES)[number];

/** The class of a packet. `isPod`: whether an address is a pod's, where that is known. */
export function classOf(t: TrackedPacket, isPod?: (ip: Uint8Array) => boolean): PacketClass {
  const [first] = t.messages;
  if (!first)
    return isPod && (t.whole?.layers ?? t.layers).some((l) => (l.kind === "ipv4" || l.kind === "ipv6") && (isPod(l.src) || isPod(l.dst)))
      ? "plaintext"
      : "other";
  if (first.message.type === 3) return "cookie";
  if (first.message.type !== 4) return "handshake";
  if (t.messages.every((m) => m.message.type === 4 && isKeepalive(m.message))) return "keepalive";
  return t.messages.some((m) => m.opened) ? "data" : "sealed";
}
