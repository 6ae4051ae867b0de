// Bearer tokens: ID.SECRET, and for those who join a third part that pins the server's certificate authority. The server keeps the hash alone; a fast one
// is enough, because the secret is drawn at random from 2^134 and cannot be guessed, however fast one tries. ID.SECRET has the form of Kubernetes' bootstrap tokens,
// with a longer secret. Where the authority is not known yet, the pin (SHA-256 of its public key) says whether the one that a server shows is it.
import { createHash, randomInt, timingSafeEqual, X509Certificate } from "node:crypto";

export type Token = { readonly id: string; /** What is sent to the server. */ readonly bearer: string; readonly pin?: string };

const ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789";
const text = (length: number): string => Array.from({ length }, () => ALPHABET[randomInt(ALPHABET.length)]!).join("");

export function newToken(): Token {
  const id = text(6);
  return { id, bearer: `${id}.${text(26)}` };
}

/** Undefined when the text has not the form of a token. */
export function parseToken(words: string): Token | undefined {
  const [, id, secret, pin] = /^([a-z0-9]{6})\.([a-z0-9]{16,64})(?:\.([A-Za-z0-9_-]{43}))?$/.exec(words) ?? [];
  return id === undefined ? undefined : { id, bearer: `${id}.${secret}`, ...(pin === undefined ? {} : { pin }) };
}

/** SHA-256 in hexadecimal, as AccessToken keeps it. */
export const hashOf = (bearer: string): string => createHash("sha256").update(bearer).digest("hex");

/** Compares in a time that says nothing about where they differ. */
export const hasHash = (bearer: string, hash: string): boolean => {
  const [a, b] = [Buffer.from(hashOf(bearer)), Buffer.from(hash)];
  return a.length === b.length && timingSafeEqual(a, b);
};

/** The pin of a certificate (PEM or DER): SHA-256 of its public key in base64url. */
export const pinOf = (certificate: string | Uint8Array): string =>
  createHash("sha256")
    .update(new X509Certificate(certificate).publicKey.export({ type: "spki", format: "der" }))
    .digest("base64url");
