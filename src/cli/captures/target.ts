// Where a live capture goes: into a file (recorder.ts) or onto the screen (printer.ts).
import { type KeyLog, KeyLogReader } from "../../capture/keylog.ts";
import { nodeCrypto } from "../../crypto/node.ts";
import type { LivePacket } from "../../sys/packetsocket.ts";

export type CaptureOptions = { interface: string; write?: string; keys?: boolean; snaplen?: number; format: string };

export interface Target {
  readonly count: number;
  /** Handshake records that came. */
  readonly handshakes: number;
  keys(text: string): void;
  packet(p: LivePacket, now: number): void;
  batchEnd(): void;
  tick(now: number): void;
  end(): void;
}

/** A piece of key log text, and the public halves of the ephemerals in it. */
export function readKeyText(text: string): { log: KeyLog; ephemerals: Uint8Array[] } {
  const reader = new KeyLogReader();
  reader.add(text);
  return { log: reader.log, ephemerals: reader.log.ephemerals.map((e) => nodeCrypto.publicKey(e.privateKey)) };
}
