// Captures on other nodes, through their agents (tortie.io/v1 nodes/NAME/capture): each is a pcapng stream, whose interfaces become taps "node/interface". When the
// way to a node is lost (the server or the agent was started again, a connection was cut for too long), the capture is ordered anew until it succeeds: what is missing
// is said aloud, and stands at the first packet after it.
import type { NodeCapture } from "../../api/nodecapture.ts";
import { type Backoff, delay } from "../../base/backoff.ts";
import { TortieError } from "../../base/errors.ts";
import type { CapturedPacket, CaptureInterface, CaptureStatistics } from "../../capture/packet.ts";
import { pause } from "../../client/pause.ts";
import type { Transport } from "../../client/transport.ts";
import type { LivePacket, SocketStatistics } from "../../sys/packetsocket.ts";
import { isNotable, offsetText } from "./clock.ts";
import { Leg, type LegEnd, type LegEvents } from "./nodeleg.ts";
import type { Feed, Tap, Tapped } from "./tap.ts";

const AGAIN: Backoff = { firstMs: 250, maxMs: 5_000, factor: 2, jitter: 0.5 };
/** EPB flags, bit 9. */
const CHECKSUM_NOT_READY = 0x200;
const NOTHING: SocketStatistics = { received: 0, dropped: 0 };

export type NodeOptions = {
  /** Gets the key log lines that come with it, before the packets that need them. */
  readonly onKeys: (text: string) => void;
  /** Gets what a person should know at once. */
  readonly warn: (text: string) => void;
};

/** Opens the capture; resolves when it takes packets and its clock is known. Throws TortieError that names the node. */
export async function openNode(transport: Transport, node: string, capture: NodeCapture, options: NodeOptions): Promise<Feed> {
  const opened = new NodeFeed(transport, node, capture, options);
  await opened.begin();
  return opened;
}

/** An interface over all runs: what the earlier ones counted, and the present one. */
type Counted = { before: SocketStatistics; now: SocketStatistics };

class NodeFeed implements Feed {
  readonly name: string;
  readonly taps: Tap[] = [];
  away: string | undefined;
  readonly #order: () => Leg;
  readonly #options: NodeOptions;
  readonly #counted: Counted[] = [];
  /** Of each tap: what is to be said at its next packet. */
  readonly #remarks = new Map<Tap, string>();
  readonly #closing = new AbortController();
  #leg: Leg;
  #kept: Promise<void> = Promise.resolve();
  #broken: string | undefined;
  #over = false;
  #waiting: Tapped[] = [];
  #wake: () => void = () => {};
  /** Taken from its times to have ours. */
  #shift = 0n;

  constructor(transport: Transport, node: string, capture: NodeCapture, options: NodeOptions) {
    this.name = node;
    this.#options = options;
    this.#order = () => new Leg(transport, node, capture, this.#events());
    this.#leg = this.#order();
  }

