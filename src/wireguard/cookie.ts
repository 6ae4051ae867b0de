// mac1, mac2 and cookies (whitepaper sections 5.3, 5.4.4 and 5.4.7): what proves, before any costly work, that the sender knows our public key, and under
// load that it receives at the address it sends from.
import { concat, equal, utf8, wipe } from "../base/bytes.ts";
import { COOKIE_LATENCY, COOKIE_SECRET_TIME } from "./constants.ts";
import type { Crypto } from "./crypto.ts";
import type { Endpoint } from "./endpoint.ts";
import { Cookie, Initiation, MAC_LENGTH, MessageType, readU32, Response, writeU32, XNONCE_LENGTH } from "./messages.ts";
import { secret } from "./secret.ts";

const MAC1 = utf8("mac1----");
const COOKIE = utf8("cookie--");
const ZEROS = new Uint8Array(MAC_LENGTH);

/** Where the macs of a message of this length begin. */
const macsOf = (message: Uint8Array): number => (message.length === Initiation.LENGTH ? Initiation.MAC1 : Response.MAC1);

/** Checks what comes in; makes cookies. One a device, anew when its key changes. */
export class CookieChecker {
  readonly #crypto: Crypto;
  readonly #mac1Key: Uint8Array;
  readonly #cookieKey: Uint8Array;
  readonly #secret: Uint8Array;
  #secretBorn = -Infinity;

  /** `cell`: 32 bytes for the secret that cookies are made of. @default memory of its own */
  constructor(crypto: Crypto, publicKey: Uint8Array, cell: Uint8Array = secret()) {
    this.#crypto = crypto;
    this.#secret = cell;
    this.#mac1Key = crypto.hash(MAC1, publicKey);
    this.#cookieKey = crypto.hash(COOKIE, publicKey);
  }

  mac1Valid(message: Uint8Array): boolean {
    const at = macsOf(message);
    return equal(this.#crypto.mac(this.#mac1Key, message.subarray(0, at)), message.subarray(at, at + MAC_LENGTH));
  }
  mac2Valid(message: Uint8Array, from: Endpoint, now: number): boolean {
    if (now - this.#secretBorn >= COOKIE_SECRET_TIME) return false;
    const at = macsOf(message) + MAC_LENGTH;
    const cookie = this.#cookie(from);
    const valid = equal(this.#crypto.mac(cookie, message.subarray(0, at)), message.subarray(at, at + MAC_LENGTH));
    wipe(cookie);
    return valid;
  }
  /** The cookie reply to a message whose mac1 is valid. */
  reply(message: Uint8Array, from: Endpoint, now: number): Uint8Array<ArrayBuffer> {
    if (now - this.#secretBorn >= COOKIE_SECRET_TIME) {
      this.#crypto.random(this.#secret);
      this.#secretBorn = now;
    }
    const out = new Uint8Array(Cookie.LENGTH);
    writeU32(out, 0, MessageType.COOKIE);
    out.set(message.subarray(4, 8), Cookie.RECEIVER);
    const nonce = out.subarray(Cookie.NONCE, Cookie.NONCE + XNONCE_LENGTH);
    this.#crypto.random(nonce);
    const at = macsOf(message);
    const cookie = this.#cookie(from);
    out.set(this.#crypto.xseal(this.#cookieKey, nonce, cookie, message.subarray(at, at + MAC_LENGTH)), Cookie.SEALED);
    wipe(cookie);
    return out;
  }
  wipe(): void {
    wipe(this.#secret);
  }
  // The port is part of it: else everyone behind one NAT could use one cookie.
  #cookie(from: Endpoint): Uint8Array {
    return this.#crypto.mac(this.#secret, concat(from.ip, new Uint8Array([from.port >> 8, from.port & 255])));
  }
}

/** Fills the macs of what goes out to one peer; keeps the cookie it gave us. */
export class CookieMaker {
  readonly #crypto: Crypto;
  readonly #mac1Key: Uint8Array;
  readonly #cookieKey: Uint8Array;
  readonly #cookie: Uint8Array;
  #cookieBorn = -Infinity;
  /** The last mac1 that was sent, while no cookie for it has come. */
  #mac1: Uint8Array | undefined;

  /** `cell`: 16 bytes or more for the cookie. @default memory of its own */
  constructor(crypto: Crypto, peerPublicKey: Uint8Array, cell: Uint8Array = secret(MAC_LENGTH)) {
    this.#crypto = crypto;
    this.#cookie = cell.subarray(0, MAC_LENGTH);
    this.#mac1Key = crypto.hash(MAC1, peerPublicKey);
    this.#cookieKey = crypto.hash(COOKIE, peerPublicKey);
  }

  fill(message: Uint8Array, now: number): void {
    const at = macsOf(message);
    const mac1 = this.#crypto.mac(this.#mac1Key, message.subarray(0, at));
    message.set(mac1, at);
    const fresh = now - this.#cookieBorn < COOKIE_SECRET_TIME - COOKIE_LATENCY;
    message.set(fresh ? this.#crypto.mac(this.#cookie, message.subarray(0, at + MAC_LENGTH)) : ZEROS, at + MAC_LENGTH);
    this.#mac1 = mac1;
  }
  /** Takes the cookie out of a reply; it goes into the next message. */
  consume(reply: Uint8Array, now: number): "taken" | "unexpected" | "bad" {
    if (!this.#mac1) return "unexpected";
    const nonce = reply.subarray(Cookie.NONCE, Cookie.NONCE + XNONCE_LENGTH);
    const cookie = this.#crypto.xopen(this.#cookieKey, nonce, reply.subarray(Cookie.SEALED, Cookie.LENGTH), this.#mac1);
    if (!cookie) return "bad";
    this.#cookie.set(cookie);
    wipe(cookie);
    this.#cookieBorn = now;
    this.#mac1 = undefined;
    return "taken";
  }
  wipe(): void {
    wipe(this.#cookie);
    this.#cookieBorn = -Infinity;
  }
}

/** The index that a cookie reply is for. */
export const cookieReceiver = (reply: Uint8Array): number => readU32(reply, Cookie.RECEIVER);
