// What the counters of data messages tell of a direction without any key: loss, order, copies, replays (section 8.1).
import { LINK_SLL2 } from "../packet/link.ts";
import { DATA_OVERHEAD, readU32 } from "../wireguard/messages.ts";
import { type DataMessage, isKeepalive } from "./message.ts";
import type { CapturedPacket } from "./packet.ts";
import { type DirectionCounts, MAX_ROAMINGS, type Session, type Way } from "./session.ts";
import type { Opened } from "./opened.ts";
import type { Candidate } from "./sessions.ts";
import type { Ends } from "./tracked.ts";

/** Counters that a receiver remembers: what is farther behind the highest, it refuses (RFC 6479 as WireGuard has it: 8192 bits less one word). */
export const REPLAY_WINDOW = 8128;
/** A session's end, ns after its handshake (REJECT_AFTER_TIME). */
export const REJECT_AFTER_NS = 180_000_000_000n;

export type Sight = "new" | "copy" | "replay" | "conflict";

/** Slots of the table of latest messages; a copy is recognised while its first sight has not been written over. */
const SLOTS = 1 << 16;
/** The same packet at the same place within a moment is a copy that the capture made: a bridge's two ends, a merged file. */
const MOMENT_NS = 1_000_000n;
/** With other hops behind it, it was seen at another point of its way, by the clock of that point. */
const ELSEWHERE_NS = 1_000_000_000n;

/** The latest messages, in a table of fixed size. */
export class Sightings {
  readonly #direction = new Uint32Array(SLOTS);
  readonly #counter = new Float64Array(SLOTS).fill(-1);
  readonly #mark = new Uint32Array(SLOTS);
  readonly #place = new Uint32Array(SLOTS);
  readonly #passage = new Uint32Array(SLOTS);
  readonly #time = new BigInt64Array(SLOTS);

