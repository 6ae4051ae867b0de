// Brings packets and keys together: Wireshark applies keys only to what comes after them in a file (2.10), and a file must hold no key more than its packets need.
// A packet waits for the keys of the handshake in it: the device writes a record before it sends the message, but it reaches us by another way, and may come a
// moment later. A record waits for its packet; what no packet comes for is never written: other peers, other interfaces, another time.
import { toHex } from "../../base/bytes.ts";
import { messageIn, type WireGuardMessage } from "../../capture/message.ts";
import { datagramOf } from "../../capture/split.ts";
import { decode } from "../../packet/decode.ts";
import { UdpFinder } from "../../packet/finder.ts";
import type { LivePacket } from "../../sys/packetsocket.ts";
import { RecordReader } from "./records.ts";
import type { Tapped } from "./tap.ts";

/** A packet that waits is let go after so long: it belongs to somebody else's device. */
const PATIENCE_MS = 1_000;
const MAX_HELD = 65_536;
/** Every handshake adds one: the latest are enough. */
const MAX_KNOWN = 4096;

export type HoldOptions = {
  /** Gets packets, in their order. */
  pass(t: Tapped): void;
  /** Gets the key log lines of a session whose packet comes next. */
  keys(text: string): void;
};

/** `answer`: the sender index of an initiation that came in and was not answered yet; the answer's ephemeral says what it waits for. */
type Held = { readonly tapped: Tapped; readonly since: number; waits: string | undefined; answer: number | undefined };

export class Hold {
  readonly #options: HoldOptions;
  readonly #finder = new UdpFinder();
  readonly #reader = new RecordReader();
  /** Lines that no packet came for yet, by what such a packet shows: the sender's ephemeral in hex, or a receiver index. */
  readonly #waiting = new Map<string | number, string>();
  /** Ephemerals whose lines are written (true) or whose packets went without (false). */
  readonly #known = new Map<string, boolean>();
  readonly #held: Held[] = [];

  constructor(options: HoldOptions) {
    this.#options = options;
  }

  /** Takes whole lines of a device's key log. The result is the number of handshakes in them. */
  add(text: string): number {
    let handshakes = 0;
    for (const { id, lines } of this.#reader.add(text)) {
      const isHandshake = typeof id === "string";
      if (isHandshake) handshakes++;
      const known = isHandshake ? this.#known.get(id) : undefined;
      // Its packet went already: late keys are of use to us, if not to Wireshark.
      if (known === false) this.#write(id, lines);
      else if (known === undefined) this.#waiting.set(id, lines);
      bound(this.#waiting);
    }
    return handshakes;
  }

  #write(id: string | number, lines: string): void {
    this.#waiting.delete(id);
    if (typeof id === "string") this.#known.set(id, true);
    bound(this.#known);
    this.#options.keys(lines);
  }

  /** Takes a packet. */
  packet(tapped: Tapped, now: number): void {
    const m = this.#messageOf(tapped.packet, tapped.tap.link);
    const ephemeral = m && (m.type === 1 || m.type === 2) ? toHex(m.ephemeral) : undefined;
    if (m && ephemeral === undefined) this.#meet(m.type === 4 ? m.receiver : undefined);
    const { direction } = tapped.packet;
    const waits = direction === "out" ? ephemeral : undefined;
    if (waits === undefined) this.#meet(ephemeral);
    // The keys of an initiation that comes in are those of its answer, and Wireshark wants them before the initiation.
    const answer = direction === "in" && m?.type === 1 ? m.sender : undefined;
    if (direction === "out" && m?.type === 2) this.#answered(m.receiver, waits);
    this.#held.push({ tapped, waits, answer, since: now });
    this.release(now);
  }

  #answered(index: number, ephemeral: string | undefined): void {
    for (const h of this.#held) {
      if (h.answer !== index) continue;
      h.answer = undefined;
      h.waits = ephemeral;
    }
  }

  /** The lines that this packet needs are written now, if they are there. */
  #meet(id: string | number | undefined): void {
    if (id === undefined) return;
    const lines = this.#waiting.get(id);
    if (lines !== undefined) this.#write(id, lines);
    else if (typeof id === "string" && !this.#known.has(id)) {
      this.#known.set(id, false);
      bound(this.#known);
    }
  }

  /** Lets go what need not wait (any longer); in order. */
  release(now: number, all = false): void {
    let n = 0;
    for (const h of this.#held) {
      const arrived = h.answer === undefined && (h.waits === undefined || this.#waiting.has(h.waits) || this.#known.has(h.waits));
      const ready = arrived || now - h.since >= PATIENCE_MS;
      if (!ready && !all && this.#held.length - n <= MAX_HELD) break;
      this.#meet(h.waits);
      this.#options.pass(h.tapped);
      n++;
    }
    this.#held.splice(0, n);
  }

  #messageOf(p: LivePacket, link: number): WireGuardMessage | undefined {
    const f = this.#finder;
    const found = f.find(p.data, link);
    if (found === "udp") return messageIn(p.data, f.payload, f.end, f.length);
    const d = found === "ask" ? datagramOf(p.data, decode(p.data, link)) : undefined;
    return d && messageIn(d.payload, 0, d.payload.length, d.length);
  }
}

function bound<K>(map: Map<K, unknown>): void {
  if (map.size > MAX_KNOWN) map.delete(map.keys().next().value!);
}
