// Holds packets back until the keys of the handshakes among them are written: Wireshark applies keys only to what comes after them in a file (2.10).
// The device writes a record before it sends the message; it reaches us by another way, though, and may come a moment later.
import { toHex } from "../../base/bytes.ts";
import { parseMessage } from "../../capture/message.ts";
import { datagramOf } from "../../capture/split.ts";
import { decode } from "../../packet/decode.ts";
import type { LivePacket } from "../../sys/packetsocket.ts";
import type { Tapped } from "./tap.ts";

/** A packet that waits is let go after so long: it belongs to somebody else's device. */
const PATIENCE_MS = 1_000;
const MAX_HELD = 65_536;

export class Hold {
  readonly #known = new Set<string>();
  readonly #pass: (t: Tapped) => void;
  readonly #held: { readonly tapped: Tapped; readonly waits: string | undefined; readonly since: number }[] = [];

  constructor(pass: (t: Tapped) => void) {
    this.#pass = pass;
  }

  /** The ephemeral key with this public half is written. */
  know(publicKey: Uint8Array): void {
    this.#known.add(toHex(publicKey));
    // Every handshake adds one: the latest are enough.
    if (this.#known.size > 4096) this.#known.delete(this.#known.values().next().value!);
  }

  add(tapped: Tapped, now: number): void {
    this.#held.push({ tapped, waits: ephemeralOf(tapped.packet, tapped.tap.link), since: now });
    this.release(now);
  }

  /** Lets go what need not wait (any longer); in order. */
  release(now: number, all = false): void {
    let n = 0;
    for (const h of this.#held) {
      const waits = h.waits !== undefined && !this.#known.has(h.waits) && now - h.since < PATIENCE_MS;
      if (waits && !all && this.#held.length - n <= MAX_HELD) break;
      this.#pass(h.tapped);
      n++;
    }
    this.#held.splice(0, n);
  }
}

/** The sender's ephemeral key of a handshake message that this machine sends. Those that it receives need no wait: the answer to them does. */
function ephemeralOf(p: LivePacket, link: number): string | undefined {
  if (p.direction !== "out" || p.data.length > 400) return undefined;
  const d = datagramOf(p.data, decode(p.data, link));
  const m = d && parseMessage(d.payload, d.length);
  return m && (m.type === 1 || m.type === 2) ? toHex(m.ephemeral) : undefined;
}
