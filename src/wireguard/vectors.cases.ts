// The vector files of test/vectors (its README.md says whose they are), and a crypto whose randomness is scripted.
import { readFileSync } from "node:fs";
import { fromHex } from "../base/bytes.ts";
import { nobleCrypto } from "../crypto/noble.ts";
import type { Crypto } from "./crypto.ts";
import { type Pair, Transcript } from "./noise.ts";
import { wiping } from "./secretcrypto.ts";

export const vectors = <V>(name: string): V => JSON.parse(readFileSync(new URL(`../../test/vectors/${name}.json`, import.meta.url), "utf8")) as V;

export const hex = (text: string): Uint8Array<ArrayBuffer> => {
  const bytes = fromHex(text);
  if (!bytes) throw new Error(`not hex: ${text}`);
  return bytes;
};

export const pairOf = (privateHex: string): Pair => ({ private: hex(privateHex), public: nobleCrypto.publicKey(hex(privateHex)) });

/** One with memory of its own, on noble. */
export const transcript = (): Transcript => new Transcript(wiping(nobleCrypto));
/** Room for a session's keys. */
export const room = (): { send: Uint8Array; receive: Uint8Array } => ({ send: new Uint8Array(32), receive: new Uint8Array(32) });

/** noble, but random() gives these values one after the other. */
export function scripted(...values: Uint8Array[]): Crypto {
  return {
    ...nobleCrypto,
    random(into) {
      const value = values.shift();
      if (value?.length !== into.length) throw new Error("unexpected use of randomness");
      into.set(value);
    },
  };
}

/** handshake.json. */
export type Handshake = Readonly<
  Record<
    | "initiatorStatic"
    | "responderStatic"
    | "initiatorStaticPublic"
    | "responderStaticPublic"
    | "initiatorEphemeral"
    | "responderEphemeral"
    | "initiatorEphemeralPublic"
    | "responderEphemeralPublic"
    | "psk"
    | "ss"
    | "timestamp"
    | "chain0"
    | "hash0"
    | "initiation"
    | "response"
    | "chainAfterInitiation"
    | "hashAfterInitiation"
    | "chainAfterResponse"
    | "hashAfterResponse"
    | "initiatorToResponder"
    | "responderToInitiator"
    | "keepalive"
    | "plaintext"
    | "data"
    | "cookieSecret"
    | "cookieSource"
    | "cookie"
    | "cookieNonce"
    | "cookieReply"
    | "mac2",
    string
  >
> & { readonly initiatorIndex: number; readonly responderIndex: number };

/** Public keys of low order: every shared secret with them is zero (netns.sh of the kernel's tests has the seven). */
export const LOW_ORDER: readonly Uint8Array[] = [
  "0000000000000000000000000000000000000000000000000000000000000000",
  "0100000000000000000000000000000000000000000000000000000000000000",
  "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
  "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
  "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
].map((key) => new Uint8Array(Buffer.from(key, "hex")));
