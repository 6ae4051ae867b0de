// The key log: who listens to which peers' keys, and the lines (Wireshark's grammar; session keys as tortie reads them). Records are made only while somebody listens.
import { base64Length, toBase64, utf8, wipe, writeBase64 } from "../base/bytes.ts";
import type { KeylogListener } from "../uapi/types.ts";
import type { KeylogRecord } from "../wireguard/index.ts";

/** `HEAD` and then a key in base64 on each line, of bytes alone: a string could not be wiped. */
function linesOf(keys: readonly (readonly [head: string, key: Uint8Array])[]): Uint8Array<ArrayBuffer> {
  const heads = keys.map(([head]) => utf8(head));
  const length = keys.reduce((n, [, key], i) => n + heads[i]!.length + base64Length(key.length) + 1, 0);
  const out = new Uint8Array(new ArrayBuffer(length));
  let at = 0;
  for (const [i, [, key]] of keys.entries()) {
    out.set(heads[i]!, at);
    at += heads[i]!.length;
    writeBase64(key, out, at);
    at += base64Length(key.length);
    out[at++] = 10;
  }
  return out;
}

/** The four lines of one handshake, in the order in which every reader links them. */
export const recordLines = (record: KeylogRecord): Uint8Array<ArrayBuffer> =>
  linesOf([
    ["LOCAL_STATIC_PRIVATE_KEY = ", record.localStaticPrivate],
    ["REMOTE_STATIC_PUBLIC_KEY = ", record.remoteStaticPublic],
    ["LOCAL_EPHEMERAL_PRIVATE_KEY = ", record.localEphemeralPrivate],
    ["PRESHARED_KEY = ", record.presharedKey],
  ]);

/** The static keys of a device: what a reader needs before the first packet. */
export function staticLines(privateKey: Uint8Array | undefined, peers: Iterable<Uint8Array>): Uint8Array<ArrayBuffer> {
  const own = privateKey ? [["LOCAL_STATIC_PRIVATE_KEY = ", privateKey] as const] : [];
  return linesOf([...own, ...Array.from(peers, (key) => ["REMOTE_STATIC_PUBLIC_KEY = ", key] as const)]);
}

/** Keys of sessions by the receiver index of the messages that they open: without a handshake, and for our own readers only. */
export const sessionLines = (keys: readonly { readonly receiver: number; readonly key: Uint8Array }[]): Uint8Array<ArrayBuffer> =>
  linesOf(keys.map(({ receiver, key }) => [`WGX_SESSION_KEY = 0x${receiver.toString(16).padStart(8, "0")} `, key]));

type Listener = KeylogListener & { readonly only: ReadonlySet<string> | undefined };

export class Keylog {
  readonly #listeners = new Set<Listener>();
  /** Handshakes that somebody was told of, since the beginning. */
  records = 0;

  get readers(): number {
    return this.#listeners.size;
  }
  get wanted(): boolean {
    return this.#listeners.size > 0;
  }

  /** Adds a listener. The result takes it away, and says whether it was still there. */
  add(listener: KeylogListener): () => boolean {
    const added = { ...listener, only: listener.peers?.length ? new Set(listener.peers.map(toBase64)) : undefined };
    this.#listeners.add(added);
    return () => this.#listeners.delete(added);
  }

  /** Takes all listeners away and tells them. */
  end(): void {
    const all = [...this.#listeners];
    this.#listeners.clear();
    for (const listener of all) listener.ended?.();
  }

  /** Tells every listener of the static keys: all that it may hear of. */
  statics(privateKey: Uint8Array | undefined, peers: readonly Uint8Array[]): void {
    for (const l of this.#listeners) {
      const lines = staticLines(
        privateKey,
        peers.filter((p) => hears(l, p)),
      );
      if (lines.length > 0) l.write(lines);
    }
  }

  /** Hands a record to whoever listens to its peer, and wipes it. */
  record(record: KeylogRecord): void {
    const listeners = [...this.#listeners].filter((l) => hears(l, record.remoteStaticPublic));
    if (listeners.length > 0) this.records++;
    for (const l of listeners) l.write(recordLines(record));
    wipe(record.localStaticPrivate, record.localEphemeralPrivate, record.presharedKey);
  }
}

const hears = (l: Listener, peer: Uint8Array): boolean => !l.only || l.only.has(toBase64(peer));
