// Where a live capture goes: into files (recorder.ts) or onto the screen (printer.ts).
import { type KeyLog, KeyLogReader } from "../../capture/keylog.ts";
import { nodeCrypto } from "../../crypto/node.ts";
import type { Tapped } from "./tap.ts";

export interface Target {
  /** Packets that were taken. */
  readonly count: number;
  /** Handshake records that came. */
  readonly handshakes: number;
  /** Nobody wants more: the reader is gone, or there are files enough. */
  readonly done: boolean;
  keys(text: string): void;
  packet(t: Tapped, now: number): void;
  batchEnd(): void;
  tick(now: number): void;
  /** Says what was counted so far, where there is a place for it. */
  report(): void;
  end(): void;
}

/** A piece of key log text, and the public halves of the ephemerals in it. */
export function readKeyText(text: string): { log: KeyLog; ephemerals: Uint8Array[] } {
  const reader = new KeyLogReader();
  reader.add(text);
  return { log: reader.log, ephemerals: reader.log.ephemerals.map((e) => nodeCrypto.publicKey(e.privateKey)) };
}
