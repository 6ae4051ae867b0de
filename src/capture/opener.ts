// Opening data messages, several at a time where there is something faster than one by one.
import type { Crypto } from "../wireguard/crypto.ts";
import { DATA_HEADER, DATA_OVERHEAD } from "../wireguard/messages.ts";
import type { DataMessage } from "./message.ts";
import { looksLikeIp, Opened } from "./opened.ts";
import { openData, openPrefix } from "./replay.ts";

/** Opens batches of whole messages. src/crypto has one in native memory. */
export interface BatchOpener {
  /** Messages of a batch, and bytes of a message, at most. */
  readonly capacity: number;
  readonly longest: number;
  /** Adds a message to the batch: the bytes of `frame` from `at`, its header, to `end`, past its tag. */
  add(key: Uint8Array, frame: Uint8Array, at: number, end: number): void;
  /** Opens what was added. */
  run(): void;
  /** Whether the `i`th message of the last run() opened. */
  opened(i: number): boolean;
  /** Its text: in `memory(i)` from `at(i)` on. Good until the next add(). */
  memory(i: number): Uint8Array;
  at(i: number): number;
}

/** A view of the text of the `i`th message, which has `length` bytes; undefined when its tag is wrong. */
export function textOf(o: BatchOpener, i: number, length: number): Uint8Array | undefined {
  return o.opened(i) ? o.memory(i).subarray(o.at(i), o.at(i) + length) : undefined;
}

/** One message with one key: whole and authenticated, or as much of it as was captured. undefined: the key is not this message's. */
export function openMessage(crypto: Crypto, key: Uint8Array, m: DataMessage): Opened | undefined {
  const sealed = m.bytes.subarray(DATA_HEADER);
  const total = m.length - DATA_OVERHEAD;
  if (m.captured === m.length) {
    const plain = openData(crypto, key, m.counter, sealed);
    return plain && new Opened(plain, 0, total, total, true);
  }
  if (sealed.length === 0) return undefined;
  const plain = openPrefix(crypto, key, m.counter, sealed.subarray(0, total));
  return looksLikeIp(plain, total) ? new Opened(plain, 0, plain.length, total, false) : undefined;
}

/** BatchOpener without batches, on any Crypto. */
export function oneByOne(crypto: Crypto): BatchOpener {
  let texts: (Uint8Array | undefined)[] = [];
  let done = true;
  return {
    capacity: 64,
    longest: 65_535,
    add(key, frame, at, end) {
      if (done) texts = [];
      done = false;
      const counter = new DataView(frame.buffer, frame.byteOffset + at, DATA_HEADER).getBigUint64(8, true);
      texts.push(openData(crypto, key, counter, frame.subarray(at + DATA_HEADER, end)));
    },
    run: () => void (done = true),
    opened: (i) => texts[i] !== undefined,
    memory: (i) => texts[i]!,
    at: () => 0,
  };
}
