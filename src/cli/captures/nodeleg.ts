// One run of a capture on a node, from the order to its end: the pcapng stream that comes back, questions about counters and time, and why it ended.
import { setTimeout as sleep } from "node:timers/promises";
import type { NodeCapture } from "../../api/nodecapture.ts";
import { fromUtf8 } from "../../base/bytes.ts";
import { messageOf, TortieError } from "../../base/errors.ts";
import { type CaptureEvent, type CapturedPacket, type CaptureInterface, type CaptureStatistics, SECRETS_WIREGUARD } from "../../capture/packet.ts";
import { CaptureReader } from "../../capture/reader.ts";
import { ApiError } from "../../client/error.ts";
import { captureOnNode } from "../../client/exec.ts";
import type { Transport } from "../../client/transport.ts";
import { ClockComparison } from "./clock.ts";

/** A node that answers takes a second; one that does other things takes longer. */
const START_MS = 60_000;
/** Questions about counters and time: some at the start, to know the clock, then one a second. */
const FIRST_QUESTIONS = 5;
const QUESTION_MS = 1_000;
const LOOK_MS = 10;
const LINE = Uint8Array.of(10);
/** A capture that was told to end and does not is given up after so long. */
const STOP_MS = 5_000;

const now = (): bigint => BigInt(Date.now()) * 1_000_000n;

/** What comes, as it comes. Interfaces keep their order from run to run. */
export interface LegEvents {
  iface(iface: CaptureInterface): void;
  packet(packet: CapturedPacket): void;
  counters(statistics: CaptureStatistics): void;
  /** Key log lines, before the packets that need them. */
  keys(text: string): void;
  /** Some of the above came. */
  batchEnd(): void;
}
/** `lost`: the way to the node, not the capture: another try may go well. */
export type LegEnd = { readonly why: string; readonly lost: boolean };

/** Answers of a server that may be different in a moment: it starts, or the agent does, or there is too much to do. */
const PASSING = new Set([429, 502, 503, 504]);
const isLoss = (thrown: unknown): boolean => thrown instanceof TortieError || (thrown instanceof ApiError && PASSING.has(thrown.code));

export class Leg {
  readonly clock: ClockComparison = new ClockComparison();
  /** Resolves when it is over: with why, or undefined when it was told to end. */
  readonly ended: Promise<LegEnd | undefined>;
  #interfaces = 0;
  #over = false;
  #said = "";
  readonly #expected: number;
  readonly #events: LegEvents;
  readonly #reader = new CaptureReader();
  readonly #stop = new AbortController();
  readonly #giveUp = new AbortController();

  constructor(transport: Transport, node: string, capture: NodeCapture, events: LegEvents) {
    this.#events = events;
    this.#expected = capture.interfaces.length;
    const running = captureOnNode(transport, node, capture, {
      stdin: this.#questions(),
      stdout: (data) => this.#read(this.#reader.push(data)),
      signal: this.#giveUp.signal,
      stderr: (data) => void (this.#said = (this.#said + fromUtf8(data)).slice(-2000)),
    });
    this.ended = running.then(
      (code) => this.#finish(code === 0 ? undefined : { why: this.#said.trim() || `exit code ${code}`, lost: false }),
      (thrown: unknown) => this.#finish({ why: messageOf(thrown), lost: isLoss(thrown) }),
    );
  }

  #finish(end: LegEnd | undefined): LegEnd | undefined {
    // A stream that broke off is no damage to tell of besides.
    if (end === undefined) this.#read(this.#reader.end());
    this.#over = true;
    return this.#stop.signal.aborted ? undefined : (end ?? { why: "it ended by itself", lost: false });
  }

  /** Standard input of the capture: a line asks for its counters, the end ends it. */
  async *#questions(): AsyncGenerator<Uint8Array> {
    for (let n = 0; !this.#stop.signal.aborted && !this.#over; n++) {
      // Before the first block there is nobody to answer.
      if (this.#interfaces > 0) {
        this.clock.ask(now());
        yield LINE;
      } else n--;
      await sleep(n < FIRST_QUESTIONS ? LOOK_MS : QUESTION_MS, undefined, { signal: this.#stop.signal }).catch(() => {});
    }
  }

  /** Whether it takes packets and its clock is known. */
  get #ready(): boolean {
    return this.#interfaces === this.#expected && this.clock.answers >= FIRST_QUESTIONS;
  }
  /** Waits for that; false when it ended before, or did not begin in time. */
  async begin(): Promise<boolean> {
    for (const end = performance.now() + START_MS; !this.#ready && !this.#over && performance.now() < end;) await sleep(LOOK_MS);
    return this.#ready && !this.#over;
  }

  #read(events: readonly CaptureEvent[]): void {
    for (const e of events) {
      if (e.kind === "interface") {
        this.#interfaces++;
        this.#events.iface(e.iface);
      } else if (e.kind === "packet") this.#events.packet(e.packet);
      else if (e.kind === "statistics") this.#count(e.statistics);
      else if (e.kind === "secrets" && e.secrets.type === SECRETS_WIREGUARD) this.#events.keys(fromUtf8(e.secrets.data));
      else if (e.kind === "damage") this.#said += `its stream is damaged: ${e.damage.reason}\n`;
    }
    this.#events.batchEnd();
  }

  #count(s: CaptureStatistics): void {
    this.#events.counters(s);
    // One answer has a block for each interface.
    if (s.iface.id === 0 && s.end !== undefined) this.clock.answer(s.end, now());
  }

  /** Ends it after what has arrived by now. */
  async stop(): Promise<void> {
    this.#stop.abort();
    const timer = setTimeout(() => this.#giveUp.abort(), STOP_MS);
    await this.ended;
    clearTimeout(timer);
  }
}
