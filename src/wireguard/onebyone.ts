// Sealer and Opener on a PacketCrypto that does each message at once.
import type { PacketCrypto, Packets } from "./crypto.ts";

const CAPACITY = 16;

export function oneByOne(crypto: PacketCrypto): Packets {
  const results = new Uint8Array(CAPACITY);
  let n = 0;
  return {
    name: crypto.name,
    sealer: {
      capacity: CAPACITY,
      seal: (keyAt, counterLo, counterHi, at, length) => crypto.seal(keyAt, counterLo, counterHi, at, at, length),
      run: () => {},
    },
    opener: {
      capacity: CAPACITY,
      open(keyAt, counterAt, from, to, length) {
        results[n++] = crypto.open(keyAt, counterAt, from, to, length) ? 1 : 0;
      },
      run() {
        n = 0;
      },
      opened: (i) => results[i] === 1,
    },
  };
}
