// What Poly1305 reads behind a ciphertext when there is no additional data (RFC 8439 section 2.8): zeros to a multiple of 16, then both lengths.

/** Puts it behind the `length` bytes at `at`, of which none is touched: up to 31 bytes. Words are written one by one where they can be: fill() is dearer. */
export function writePolyInput(u8: Uint8Array, u32: Uint32Array, at: number, length: number): void {
  const end = at + length;
  const lengthsAt = at + ((length + 15) & ~15);
  if (((at | length) & 3) === 0) {
    const lengths = lengthsAt >>> 2;
    for (let i = end >>> 2; i < lengths; i++) u32[i] = 0;
    u32[lengths] = 0;
    u32[lengths + 1] = 0;
    u32[lengths + 2] = length;
    u32[lengths + 3] = 0;
  } else {
    u8.fill(0, end, lengthsAt + 16);
    writeLength(u8, lengthsAt + 8, length);
  }
}

/** The low three bytes of a length: no packet is longer. */
export function writeLength(b: Uint8Array, at: number, length: number): void {
  b[at] = length;
  b[at + 1] = length >>> 8;
  b[at + 2] = length >>> 16;
}
