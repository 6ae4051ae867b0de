// What two ends of a TCP or UDP flow said, put together: in order, each byte once, gaps named. Bounded: of a long flow the beginning.
import { type FlowEnd, flowsOf, isEnd, keyOf, type PacketFlow } from "./packetflow.ts";
import type { TrackedPacket } from "./tracked.ts";

/** What one side said before the other did; or that so many bytes of it are not in the capture. `frame`: where it begins. */
export type Said = { readonly side: 0 | 1; readonly frame: number; readonly bytes: Uint8Array[]; readonly missing: number };

/** Of all that is kept. */
const MAX_BYTES = 1 << 20;
/** Of one side, behind what is missing. */
const MAX_WAITING = 256 << 10;
const SYN = 2;
const ACK = 16;

type Segment = { readonly sequence: number; readonly bytes: Uint8Array; readonly frame: number };
type Side = { next: number | undefined; waiting: Segment[]; held: number };

export class FollowedStream {
  /** Of the flow: flowKey(). */
  readonly key: string;
  readonly #sides: readonly [Side, Side] = [newSide(), newSide()];
  readonly said: Said[] = [];
  #a: FlowEnd | undefined;
  #b: FlowEnd | undefined;
  /** What each side said, also beyond what is kept; without repetitions. */
  readonly bytes: [number, number] = [0, 0];
  #kept = 0;
  /** Grows with every packet of the flow. */
  version = 0;

  constructor(key: string) {
    this.key = key;
  }
  /** The side that spoke first, and the other. */
  get ends(): readonly [FlowEnd, FlowEnd] | undefined {
    return this.#a && this.#b ? [this.#a, this.#b] : undefined;
  }
  /** Not all of it is kept. */
  get isCut(): boolean {
    return this.bytes[0] + this.bytes[1] > this.#kept;
  }
  /** Bytes that wait for what is missing before them. */
  get waiting(): number {
    return this.#sides[0].held + this.#sides[1].held;
  }

  /** Takes every packet of the capture in its turn. */
  add(t: TrackedPacket): void {
    for (const f of flowsOf(t)) if (keyOf(f) === this.key) this.#packet(f, t.packet.number);
  }
  #packet(f: PacketFlow, frame: number): void {
    const { layer } = f;
    this.version++;
    this.#a ??= { ip: f.src.ip.slice(), port: f.src.port };
    this.#b ??= { ip: f.dst.ip.slice(), port: f.dst.port };
    const side = isEnd(f.src, this.#a) ? 0 : 1;
    const bytes = f.bytes.slice(layer.at + layer.length, layer.end);
    if (layer.kind === "udp") {
      if (bytes.length > 0) this.#say(side, frame, bytes, true);
      return;
    }
    const own = this.#sides[side];
    const sequence = layer.flags & SYN ? (layer.sequence + 1) >>> 0 : layer.sequence;
    // A new conversation on the same ports.
    if (layer.flags & SYN && own.next !== undefined && bytes.length === 0 && (sequence - own.next) | 0) this.#skip(side, Infinity);
    if (layer.flags & SYN) own.next = sequence;
    own.next ??= sequence;
    if (bytes.length > 0) {
      own.waiting.push({ sequence, bytes, frame });
      own.held += bytes.length;
      this.#advance(side);
    }
    // What the other side has acknowledged and the capture has not is lost for good.
    if (layer.flags & ACK) this.#skip(side === 0 ? 1 : 0, layer.acknowledgement);
    if (own.held > MAX_WAITING) this.#skip(side, Infinity);
  }

  /** Says what follows without a gap. */
  #advance(side: 0 | 1): void {
    const own = this.#sides[side];
    for (let again = true; again;) {
      again = false;
      for (const s of own.waiting) {
        const before = (own.next! - s.sequence) | 0;
        if (before < 0) continue;
        own.waiting.splice(own.waiting.indexOf(s), 1);
        own.held -= s.bytes.length;
        again = own.waiting.length > 0;
        if (before < s.bytes.length) {
          this.#say(side, s.frame, s.bytes.subarray(before));
          own.next = (s.sequence + s.bytes.length) >>> 0;
        }
        break;
      }
    }
  }
  /** Gives up what is missing before `until`. */
  #skip(side: 0 | 1, until: number): void {
    const own = this.#sides[side];
    while (own.waiting.length > 0) {
      const nearest = own.waiting.reduce((a, b) => (((b.sequence - a.sequence) | 0) < 0 ? b : a));
      if (until !== Infinity && ((until - nearest.sequence) | 0) <= 0) return;
      this.said.push({ side, frame: nearest.frame, bytes: [], missing: (nearest.sequence - own.next!) >>> 0 });
      own.next = nearest.sequence;
      this.#advance(side);
    }
  }
  /** `apart`: a datagram is one for itself. */
  #say(side: 0 | 1, frame: number, bytes: Uint8Array, apart = false): void {
    this.bytes[side] += bytes.length;
    const room = MAX_BYTES - this.#kept;
    if (room <= 0) return;
    const kept = bytes.subarray(0, room);
    this.#kept += kept.length;
    const last = this.said.at(-1);
    if (!apart && last?.side === side && last.missing === 0) last.bytes.push(kept);
    else this.said.push({ side, frame, bytes: [kept], missing: 0 });
  }
}
const newSide = (): Side => ({ next: undefined, waiting: [], held: 0 });
