// The key log: who listens, and the lines (Wireshark's grammar). Records are made only while somebody listens.
import { toBase64, utf8, wipe } from "../base/bytes.ts";
import type { KeylogRecord } from "../wireguard/index.ts";

/** Gets whole lines, as bytes of its own, which it wipes after use. */
export type KeylogSink = (lines: Uint8Array) => void;

const line = (type: string, key: Uint8Array): string => `${type} = ${toBase64(key)}\n`;

/** The four lines of one handshake, in the order in which every reader links them. */
export function recordLines(record: KeylogRecord): Uint8Array<ArrayBuffer> {
  return utf8(
    line("LOCAL_STATIC_PRIVATE_KEY", record.localStaticPrivate) +
      line("REMOTE_STATIC_PUBLIC_KEY", record.remoteStaticPublic) +
      line("LOCAL_EPHEMERAL_PRIVATE_KEY", record.localEphemeralPrivate) +
      line("PRESHARED_KEY", record.presharedKey),
  );
}

/** The static keys of a device: what a reader needs before the first packet. */
export function staticLines(privateKey: Uint8Array | undefined, peers: Iterable<Uint8Array>): Uint8Array<ArrayBuffer> {
  const own = privateKey ? line("LOCAL_STATIC_PRIVATE_KEY", privateKey) : "";
  return utf8(own + Array.from(peers, (key) => line("REMOTE_STATIC_PUBLIC_KEY", key)).join(""));
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
