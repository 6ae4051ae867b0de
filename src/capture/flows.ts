// What only the packets before one tell of it: numbers of UDP and TCP streams, relative sequence numbers, scaled windows, and which echo request a reply
// answers. As Wireshark counts them, in one pass. Bounded: the stream that was silent longest is forgotten first.
import { optionsOf } from "./fields/tcpoptions.ts";
import { segmentLength } from "./fields/transport.ts";
import type { Part } from "./fields/part.ts";

export type TcpFlow = {
  readonly sequence: number;
  readonly next: number;
  readonly acknowledgement: number;
  /** Window in bytes, and its factor: -1 not known, -2 none was agreed. */
  readonly window: number;
  readonly scale: number | undefined;
  /** What the stream had shown before this packet: 1 SYN, 2 SYN+ACK, 4 ACK, 8 data, 16 FIN, 32 RST. */
  readonly completeness: number;
};
export type Flow = {
  readonly stream?: number;
  /** ns. */
  readonly sinceFirst?: bigint | undefined;
  readonly sincePrevious?: bigint | undefined;
  readonly tcp?: TcpFlow | undefined;
  /** Frame of the request, and how long after it this is, ns. */
  readonly answers?: number;
  readonly after?: bigint | undefined;
};

/** Fields that need the packets before. */
export const FLOW_FIELDS: ReadonlySet<string> = new Set([
  "udp.stream",
  "udp.time_relative",
  "udp.time_delta",
  "tcp.stream",
  "tcp.completeness",
  "tcp.seq",
  "tcp.nxtseq",
  "tcp.ack",
  "tcp.window_size",
  "tcp.window_size_scalefactor",
  "tcp.time_relative",
  "tcp.time_delta",
  "icmp.resp_to",
  "icmp.resptime",
  "icmpv6.resp_to",
  "icmpv6.resptime",
]);

type Side = { base: number | undefined; scale: number | undefined };
type Stream = {
  readonly number: number;
  readonly first: bigint | undefined;
  previous: bigint | undefined;
  /** By direction: of the lower end, of the higher. */
  readonly sides: readonly [Side, Side];
  completeness: number;
};
type Request = { readonly frame: number; readonly time: bigint | undefined };

/** Streams of a protocol that are remembered at least; at most twice as many. */
const STREAMS = 16_384;

/** What was asked for lately. Two generations: what is found in the older one moves to the younger, and when that is full the older one is forgotten. */
class Recent<V> {
  #young = new Map<string, V>();
  #old = new Map<string, V>();

  get(key: string): V | undefined {
    const found = this.#young.get(key);
    if (found !== undefined) return found;
    const before = this.#old.get(key);
    if (before !== undefined) this.set(key, before);
    return before;
  }
  set(key: string, value: V): void {
    this.#young.set(key, value);
    if (this.#young.size < STREAMS) return;
    this.#old = this.#young;
    this.#young = new Map();
  }
  delete(key: string): void {
    this.#young.delete(key);
    this.#old.delete(key);
  }
}

export class Flows {
  readonly #streams = { udp: new Recent<Stream>(), tcp: new Recent<Stream>() };
  readonly #counts = { udp: 0, tcp: 0 };
  readonly #requests = new Recent<Request>();

  readonly #all: boolean;

  /** `all`: streams of UDP are told too, and times. */
  constructor(all: boolean) {
    this.#all = all;
  }

