// Is a datagram on WireGuard's port really WireGuard? (Section 7.6.) A leak must not hide there: handshakes must verify under the key of the node
// that they go to, and data must carry an index that such a handshake announced.
import { equal, toBase64, utf8 } from "../../base/bytes.ts";
import type { UdpLayer } from "../../packet/layer.ts";
import type { Crypto } from "../../wireguard/crypto.ts";
import { DATA_OVERHEAD } from "../../wireguard/messages.ts";
import { isKeepalive, mac1Of, parseMessage, splitSegments, underMac1, type WireGuardMessage } from "../message.ts";
import type { AuditNode } from "./inventory.ts";
import { type Classified, type Flow, result } from "./types.ts";

/** Counters of one receiver index, for gaps: what the tap lost. */
export type IndexCounters = {
  readonly receiver: number;
  readonly from: string;
  readonly to: string;
  messages: number;
  lowest: bigint;
  highest: bigint;
};

/** When and where a frame was seen: nanoseconds since 1970, name of the capture point. */
export type SeenAt = { readonly time: bigint | undefined; readonly tap: string };
/** A UDP datagram between two nodes. */
export type NodeDatagram = {
  readonly payload: Uint8Array;
  readonly udp: UdpLayer;
  readonly src: AuditNode;
  readonly dst: AuditNode;
  readonly flow: Flow;
};

const MAX_INDEXES = 65_536;

export class WireGuardProof {
  readonly #crypto: Crypto;
  readonly #mac1Keys = new Map<string, Uint8Array>();
  readonly #proven = new Set<string>();
  /** Last completed handshake of a pair of nodes, both messages proven: wall time in ns. */
  readonly #completed = new Map<string, bigint>();
  readonly #begun = new Map<number, { from: string; to: string }>();
  readonly counters: Map<string, IndexCounters> = new Map();

  constructor(crypto: Crypto) {
    this.#crypto = crypto;
  }

  /** A handshake that is known from elsewhere (a device's own report). `time`: ns since 1970. */
  completed(a: string, b: string, time: bigint): void {
    const key = pairKey(a, b);
    if ((this.#completed.get(key) ?? 0n) < time) this.#completed.set(key, time);
  }
  lastHandshake(a: string, b: string): bigint | undefined {
    return this.#completed.get(pairKey(a, b));
  }

  /** What a datagram on WireGuard's port is. */
  judge(d: NodeDatagram, seen: SeenAt): Classified {
    const { payload, udp, dst, flow } = d;
    const abuse = (why: string): Classified => ({ ...result("WG_PORT_ABUSE", [], flow, Math.max(0, udp.totalLength - 8)), abuse: why });
    const parts = splitSegments(payload);
    const whole = Math.max(payload.length, udp.totalLength - 8);
    const messages = parts.map((p, i) => parseMessage(p, i === parts.length - 1 ? p.length + whole - payload.length : p.length));
    const first = messages[0];
    if (!first || messages.some((m) => m === undefined)) return abuse("no WireGuard message");
    if (first.bytes[1] !== 0 || first.bytes[2] !== 0 || first.bytes[3] !== 0) return abuse("its reserved bytes are not zero");
    if (first.type === 1 || first.type === 2) return this.#handshake(first, d, seen.time, abuse);
    if (first.type === 3) return { ...result("WG_COOKIE", [], flow, 0), messages: 1, proven: this.#isProven(first.receiver, dst) };
    const data = messages as (WireGuardMessage & { type: 4 })[];
    let bytes = 0;
    let counted = 0;
    for (const m of data) {
      this.#count(m.receiver, m.counter, d, seen.tap);
      if (isKeepalive(m)) continue;
      bytes += m.length - DATA_OVERHEAD;
      counted++;
    }
    const proven = this.#isProven(first.receiver, dst);
    return { ...result(counted > 0 ? "WG_DATA" : "WG_KEEPALIVE", [], flow, bytes), messages: counted > 0 ? counted : data.length, proven };
  }

  #handshake(
    m: WireGuardMessage & { type: 1 | 2 },
    { src, dst, flow }: NodeDatagram,
    time: bigint | undefined,
    abuse: (why: string) => Classified,
  ): Classified {
    const mac1 = mac1Of(m);
    const base = { ...result("WG_HANDSHAKE", [], flow, 0), messages: 1 };
    if (!mac1 || !dst.publicKey) return base;
    const id = toBase64(dst.publicKey);
    const key = this.#mac1Keys.get(id) ?? this.#crypto.hash(utf8("mac1----"), dst.publicKey);
    this.#mac1Keys.set(id, key);
    if (!equal(this.#crypto.mac(key, underMac1(m)), mac1))
      return abuse(`a handshake message whose mac1 does not verify under the key of ${dst.name}`);
    // The sender's index is what data to the sender will carry.
    if (this.#proven.size < MAX_INDEXES) this.#proven.add(`${m.sender} ${src.name}`);
    if (m.type === 1 && this.#begun.size < MAX_INDEXES) this.#begun.set(m.sender, { from: src.name, to: dst.name });
    if (m.type === 2) {
      const begun = this.#begun.get(m.receiver);
      if (begun && begun.from === dst.name && begun.to === src.name && time !== undefined) this.completed(src.name, dst.name, time);
    }
    return { ...base, proven: true };
  }

  #isProven(receiver: number, dst: AuditNode): boolean {
    return this.#proven.has(`${receiver} ${dst.name}`);
  }

  #count(receiver: number, counter: bigint, { src, dst }: NodeDatagram, tap: string): void {
    // Each capture point must see them all for itself.
    const id = `${tap} ${receiver} ${dst.name}`;
    const c = this.counters.get(id);
    if (!c) {
      if (this.counters.size < MAX_INDEXES)
        this.counters.set(id, { receiver, from: src.name, to: dst.name, messages: 1, lowest: counter, highest: counter });
      return;
    }
    c.messages++;
    if (counter < c.lowest) c.lowest = counter;
    if (counter > c.highest) c.highest = counter;
  }
}

export const pairKey = (a: string, b: string): string => (a < b ? `${a} ${b}` : `${b} ${a}`);
