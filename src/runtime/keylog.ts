// The key log: who listens, and the lines (Wireshark's grammar). Records are made only while somebody listens.
import { base64Length, utf8, wipe, writeBase64 } from "../base/bytes.ts";
import type { KeylogRecord } from "../wireguard/index.ts";

/** Gets whole lines, as bytes of its own, which it wipes after use. */
export type KeylogSink = (lines: Uint8Array) => void;

/** `TYPE = BASE64` lines, of bytes alone: a string could not be wiped. */
function linesOf(keys: readonly (readonly [type: string, key: Uint8Array])[]): Uint8Array<ArrayBuffer> {
  const heads = keys.map(([type]) => utf8(`${type} = `));
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
    ["LOCAL_STATIC_PRIVATE_KEY", record.localStaticPrivate],
    ["REMOTE_STATIC_PUBLIC_KEY", record.remoteStaticPublic],
    ["LOCAL_EPHEMERAL_PRIVATE_KEY", record.localEphemeralPrivate],
    ["PRESHARED_KEY", record.presharedKey],
  ]);

/** The static keys of a device: what a reader needs before the first packet. */
export function staticLines(privateKey: Uint8Array | undefined, peers: Iterable<Uint8Array>): Uint8Array<ArrayBuffer> {
  const own = privateKey ? [["LOCAL_STATIC_PRIVATE_KEY", privateKey] as const] : [];
  return linesOf([...own, ...Array.from(peers, (key) => ["REMOTE_STATIC_PUBLIC_KEY", key] as const)]);
}

export class Keylog {
  readonly #sinks = new Set<KeylogSink>();

  get wanted(): boolean {
    return this.#sinks.size > 0;
  }

  /** Adds a listener. The result takes it away. */
  add(sink: KeylogSink): () => void {
    this.#sinks.add(sink);
    return () => void this.#sinks.delete(sink);
  }

  /** Hands a copy of the lines to every listener and wipes them. */
  write(lines: Uint8Array): void {
    for (const sink of this.#sinks) sink(lines.slice());
    wipe(lines);
  }

  /** Hands a record to every listener and wipes it. */
  record(record: KeylogRecord): void {
    this.write(recordLines(record));
    wipe(record.localStaticPrivate, record.localEphemeralPrivate, record.presharedKey);
  }
}