  async begin(): Promise<void> {
    if (!(await this.#leg.begin())) throw new TortieError(`Cannot capture on node "${this.name}": ${(await this.#end()).why}`);
    const clock = this.#leg.clock.best!;
    if (isNotable(clock)) this.#shift = clock.offset;
    const done = this.#shift === 0n ? "" : "; times are told by this machine's";
    for (const tap of this.taps) tap.comments = [`the clock of ${this.name} was ${offsetText(clock)}${done}`];
    this.#kept = this.#keep();
  }

  /** Why the run that did not begin is over. */
  async #end(): Promise<LegEnd> {
    const late = { why: "it did not begin in time", lost: true };
    const ended = this.#leg.ended;
    const end = await Promise.race([ended, this.#leg.stop().then(() => late)]);
    return end ?? late;
  }

  /** One run after the other, until it is closed or cannot go on. */
  async #keep(): Promise<void> {
    for (let end = await this.#leg.ended; end !== undefined && !this.#closing.signal.aborted; end = await this.#leg.ended) {
      const failed = end.lost ? await this.#again(end.why) : end.why;
      if (failed === undefined) continue;
      this.#broken = failed;
      break;
    }
    this.#over = true;
    this.#wake();
  }

  /** Orders the capture until it runs again, or this one is closed; the result: why it cannot. */
  async #again(why: string): Promise<string | undefined> {
    const since = Date.now();
    const { signal } = this.#closing;
    this.away = `node "${this.name}" was not reached any more: ${why}`;
    this.#options.warn(`The way to node "${this.name}" is lost: ${why}. It is tried again until the capture ends.`);
    for (const c of this.#counted) Object.assign(c, { before: sum(c), now: NOTHING });
    for (let n = 0; ; n++) {
      await pause(delay(AGAIN, Math.min(n, 20), Math.random()), signal);
      if (signal.aborted) return undefined;
      this.#leg = this.#order();
      if (await this.#leg.begin()) break;
      const end = await this.#end();
      if (!end.lost) return end.why;
    }
    const gap = `${((Date.now() - since) / 1000).toFixed(1)} s`;
    this.away = undefined;
    for (const tap of this.taps) this.#remarks.set(tap, `for ${gap} before this nothing was captured on ${this.name}: the way to it was lost`);
    this.#options.warn(`Node "${this.name}" is captured on again; what passed there in the ${gap} between is missing.`);
    return undefined;
  }

  /** What is to be said about its clock, if anything. */
  get remark(): string | undefined {
    return this.#shift === 0n
      ? undefined
      : `The clock of ${this.name} is ${offsetText(this.#leg.clock.best!)}: its times are told by this machine's.`;
  }

  /** Takes what one run gives. */
  #events(): LegEvents {
    // The n-th interface of any run is the n-th tap.
    return {
      iface: (iface) => this.#iface(iface),
      packet: (packet) => void this.#waiting.push(this.#own(packet)),
      counters: (statistics) => this.#count(statistics),
      keys: (text) => this.#options.onKeys(text),
      batchEnd: () => {
        if (this.#waiting.length > 0) this.#wake();
      },
    };
  }

  #iface(iface: CaptureInterface): void {
    if (this.taps[iface.id]) return;
    const name = `${this.name}/${iface.name ?? iface.id}`;
    const { link, filter, os, mac } = iface;
    const known = { ...(filter === undefined ? {} : { filter }), ...(os === undefined ? {} : { os }), ...(mac ? { mac } : {}) };
    const counted: Counted = { before: NOTHING, now: NOTHING };
    this.#counted[iface.id] = counted;
    this.taps[iface.id] = { link, snaplen: iface.snaplen, name, description: name, ...known, statistics: () => sum(counted) };
  }

  #own(p: CapturedPacket): Tapped {
    const tap = this.taps[p.iface.id]!;
    const packet: LivePacket = {
      timeNs: (p.time ?? 0n) - this.#shift,
      data: new Uint8Array(p.data),
      originalLength: p.originalLength,
      direction: p.direction ?? "other",
      interfaceIndex: 0,
      checksumNotReady: ((p.flags ?? 0) & CHECKSUM_NOT_READY) !== 0,
      segment: 0, // cut already where it was captured
      dropped: Number(p.dropped ?? 0n),
    };
    const remark = this.#remarks.get(tap);
    this.#remarks.delete(tap);
    return { tap, packet, comments: remark === undefined ? p.comments : [remark, ...p.comments] };
  }

  #count(s: CaptureStatistics): void {
    const counted = this.#counted[s.iface.id];
    if (counted) counted.now = { received: Number(s.accepted ?? 0n), dropped: Number(s.osDropped ?? 0n) };
  }

  async *batches(): AsyncGenerator<readonly Tapped[]> {
    for (;;) {
      const batch = this.#waiting;
      this.#waiting = [];
      if (batch.length > 0) yield batch;
      else if (this.#over) break;
      else await new Promise<void>((resolve) => (this.#wake = resolve));
    }
    if (this.#broken !== undefined) throw new TortieError(`Cannot go on capturing on node "${this.name}": ${this.#broken}`);
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#leg.stop();
    await this.#kept;
    this.#over = true;
    this.#wake();
  }
}

const sum = ({ before, now }: Counted): SocketStatistics => ({ received: before.received + now.received, dropped: before.dropped + now.dropped });
