// The keys at hand, as the replay of a handshake looks them up: static keys by what mac1 says, ephemerals by their public half.
import { equal, toHex, utf8 } from "../base/bytes.ts";
import type { Crypto } from "../wireguard/crypto.ts";
import type { BareKey, KeyLog, KeyLogProblem, KeyName } from "./keylog.ts";
import { type InitiationMessage, mac1Of, type ResponseMessage, underMac1 } from "./message.ts";

/** A node's key, 32 bytes each half; `name`: as prepare() or addPublic() was told. */
export type StaticKey = { readonly publicKey: Uint8Array; readonly privateKey: Uint8Array | undefined; readonly name: string | undefined };
/** A handshake's private key, and the pre-shared keys to try with it, newest first; 32 bytes each. */
export type EphemeralKey = { readonly privateKey: Uint8Array; readonly presharedKeys: readonly Uint8Array[] };

const MAX_EPHEMERALS = 65_536;
const MAX_REFUSED = 1000;

type Known = StaticKey & { readonly mac1Key: Uint8Array };

/** All keys at hand, found by what a handshake shows. Holds them as long as it lives. */
export class Secrets {
  readonly #crypto: Crypto;
  readonly #statics = new Map<string, Known>();
  readonly #ephemerals = new Map<string, EphemeralKey>();
  readonly #sessionKeys = new Map<number, Uint8Array[]>();
  readonly #loose: Uint8Array[] = [];
  readonly #bare: BareKey[] = [];
  readonly #refused: KeyLogProblem[] = [];
  /** Public values that were given as if they were private: what a person copies from a packet. Hex of the value. */
  readonly #given = new Set<string>();

  constructor(crypto: Crypto) {
    this.#crypto = crypto;
  }

  /** The first line that names this kind of key, and cannot be used. */
  refused(...names: KeyName[]): KeyLogProblem | undefined {
    return this.#refused.find((p) => p.name && names.includes(p.name));
  }

  /** Adds a log's keys. A key that stands alone counts as a static private key and, should the capture show its public half as an ephemeral, as that. */
  add(log: KeyLog): void {
    this.#refused.push(...log.problems.filter((p) => p.ours === "refused").slice(0, Math.max(0, MAX_REFUSED - this.#refused.length)));
    for (const k of log.staticPublic) this.addPublic(k);
    for (const k of log.staticPrivate) {
      this.addPublic(this.#crypto.publicKey(k), { privateKey: k });
      this.#give(k);
    }
    for (const { privateKey, presharedKeys } of log.ephemerals) {
      this.#give(privateKey);
      const id = toHex(this.#crypto.publicKey(privateKey));
      const before = this.#ephemerals.get(id);
      const all = [...presharedKeys, ...(before?.presharedKeys ?? [])];
      this.#ephemerals.set(id, { privateKey: before?.privateKey ?? privateKey, presharedKeys: all });
      // A live capture gets one with every handshake.
      if (this.#ephemerals.size > MAX_EPHEMERALS) this.#ephemerals.delete(this.#ephemerals.keys().next().value!);
    }
    for (const [index, keys] of log.sessionKeys) this.#sessionKeys.set(index, [...(this.#sessionKeys.get(index) ?? []), ...keys]);
    this.#loose.push(...log.loosePresharedKeys);
    for (const b of log.bare) {
      this.#bare.push(b);
      this.#give(b.key);
      const publicKey = this.#crypto.publicKey(b.key);
      this.addPublic(publicKey, { privateKey: b.key });
      const id = toHex(publicKey);
      if (!this.#ephemerals.has(id)) this.#ephemerals.set(id, { privateKey: b.key, presharedKeys: [] });
    }
  }

  #give(key: Uint8Array): void {
    this.#given.add(toHex(key));
    if (this.#given.size > MAX_EPHEMERALS) this.#given.delete(this.#given.values().next().value!);
  }

  /** Adds a public static key; a private half or a name that is known later is kept with it. */
  addPublic(publicKey: Uint8Array, also: { privateKey?: Uint8Array; name?: string } = {}): void {
    const id = toHex(publicKey);
    const before = this.#statics.get(id);
    const mac1Key = before?.mac1Key ?? this.#crypto.hash(utf8("mac1----"), publicKey);
    this.#statics.set(id, { publicKey, privateKey: before?.privateKey ?? also.privateKey, name: before?.name ?? also.name, mac1Key });
  }

  /** All static keys, in the order in which they came. */
  statics(): readonly StaticKey[] {
    return [...this.#statics.values()];
  }
  /** By the public half. */
  static(publicKey: Uint8Array): StaticKey | undefined {
    return this.#statics.get(toHex(publicKey));
  }
  /** By the public half, as a handshake shows it. */
  ephemeral(publicKey: Uint8Array): EphemeralKey | undefined {
    return this.#ephemerals.get(toHex(publicKey));
  }
  /** Those that were named as such. */
  get ephemeralCount(): number {
    return this.#ephemerals.size - this.#bare.length;
  }
  /** Keys that stood alone. */
  get bareKeys(): readonly BareKey[] {
    return this.#bare;
  }
  /** Pre-shared keys of no certain handshake. */
  get loosePresharedKeys(): readonly Uint8Array[] {
    return this.#loose;
  }
  /** False when no key at hand opens data: there is neither an ephemeral private key nor a session's. */
  get openData(): boolean {
    return this.#ephemerals.size > 0 || this.#sessionKeys.size > 0;
  }
  /** Those by receiver index, 32 bytes each. */
  sessionKeys(receiver: number): readonly Uint8Array[] {
    return this.#sessionKeys.get(receiver) ?? [];
  }
  get hasSessionKeys(): boolean {
    return this.#sessionKeys.size > 0;
  }
  /** True when this very value was given as a private key. A public ephemeral that is one was copied from the packet. */
  wasGiven(value: Uint8Array): boolean {
    return this.#given.has(toHex(value));
  }

  /** Whom the message is for: the static key under which its mac1 verifies. undefined also when mac1 was cut off. */
  addressee(m: InitiationMessage | ResponseMessage): StaticKey | undefined {
    const mac1 = mac1Of(m);
    if (!mac1) return undefined;
    const covered = underMac1(m);
    for (const k of this.#statics.values()) if (equal(this.#crypto.mac(k.mac1Key, covered), mac1)) return k;
    return undefined;
  }
}
