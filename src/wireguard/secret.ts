/** Zeroed bytes for a long-lived secret: a buffer of its own lies outside the garbage-collected heap, so that no copies are left behind when it moves. */
export const secret = (length = 32): Uint8Array<ArrayBuffer> => new Uint8Array(new ArrayBuffer(length));

/** A copy of `bytes` in such memory. */
export function keep(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const out = secret(bytes.length);
  out.set(bytes);
  return out;
}