  /**
   * `direction`: a number of its own for each direction of each session. `mark`: a word of the tag, 0 when that was cut off. `place`: tells capture points
   * and endpoints apart. `passage`: hops left in the low byte, the outer packet's identification above, 0 when it has none.
   */
  see(direction: number, counter: number, mark: number, place: number, passage: number, time: bigint): Sight {
    // Neighbours lie side by side: most messages come in order.
    const at = (counter + Math.imul(direction, 0x85ebca6b)) & (SLOTS - 1);
    if (this.#direction[at] === direction && this.#counter[at] === counter) {
      if (mark !== 0 && this.#mark[at] !== 0 && mark !== this.#mark[at]) return "conflict";
      if (place !== this.#place[at]) return "copy";
      const since = time - this.#time[at]!;
      const within = (ns: bigint): Sight => (since < ns && since > -ns ? "copy" : "replay");
      const [before, now] = [this.#passage[at]!, passage];
      if ((before & 0xff) !== (now & 0xff)) return within(ELSEWHERE_NS);
      // Another packet with the same message: somebody made it, however soon.
      if (before !== now && before >>> 8 !== 0 && now >>> 8 !== 0) return "replay";
      return within(MOMENT_NS);
    }
    this.#direction[at] = direction;
    this.#counter[at] = counter;
    this.#mark[at] = mark;
    this.#place[at] = place;
    this.#passage[at] = passage;
    this.#time[at] = time;
    return "new";
  }
}

/** Enters a message that is seen for the first time. */
export function noteOrder(c: DirectionCounts, counter: number, frame: number): void {
  const { highest } = c;
  if (highest === undefined) c.lowest = c.highest = counter;
  else if (counter > highest) {
    if (counter > highest + 1) {
      c.gaps++;
      const counters = counter - highest - 1;
      if (counters > (c.widestGap?.counters ?? 0)) c.widestGap = { counters, frame };
    }
    c.highest = counter;
  } else {
    const behind = highest - counter;
    c.reordered++;
    if (behind > c.reorderDistance) c.reorderDistance = behind;
    if (behind > REPLAY_WINDOW) c.late++;
    if (counter < c.lowest!) c.lowest = counter;
  }
}

/** Enters data messages, as they come and as far as they opened, into the counts of their sessions. */
export class Traffic {
  readonly #sightings = new Sightings();

  /**
   * A message whose session is settled. `opened`: undefined when nobody opened it; "failed" when its tag is wrong, and then the result is undefined: it is
   * none of the session's.
   */
  note(m: DataMessage, ends: Ends, { session, way }: Candidate, packet: CapturedPacket, opened: Opened | "failed" | undefined): Sight | undefined {
    const c = session.counts[way];
    const { number: frame, time } = packet;
    const keepalive = isKeepalive(m);
    if (keepalive) c.keepalives++;
    else c.transport++;
    c.bytes += m.length - DATA_OVERHEAD;
    c.firstFrame ??= frame;
    c.lastFrame = frame;
    if (time !== undefined) noteTime(c, session, time, keepalive);
    // Whoever forges messages must not spoil the order of those that are none.
    if (opened === "failed") {
      c.failed++;
      return undefined;
    }
    if (opened) noteOpened(c, opened.authenticated, keepalive);
    const counter = m.count;
    const direction = session.number * 2 + (way === "toResponder" ? 0 : 1);
    const sight = this.#sightings.see(direction, counter, m.mark, placeOf(packet, ends), passageOf(m, ends), time ?? 0n);
    if (sight === "copy") c.duplicates++;
    else if (sight === "replay") c.replays++;
    else if (sight === "conflict") c.conflicts++;
    else {
      const isHighest = c.highest === undefined || counter > c.highest;
      noteOrder(c, counter, frame);
      if (isHighest) noteSource(ends, session, way, packet, opened?.authenticated ?? false);
    }
    return sight;
  }
}

export function noteOpened(c: DirectionCounts, authenticated: boolean, keepalive: boolean): void {
  if (keepalive) return;
  if (authenticated) c.decrypted++;
  else c.unauthenticated++;
}

function noteTime(c: DirectionCounts, session: Session, time: bigint, keepalive: boolean): void {
  c.firstTime ??= time;
  c.lastTime = time;
  if (keepalive) {
    c.firstKeepalive ??= time;
    c.lastKeepalive = time;
  }
  const stood = session.response?.time;
  if (stood !== undefined && time - stood > REJECT_AFTER_NS) c.stale++;
}

/** Roaming: whoever sends the newest message is where it came from. */
function noteSource(ends: Ends, session: Session, way: Way, packet: CapturedPacket, proven: boolean): void {
  const side = way === "toResponder" ? "initiator" : "responder";
  const from = session[side];
  if (from && ends.isFrom(from)) return;
  const to = { ip: new Uint8Array(ends.src.ip), port: ends.srcPort };
  session[side] = to;
  if (!from) return;
  session.roamed++;
  if (session.roamings.length < MAX_ROAMINGS) session.roamings.push({ side, frame: packet.number, time: packet.time, from, to, proven });
}

/** Tells capture points apart, and who sent: two taps at a NAT see one message with two sources. */
function placeOf(packet: CapturedPacket, ends: Ends): number {
  const ifindex = packet.iface.link === LINK_SLL2 && packet.data.length >= 8 ? readU32(packet.data, 4) : 0;
  const direction = packet.direction === undefined ? 0 : packet.direction === "in" ? 1 : 2;
  return (Math.imul(packet.iface.id * 4 + direction, 0x9e3779b1) ^ Math.imul(ifindex, 0x85ebca6b) ^ ends.mark) >>> 0;
}

/** Of IPv6 the hops alone. A message of a super-datagram has the identification of all of it at one tap and its own at the next: none is told. */
function passageOf(m: DataMessage, { frame, srcAt, addressLength }: Ends): number {
  if (addressLength !== 4) return frame[srcAt - 1]!;
  const hops = frame[srcAt - 4]!;
  const udp = srcAt - 12 + ((frame[srcAt - 12]! & 15) << 2);
  const isAlone = m.at === udp + 8 && ((frame[udp + 4]! << 8) | frame[udp + 5]!) === m.length + 8;
  return isAlone ? (frame[srcAt - 8]! << 16) | (frame[srcAt - 7]! << 8) | hops : hops;
}
