// The identity of an object as projectcalico.org/v3 shows it, made of that of its crd.projectcalico.org/v1 object: the bits of each byte in reverse, but
// for the two bytes that hold a UUID's version and variant. Done twice it gives back what it was given.

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
/** Bytes that stay: time_hi_and_version, clock_seq_hi_and_reserved (RFC 9562). */
const KEPT = new Set([6, 8]);

function reversed(byte: number): number {
  let out = 0;
  for (let bit = 0; bit < 8; bit++) out |= ((byte >> bit) & 1) << (7 - bit);
  return out;
}

/** The other of the two identities; what is no UUID stays as it is. */
export function mirroredUid(uid: string): string {
  if (!UUID.test(uid)) return uid;
  let i = 0;
  return uid.toLowerCase().replace(/[0-9a-f]{2}/g, (byte) => (KEPT.has(i++) ? byte : reversed(parseInt(byte, 16)).toString(16).padStart(2, "0")));
}
