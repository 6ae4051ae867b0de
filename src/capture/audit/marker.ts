// The canary's marker in raw bytes (section 7.7): found whatever carries it, without any knowledge of headers.

/** True when `marker` stands somewhere in the bytes. */
export function holds(bytes: Uint8Array, marker: Uint8Array): boolean {
  const first = marker[0]!;
  const last = bytes.length - marker.length;
  for (let at = bytes.indexOf(first); at >= 0 && at <= last; at = bytes.indexOf(first, at + 1)) {
    let n = 1;
    while (n < marker.length && bytes[at + n] === marker[n]) n++;
    if (n === marker.length) return true;
  }
  return false;
}

/** A datagram's payload: the marker at every 64 bytes, so that also a fragment, a cut packet or an ICMP error's quote holds it whole. */
export function payloadOf(marker: Uint8Array, length: number): Uint8Array {
  const out = new Uint8Array(length);
  for (let at = 0; at < length; at += 64) out.set(marker.subarray(0, Math.min(marker.length, length - at)), at);
  return out;
}