  /** Takes the parts of the next packet and tells each what is known of it. */
  visit(parts: readonly Part[]): void {
    // The same echo may be seen in a tunnel and beside it.
    let depth = 0;
    for (const p of parts) {
      const name = p.protocol.name;
      if (name === "tcp" || (name === "udp" && this.#all)) p.flow = this.#stream(p, name);
      else if ((name === "icmp" || name === "icmpv6") && !p.quoted) p.flow = this.#echo(p, name, depth);
      else if (name === "ip" || name === "ipv6") depth++;
    }
  }

  #stream(p: Part, name: "udp" | "tcp"): Flow | undefined {
    const [from, to] = ends(p);
    if (from === undefined || to === undefined || p.at + 4 > p.end) return undefined;
    const a = from + wordsAt(p, 0, 2);
    const b = to + wordsAt(p, 2, 2);
    const isLower = a <= b;
    const key = isLower ? a + b : b + a;
    const time = p.scope.tracked.packet.time;
    let s = this.#streams[name].get(key);
    const flags = name === "tcp" ? (p.uint(12, 2) ?? 0) : 0;
    // A new SYN with other numbers on the same ports is a new conversation.
    const isNew = s && name === "tcp" && (flags & 0x12) === 2 && s.sides[isLower ? 0 : 1].base !== p.uint(4, 4) && !p.quoted;
    if (!s || isNew) {
      const side = (): Side => ({ base: undefined, scale: undefined });
      s = { number: this.#counts[name]++, first: time, previous: time, sides: [side(), side()], completeness: 0 };
      this.#streams[name].set(key, s);
    }
    if (p.quoted) return { stream: s.number };
    const since = (t: bigint | undefined): bigint | undefined => (time === undefined || t === undefined || !this.#all ? undefined : time - t);
    const [sinceFirst, sincePrevious] = [since(s.first), since(s.previous)];
    s.previous = time;
    const [own, other] = isLower ? s.sides : [s.sides[1], s.sides[0]];
    return { stream: s.number, sinceFirst, sincePrevious, tcp: name === "udp" ? undefined : tcp(p, flags, s, own, other) };
  }

  #echo(p: Part, name: "icmp" | "icmpv6", depth: number): Flow | undefined {
    const type = p.uint(0, 1);
    const [request, reply] = name === "icmp" ? [8, 0] : [128, 129];
    if ((type !== request && type !== reply) || p.at + 8 > p.end) return undefined;
    const [from, to] = ends(p);
    if (from === undefined || to === undefined) return undefined;
    const id = String.fromCharCode(depth) + wordsAt(p, 4, 4);
    const time = p.scope.tracked.packet.time;
    if (type === request) this.#requests.set(from + to + id, { frame: p.scope.tracked.packet.number, time });
    if (type !== reply) return undefined;
    const asked = to + from + id;
    const found = this.#requests.get(asked);
    this.#requests.delete(asked);
    return found && { answers: found.frame, after: time === undefined || found.time === undefined ? undefined : time - found.time };
  }
}

/** Source and destination, as texts to look up by. */
function ends({ carrier }: Part): readonly [string | undefined, string | undefined] {
  if (!carrier) return [undefined, undefined];
  const [src, dst, length] = carrier.protocol.name === "ip" ? [12, 16, 4] : [8, 24, 16];
  return carrier.at + dst + length > carrier.end ? [undefined, undefined] : [wordsAt(carrier, src, length), wordsAt(carrier, dst, length)];
}
/** Bytes as a text to look up by, two in a character. They must have been captured. */
function wordsAt(p: Part, offset: number, length: number): string {
  const b = p.bytes;
  const from = p.at + offset;
  if (length === 4) return String.fromCharCode((b[from]! << 8) | b[from + 1]!, (b[from + 2]! << 8) | b[from + 3]!);
  let text = "";
  for (let i = from; i < from + length; i += 2) text += String.fromCharCode((b[i]! << 8) | b[i + 1]!);
  return text;
}

function tcp(p: Part, flags: number, s: Stream, own: Side, other: Side): TcpFlow | undefined {
  const raw = p.uint(4, 4);
  const ack = p.uint(8, 4);
  const window = p.uint(14, 2);
  if (raw === undefined || ack === undefined || window === undefined) return undefined;
  const isSyn = (flags & 2) !== 0;
  const hasAck = (flags & 16) !== 0;
  own.base ??= isSyn ? raw : (raw - 1) >>> 0;
  if (hasAck) other.base ??= (ack - 1) >>> 0;
  const length = segmentLength(p);
  const sequence = (raw - own.base) >>> 0;
  const completeness = s.completeness;
  s.completeness |= isSyn ? (hasAck ? 2 : 1) : length > 0 ? 8 : flags & 1 ? 16 : flags & 4 ? 32 : hasAck ? 4 : 0;
  if (!isSyn && flags & 1) s.completeness |= 16;
  if (isSyn) {
    const option = optionsOf(p).find((o) => o.uint(0, 1) === 3);
    own.scale = option ? 2 ** Math.min(14, option.uint(2, 1) ?? 0) : -2;
  }
  // Both sides must have offered it.
  const scale = isSyn ? undefined : own.scale === undefined ? -1 : own.scale < 0 || other.scale === -2 ? -2 : own.scale;
  return {
    sequence,
    next: (sequence + length + (isSyn || flags & 1 ? 1 : 0)) >>> 0,
    acknowledgement: hasAck && other.base !== undefined ? (ack - other.base) >>> 0 : ack,
    window: scale !== undefined && scale > 0 ? window * scale : window,
    scale,
    completeness,
  };
}
