// What an event of the handshake probe says, as the keys of a handshake. The kernel keeps what belongs together beside it (the public half of its own key, the
// secret that both static keys make), so each event tells by itself whether its fields were where they were looked for.
import { equal, wipe } from "../../base/bytes.ts";
import type { ProbeEvent } from "../../sys/probeevent.ts";
import type { Crypto, KeylogRecord } from "../../wireguard/index.ts";

/** A key of an event; undefined when it is not there, or not whole. */
export const keyOf = (event: ProbeEvent, name: string): Uint8Array | undefined => {
  const value = event.get(name);
  return typeof value === "string" || value?.length !== 32 ? undefined : value;
};

/** Of what wireguardprobe.ts reads. undefined: not all of it could be read, or the fields are not what they are taken for. */
export function handshakeOf(event: ProbeEvent, crypto: Pick<Crypto, "publicKey" | "dh">): KeylogRecord | undefined {
  const [localStaticPrivate, localPublic] = [keyOf(event, "static"), keyOf(event, "public")];
  const [remoteStaticPublic, shared] = [keyOf(event, "remote"), keyOf(event, "shared")];
  const [localEphemeralPrivate, presharedKey] = [keyOf(event, "ephemeral"), keyOf(event, "preshared")];
  if (!localStaticPrivate || !localPublic || !remoteStaticPublic || !shared || !localEphemeralPrivate || !presharedKey) return undefined;
  const secret = crypto.dh(localStaticPrivate, remoteStaticPublic);
  // RFC 7748, section 5: an ephemeral key was clamped when it was made.
  const clamped = (localEphemeralPrivate[0]! & 7) === 0 && localEphemeralPrivate[31]! >> 6 === 1;
  const sound = clamped && secret !== undefined && equal(secret, shared) && equal(crypto.publicKey(localStaticPrivate), localPublic);
  wipe(secret);
  return sound ? { localStaticPrivate, remoteStaticPublic, localEphemeralPrivate, presharedKey } : undefined;
}
