// RFC 7748 section 5.2: X25519 iterated a million times, in the implementation that devices use.
import { fromHex, toHex } from "../../src/base/bytes.ts";
import { opensslCrypto } from "../../src/crypto/openssl.ts";
import type { Scenario } from "./main.ts";

const STEPS = 1_000_000;
const WANT = "7c3911e0ab2586fd864497297e575e6f3bc601c0883c30df5f4dd2d24f665424";

export const curve: Scenario = {
  name: "X25519 iterated 1,000,000 times",
  minutes: 1.5,
  share: 2,
  async run() {
    const crypto = opensslCrypto();
    let k = fromHex(`09${"00".repeat(31)}`)! as Uint8Array;
    let u = k;
    for (let i = 0; i < STEPS; i++) {
      [k, u] = [crypto.dh(k, u)!, k];
      // Those that wait beside it have their turn.
      if (i % 1000 === 0) await new Promise((r) => setImmediate(r));
    }
    if (toHex(k) !== WANT) throw new Error(`${crypto.name} gives ${toHex(k)}`);
    return crypto.name;
  },
};
