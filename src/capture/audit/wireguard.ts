// Is a datagram on WireGuard's port really WireGuard? (Section 7.6.) A leak must not hide there: handshakes must verify under a key of the node that
// they go to, data must carry an index that such a handshake announced, and its bytes must look like a cipher's.
import { equal, toBase64, utf8 } from "../../base/bytes.ts";
import type { Ip } from "../../base/ip.ts";
import type { UdpLayer } from "../../packet/layer.ts";
import type { Crypto } from "../../wireguard/crypto.ts";
import { Data, DATA_OVERHEAD } from "../../wireguard/messages.ts";
import { type DataMessage, isKeepalive, mac1Of, parseMessage, splitSegments, underMac1, type WireGuardMessage } from "../message.ts";
import { ByteCounts, plaintextHeader } from "./cipher.ts";
import type { AuditNode } from "./inventory.ts";
import type { Opener } from "./opener.ts";
import { type Classified, type Flow, result } from "./types.ts";

/** Counters of one receiver index at one tap, for gaps: what the tap lost. */
export type IndexCounters = {
  readonly receiver: number;
  readonly from: string;
  readonly to: string;
  readonly tap: string;
  /** When the first one was seen: nanoseconds since 1970. */
  readonly since: bigint | undefined;
  readonly first: bigint;
  messages: number;
  bytes: number;
  lowest: bigint;
  highest: bigint;
  /** Messages far behind the highest counter: no sender of WireGuard goes back. */
  backwards: number;
};

/** When and where a frame was seen. */
export type SeenAt = {
  /** Nanoseconds since 1970. */
  readonly time: bigint | undefined;
  /** The node at which it was captured, else the name of the capture. */
  readonly tap: string;
};
/** A UDP datagram between two nodes. */
export type NodeDatagram = {
  readonly payload: Uint8Array;
  readonly udp: UdpLayer;
  readonly src: AuditNode;
  readonly dst: AuditNode;
  readonly flow: Flow;
};
const MAX_INDEXES = 65_536;
/** The receiver's window (section 9): an older counter is refused. */
const WINDOW = 8192n - 64n;
/** A session that is older than the capture shows itself within this time. */
const OLD_SESSION_NS = 5_000_000_000n;

export type WireGuardProofOptions = {
  /** True for an address that an inner packet may have. @default none */
  known?: (ip: Ip) => boolean;
  opener?: Opener | undefined;
};

export class WireGuardProof {
  readonly #crypto: Crypto;
  readonly #known: (ip: Ip) => boolean;
  readonly #opener: Opener | undefined;
  readonly #mac1Keys = new Map<string, Uint8Array>();
  readonly #proven = new Set<string>();
  /** Completed handshakes of a pair of nodes, both messages proven: wall time in ns, ascending. */
  readonly #completed = new Map<string, bigint>();
  readonly #begun = new Map<number, { from: string; to: string }>();
  readonly counters: Map<string, IndexCounters> = new Map();
  /** Ciphertext's bytes by direction: "a b". */
  readonly bytes: Map<string, ByteCounts> = new Map();

