// What was found in the clear: by flow, by cause, and how long. Each packet counts once, where it was sent; the receiving node's capture confirms.
import { addressKey } from "./address.ts";
import type { Cause, Classified, Flow, Hint, PacketClass } from "./types.ts";

export type FrameReference = { readonly source: string; readonly frame: number };
export type FlowFinding = {
  readonly class: PacketClass;
  readonly cause: Cause;
  readonly path: readonly string[];
  readonly flow: Flow | undefined;
  /** Node that sent it, node that it was for. */
  readonly from: string | undefined;
  readonly to: string | undefined;
  readonly notes: Set<string>;
  hint: Hint | undefined;
  /** At the node that sent them. */
  packets: number;
  /** Of these, later fragments. */
  fragments: number;
  bytes: number;
  /** Copies that the receiving node's capture has. */
  confirmed: number;
  confirmedBytes: number;
  first: bigint | undefined;
  last: bigint | undefined;
  /** Up to three. */
  readonly samples: FrameReference[];
};
/** Nodes at the ends of the outermost IP header. */
export type Ends = { readonly from: string | undefined; readonly to: string | undefined };
export type CauseTotals = {
  cause: Cause;
  flows: number;
  packets: number;
  bytes: number;
  seconds: number;
  first: bigint | undefined;
  last: bigint | undefined;
};

const MAX_FLOWS = 10_000;
const MAX_SECONDS = 1_000_000;
const SAMPLES = 3;
const SECOND = 1_000_000_000n;

export type Seen = { readonly time: bigint | undefined; readonly at: FrameReference; readonly ends: Ends; readonly confirms: boolean };

export class Findings {
  readonly flows: Map<string, FlowFinding> = new Map();
  /** Packets of flows beyond the limit: counted, not listed. */
  more = 0;
  readonly #byAddresses = new Map<string, FlowFinding>();
  readonly #seconds = new Map<Cause, Set<bigint>>();

  /** The flow's finding. */
  add(c: Classified, cause: Cause, seen: Seen): FlowFinding | undefined {
    const f = c.flow;
    const between = `${c.class} ${c.path.join("+")} ${f ? `${addressKey(f.src)} ${addressKey(f.dst)} ${f.protocol}` : ""}`;
    const key = `${between} ${cause} ${f ? `${f.srcPort} ${f.dstPort}` : ""}`;
    // A later fragment has no ports: it is of the flow between the same addresses.
    const found = this.flows.get(key) ?? (c.fragment ? this.#byAddresses.get(`${between} ${cause}`) : undefined) ?? this.#new(key, c, cause, seen);
    if (!found) return undefined;
    if (!this.#byAddresses.has(`${between} ${cause}`)) this.#byAddresses.set(`${between} ${cause}`, found);
    if (seen.confirms) {
      found.confirmed++;
      found.confirmedBytes += c.bytes;
    } else {
      found.packets++;
      found.bytes += c.bytes;
      if (c.fragment) found.fragments++;
    }
    if (seen.time !== undefined) {
      if (found.first === undefined || seen.time < found.first) found.first = seen.time;
      if (found.last === undefined || seen.time > found.last) found.last = seen.time;
    }
    if (found.samples.length < SAMPLES && (!seen.confirms || found.packets === 0)) found.samples.push(seen.at);
    if (c.note !== undefined && found.notes.size < 8) found.notes.add(c.note);
    if (c.hint && (!found.hint || (found.hint.protected && !c.hint.protected))) found.hint = c.hint;
    this.#second(cause, seen.time);
    return found;
  }

  #new(key: string, c: Classified, cause: Cause, { time, ends }: Seen): FlowFinding | undefined {
    if (this.flows.size >= MAX_FLOWS) return void this.more++;
    const counts = { packets: 0, fragments: 0, bytes: 0, confirmed: 0, confirmedBytes: 0, first: time, last: time, samples: [], hint: undefined };
    const found: FlowFinding = { class: c.class, cause, path: c.path, flow: c.flow, ...ends, notes: new Set(), ...counts };
    this.flows.set(key, found);
    return found;
  }

  #second(cause: Cause, time: bigint | undefined): void {
    if (time === undefined) return;
    let seconds = this.#seconds.get(cause);
    if (!seconds) this.#seconds.set(cause, (seconds = new Set()));
    if (seconds.size < MAX_SECONDS) seconds.add(time / SECOND);
  }

  /** Seconds of the clock in which something of these causes was on a wire. */
  seconds(causes: Iterable<Cause>): number {
    return new Set([...causes].flatMap((cause) => [...(this.#seconds.get(cause) ?? [])])).size;
  }

  byCause(flows: readonly FlowFinding[]): CauseTotals[] {
    const totals = new Map<Cause, CauseTotals>();
    for (const f of flows) {
      let t = totals.get(f.cause);
      if (!t)
        totals.set(f.cause, (t = { cause: f.cause, flows: 0, packets: 0, bytes: 0, seconds: this.seconds([f.cause]), first: f.first, last: f.last }));
      t.flows++;
      t.packets += packetsOf(f);
      t.bytes += bytesOf(f);
      if (f.first !== undefined && (t.first === undefined || f.first < t.first)) t.first = f.first;
      if (f.last !== undefined && (t.last === undefined || f.last > t.last)) t.last = f.last;
    }
    return [...totals.values()];
  }
}

/** What the receiver's capture has beyond the sender's was sent all the same: the sender's capture is blind to it. */
export const packetsOf = (f: FlowFinding): number => Math.max(f.packets, f.confirmed);
export const bytesOf = (f: FlowFinding): number => Math.max(f.bytes, f.confirmedBytes);
/** low: the payload has a protection of its own. */
export const severityOf = (f: FlowFinding): "high" | "medium" | "low" => (f.hint ? (f.hint.protected ? "low" : "high") : "medium");
