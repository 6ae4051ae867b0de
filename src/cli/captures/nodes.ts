// Captures on other nodes, through their agents (tortie.io/v1 nodes/NAME/capture): each is a pcapng stream, whose interfaces become taps "node/interface".
import { setTimeout as sleep } from "node:timers/promises";
import type { NodeCapture } from "../../api/nodecapture.ts";
import { messageOf, TortieError } from "../../base/errors.ts";
import { fromUtf8 } from "../../base/bytes.ts";
import { type CaptureEvent, type CapturedPacket, type CaptureInterface, type CaptureStatistics, SECRETS_WIREGUARD } from "../../capture/packet.ts";
import { CaptureReader } from "../../capture/reader.ts";
import { captureOnNode } from "../../client/exec.ts";
import type { Transport } from "../../client/transport.ts";
import type { LivePacket, SocketStatistics } from "../../sys/packetsocket.ts";
import { ClockComparison, isNotable, offsetText } from "./clock.ts";
import type { Feed, Tap, Tapped } from "./tap.ts";

/** A node that answers takes a second; one that does other things takes longer. */
const START_MS = 60_000;
/** Questions about counters and time: some at the start, to know the clock, then one a second. */
const FIRST_QUESTIONS = 5;
const QUESTION_MS = 1_000;
const LOOK_MS = 10;
const LINE = Uint8Array.of(10);

/** A capture that was told to end and does not is given up after so long. */
const STOP_MS = 5_000;
/** EPB flags, bit 9. */
const CHECKSUM_NOT_READY = 0x200;

const now = (): bigint => BigInt(Date.now()) * 1_000_000n;

/**
 * Opens the capture; resolves when it takes packets and its clock is known. `onKeys` gets the key log lines that come with it, before the packets that need
 * them. Throws TortieError that names the node.
 */
export async function openNode(transport: Transport, node: string, capture: NodeCapture, onKeys: (text: string) => void): Promise<Feed> {
  const opened = new NodeFeed(transport, node, capture, onKeys);
  await opened.begin();
  return opened;
}

class NodeFeed implements Feed {
  readonly name: string;
  readonly taps: Tap[] = [];
  readonly #expected: number;
  readonly #onKeys: (text: string) => void;
  readonly #reader = new CaptureReader();
  readonly #clock = new ClockComparison();
  readonly #byInterface = new Map<number, Tap>();
  readonly #counts = new Map<number, SocketStatistics>();
  readonly #stop = new AbortController();
  readonly #giveUp = new AbortController();
  readonly #ended: Promise<void>;
  /** What went wrong, once it is over. */
  #broken: string | undefined;
  #over = false;
  #said = "";
  #waiting: Tapped[] = [];
  #wake: () => void = () => {};
  /** Taken from its times to have ours. */
  #shift = 0n;

  constructor(transport: Transport, node: string, capture: NodeCapture, onKeys: (text: string) => void) {
    this.name = node;
    this.#onKeys = onKeys;
    this.#expected = capture.interfaces.length;
    const running = captureOnNode(transport, node, capture, {
      stdin: this.#questions(),
      stdout: (data) => this.#read(this.#reader.push(data)),
      signal: this.#giveUp.signal,
      stderr: (data) => void (this.#said = (this.#said + fromUtf8(data)).slice(-2000)),
    });
    this.#ended = running.then(
      (code) => this.#finish(code === 0 ? undefined : this.#said.trim() || `exit code ${code}`),
      (e: unknown) => this.#finish(messageOf(e)),
    );
  }

  #finish(why: string | undefined): void {
    // A stream that broke off is no damage to tell of besides.
    if (why === undefined) this.#read(this.#reader.end());
    if (!this.#stop.signal.aborted) this.#broken = why;
    this.#over = true;
    this.#wake();
  }

  /** Standard input of the capture: a line asks for its counters, the end ends it. */
  async *#questions(): AsyncGenerator<Uint8Array> {
    for (let n = 0; !this.#stop.signal.aborted && !this.#over; n++) {
      // Before the first block there is nobody to answer.
      if (this.taps.length > 0) {
        this.#clock.ask(now());
        yield LINE;
      } else n--;
      await sleep(n < FIRST_QUESTIONS ? LOOK_MS : QUESTION_MS, undefined, { signal: this.#stop.signal }).catch(() => {});
    }
  }

  async begin(): Promise<void> {
    const end = performance.now() + START_MS;
    const ready = (): boolean => this.taps.length === this.#expected && this.#clock.answers >= FIRST_QUESTIONS;
    while (!ready() && !this.#over && performance.now() < end) await sleep(LOOK_MS);
    if (ready()) return this.#compareClocks();
    await this.close();
    throw new TortieError(`Cannot capture on node "${this.name}": ${this.#broken ?? "it did not begin in time"}`);
  }

  #compareClocks(): void {
    const clock = this.#clock.best!;
    if (isNotable(clock)) this.#shift = clock.offset;
    const done = this.#shift === 0n ? "" : "; times are told by this machine's";
    for (const tap of this.taps) tap.comments = [`the clock of ${this.name} was ${offsetText(clock)}${done}`];
  }

  /** What is to be said about its clock, if anything. */
  get remark(): string | undefined {
    return this.#shift === 0n ? undefined : `The clock of ${this.name} is ${offsetText(this.#clock.best!)}: its times are told by this machine's.`;
  }

  #read(events: readonly CaptureEvent[]): void {
    for (const e of events) {
      if (e.kind === "interface") this.#addTap(e.iface);
      else if (e.kind === "packet") this.#waiting.push(this.#own(e.packet));
      else if (e.kind === "statistics") this.#count(e.statistics);
      else if (e.kind === "secrets" && e.secrets.type === SECRETS_WIREGUARD) this.#onKeys(fromUtf8(e.secrets.data));
      else if (e.kind === "damage") this.#said += `its stream is damaged: ${e.damage.reason}\n`;
    }
    if (this.#waiting.length > 0) this.#wake();
  }

  #addTap(iface: CaptureInterface): void {
    const name = `${this.name}/${iface.name ?? iface.id}`;
    const { link, filter, os, mac } = iface;
    const known = { ...(filter === undefined ? {} : { filter }), ...(os === undefined ? {} : { os }), ...(mac ? { mac } : {}) };
    const statistics = (): SocketStatistics => this.#counts.get(iface.id) ?? { received: 0, dropped: 0 };
    const tap: Tap = { link, snaplen: iface.snaplen, name, description: name, ...known, statistics };
    this.#byInterface.set(iface.id, tap);
    this.taps.push(tap);
  }

  #own(p: CapturedPacket): Tapped {
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
    return { tap: this.#byInterface.get(p.iface.id)!, packet, comments: p.comments };
  }

  #count(s: CaptureStatistics): void {
    this.#counts.set(s.iface.id, { received: Number(s.accepted ?? 0n), dropped: Number(s.osDropped ?? 0n) });
    // One answer has a block for each interface.
    if (s.iface.id === 0 && s.end !== undefined) this.#clock.answer(s.end, now());
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
    this.#stop.abort();
    const timer = setTimeout(() => this.#giveUp.abort(), STOP_MS);
    await this.#ended;
    clearTimeout(timer);
  }
}