  constructor(crypto: Crypto, options: WireGuardProofOptions = {}) {
    this.#crypto = crypto;
    this.#known = options.known ?? (() => false);
    this.#opener = options.opener;
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
    const abuse = (why: string): Classified => result("WG_PORT_ABUSE", [], flow, Math.max(0, udp.totalLength - 8), why);
    const parts = splitSegments(payload);
    const whole = Math.max(payload.length, udp.totalLength - 8);
    const messages = parts.map((p, i) => parseMessage(p, i === parts.length - 1 ? p.length + whole - payload.length : p.length));
    const first = messages[0];
    if (!first || messages.some((m) => m === undefined)) return abuse("no WireGuard message");
    if (first.bytes[1] !== 0 || first.bytes[2] !== 0 || first.bytes[3] !== 0) return abuse("its reserved bytes are not zero");
    if (first.type === 1 || first.type === 2) return this.#handshake(first, d, seen.time, abuse);
    if (first.type === 3) return { ...result("WG_COOKIE", [], flow, 0), messages: 1, proven: this.#isProven(first.receiver, dst) };
    return this.#data(messages as DataMessage[], d, seen, abuse);
  }

  #data(messages: readonly DataMessage[], d: NodeDatagram, seen: SeenAt, abuse: (why: string) => Classified): Classified {
    let bytes = 0;
    let counted = 0;
    let authenticated = true;
    for (const m of messages) {
      this.#count(m, d, seen);
      const opened = this.#opener?.data(m, d.src);
      if (typeof opened === "string") return abuse(opened);
      if (opened === undefined) authenticated = false;
      if (isKeepalive(m)) continue;
      const ciphertext = m.bytes.subarray(Data.PAYLOAD, Math.min(m.bytes.length, m.length - 16));
      if (plaintextHeader(ciphertext, this.#known)) return abuse("an IP header in the clear where a cipher's output should be");
      const odd = this.#bytesOf(d, seen.tap).add(ciphertext, seen.tap);
      if (odd !== undefined) return abuse(odd);
      bytes += m.length - DATA_OVERHEAD;
      counted++;
    }
    const proven = authenticated || this.#isProven(messages[0]!.receiver, d.dst);
    const base = result(counted > 0 ? "WG_DATA" : "WG_KEEPALIVE", [], d.flow, bytes);
    return { ...base, messages: counted > 0 ? counted : messages.length, proven, authenticated };
  }

  #bytesOf({ src, dst }: NodeDatagram, tap: string): ByteCounts {
    const key = `${src.name} ${dst.name}`;
    let counts = this.bytes.get(key);
    if (!counts) this.bytes.set(key, (counts = new ByteCounts(tap)));
    return counts;
  }

  #handshake(
    m: WireGuardMessage & { type: 1 | 2 },
    { src, dst, flow }: NodeDatagram,
    time: bigint | undefined,
    abuse: (why: string) => Classified,
  ): Classified {
    const mac1 = mac1Of(m);
    const base = { ...result("WG_HANDSHAKE", [], flow, 0), messages: 1 };
    if (!mac1 || dst.publicKeys.length === 0) return base;
    const covered = underMac1(m);
    if (!dst.publicKeys.some((key) => equal(this.#crypto.mac(this.#mac1Key(key), covered), mac1)))
      return abuse(`a handshake message whose mac1 does not verify under the key of ${dst.name}`);
    this.#opener?.handshake(m);
    // The sender's index is what data to the sender will carry.
    if (this.#proven.size < MAX_INDEXES) this.#proven.add(`${m.sender} ${src.name}`);
    if (m.type === 1 && this.#begun.size < MAX_INDEXES) this.#begun.set(m.sender, { from: src.name, to: dst.name });
    if (m.type === 2) {
      const begun = this.#begun.get(m.receiver);
      if (begun && begun.from === dst.name && begun.to === src.name && time !== undefined) this.completed(src.name, dst.name, time);
    }
    return { ...base, proven: true };
  }

  #mac1Key(publicKey: Uint8Array): Uint8Array {
    const id = toBase64(publicKey);
    const key = this.#mac1Keys.get(id) ?? this.#crypto.hash(utf8("mac1----"), publicKey);
    this.#mac1Keys.set(id, key);
    return key;
  }

  #isProven(receiver: number, dst: AuditNode): boolean {
    return this.#proven.has(`${receiver} ${dst.name}`);
  }

  #count(m: DataMessage, { src, dst }: NodeDatagram, seen: SeenAt): void {
    // Each capture point must see them all for itself.
    const id = `${seen.tap} ${m.receiver} ${dst.name}`;
    const { counter } = m;
    let c = this.counters.get(id);
    if (!c) {
      if (this.counters.size >= MAX_INDEXES) return;
      // A session whose beginning was seen counts from 0.
      const lowest = this.#isProven(m.receiver, dst) ? 0n : counter;
      const start = { first: counter, lowest, highest: counter, messages: 0, bytes: 0, backwards: 0, since: seen.time };
      c = { receiver: m.receiver, from: src.name, to: dst.name, tap: seen.tap, ...start };
      this.counters.set(id, c);
    }
    c.messages++;
    if (!isKeepalive(m)) c.bytes += m.length - DATA_OVERHEAD;
    if (counter + WINDOW < c.highest) c.backwards++;
    if (counter < c.lowest) c.lowest = counter;
    if (counter > c.highest) c.highest = counter;
  }

  /**
   * Data messages that are missing between the lowest and the highest counter that a tap saw of an index. At the sender it is the capture that lost them;
   * elsewhere it may have been the network, which the sender's own capture tells.
   */
  gaps(): number {
    let n = 0n;
    const atSender = new Set([...this.counters.values()].filter((c) => c.tap === c.from).map((c) => `${c.receiver} ${c.to}`));
    for (const c of this.counters.values()) {
      if (c.tap !== c.from && atSender.has(`${c.receiver} ${c.to}`)) continue;
      const span = c.highest - c.lowest + 1n;
      if (span > BigInt(c.messages)) n += span - BigInt(c.messages);
    }
    return Number(n);
  }

  /**
   * Indices that nobody announced and that are no older session either: a session that was there before the window goes on counting from where it was,
   * and shows itself soon. `start`: when the window began.
   */
  unexplained(start: bigint | undefined): string[] {
    const found: string[] = [];
    for (const c of this.counters.values()) {
      if (this.#proven.has(`${c.receiver} ${c.to}`)) continue;
      const who = `index 0x${c.receiver.toString(16).padStart(8, "0")}, ${c.from} to ${c.to}`;
      if (c.backwards * 4 > c.messages) found.push(`${who}: its counters do not rise`);
      else if (c.first === 0n && c.since !== undefined && start !== undefined && c.since - start > OLD_SESSION_NS)
        found.push(`${who}: it begins within the window, and no handshake does`);
    }
    return found;
  }

  /** Directions whose ciphertext taken together is not uniform. */
  notUniform(): string[] {
    return [...this.bytes]
      .filter(([, b]) => !b.uniform)
      .map(([way, b]) => `${way.replace(" ", " to ")}: chi-square ${b.chiSquare.toFixed(0)}, expected 255`);
  }
}

export const pairKey = (a: string, b: string): string => (a < b ? `${a} ${b}` : `${b} ${a}`);
