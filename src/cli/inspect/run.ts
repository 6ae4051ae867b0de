// Reads a capture, filters its packets and prints them in a format: what `tortie inspect` and `tortie` as tshark share. Memory does not grow with the file.
import { Dissector } from "../../capture/dissect.ts";
import { type DisplayFilter, displayFilter } from "../../capture/display/index.ts";
import { analyse, Analysis, type AnalysisOptions, type EachPacket, survey } from "../../capture/analysis.ts";
import type { Labels } from "../../capture/fields/scope.ts";
import type { KeyLog } from "../../capture/keylog.ts";
import type { Secrets } from "../../capture/secrets.ts";
import type { BatchOpener } from "../../capture/opener.ts";
import type { CaptureEvent } from "../../capture/packet.ts";
import type { TrackedPacket } from "../../capture/tracked.ts";
import { batchOpener } from "../../crypto/batchopener.ts";
import { nodeCrypto } from "../../crypto/node.ts";
import { readEvents } from "../captures/file.ts";
import { keepHeapSmall } from "../captures/heap.ts";
import { paced } from "../captures/paced.ts";
import type { Format } from "./formats.ts";

export type Run = {
  readonly path: string;
  readonly logs: readonly KeyLog[];
  readonly filter: string | undefined;
  readonly salvage: boolean;
  /** Packets printed at most. */
  readonly count?: number | undefined;
  /** Only this one. */
  readonly frame?: number | undefined;
  /** The first so many of the file. */
  readonly first?: number | undefined;
  /** Names of the file instead of addresses. */
  readonly names?: boolean;
  readonly labels?: Labels | undefined;
  readonly prepare?: ((secrets: Secrets) => void) | undefined;
};

/** Printed output gathers to pieces of this size: a write for each packet is dear. */
const PIECE = 1 << 16;

const optionsOf = (run: Run, opener: BatchOpener): AnalysisOptions => ({
  crypto: nodeCrypto,
  opener,
  logs: run.logs,
  ...(run.prepare ? { prepare: run.prepare } : {}),
});

/** Analyses without printing: for what is counted. `each`: packets are wanted too. */
export async function analyseFile(run: Run, each?: EachPacket): Promise<Analysis> {
  keepHeapSmall();
  const opener = batchOpener();
  try {
    const source = (): AsyncIterable<readonly CaptureEvent[]> => readEvents(run.path, { salvage: run.salvage, reuse: true });
    const options = optionsOf(run, opener);
    return await (each ? analyse(source, options, each) : survey(source, { ...options, opener: async () => opener }));
  } finally {
    opener.wipe();
  }
}

/** Prints what the filter shows. Throws TortieError for a filter that is none, before anything is read. */
export async function print(run: Run, format: Format, write: (text: string) => void): Promise<Analysis> {
  const filter = displayFilter(run.filter ?? "");
  const opener = batchOpener();
  try {
    const analysis = new Analysis(optionsOf(run, opener));
    // Where packets are printed on the same terminal a progress line would be in between.
    const progress = process.stdout.isTTY ? ({ progress: false } as const) : {};
    const source = (packets = true): AsyncIterable<readonly CaptureEvent[]> =>
      readEvents(run.path, { salvage: run.salvage, reuse: true, packets, ...progress });
    const isAlone = format.alone === true && run.logs.length === 0 && !run.prepare && [...filter.fields].every(isAloneField);
    if (!isAlone || !(await isPlain(source(false)))) for await (const events of source()) analysis.learn(events);
    const printer = new Printer(run, filter, format, analysis, write);
    for await (const events of paced(source())) if (!analysis.open(events, (t) => printer.packet(t))) break;
    analysis.end();
    printer.end();
    return analysis;
  } finally {
    opener.wipe();
  }
}

/** A file that holds neither keys nor names: the whole of it tells no more of a packet than the packet does. */
async function isPlain(source: AsyncIterable<readonly CaptureEvent[]>): Promise<boolean> {
  for await (const events of source)
    for (const e of events) {
      // Of pcap the header tells.
      if (e.kind === "section" && e.format !== "pcapng") return true;
      if (e.kind === "secrets" || e.kind === "names") return false;
    }
  return true;
}

/** Fields of WireGuard that stand in the message; the others are told by its session. */
const ALONE: ReadonlySet<string> = new Set([
  "wg",
  "wg.type",
  "wg.reserved",
  "wg.sender",
  "wg.receiver",
  "wg.counter",
  "wg.ephemeral",
  "wg.keepalive",
]);
const isAloneField = (name: string): boolean => !name.startsWith("wg.") || ALONE.has(name);

class Printer {
  readonly #run: Run;
  readonly #filter: DisplayFilter;
  readonly #format: Format;
  readonly #analysis: Analysis;
  readonly #write: (text: string) => void;
  #dissector: Dissector | undefined;
  #printed = 0;
  #text: string;

  constructor(run: Run, filter: DisplayFilter, format: Format, analysis: Analysis, write: (text: string) => void) {
    this.#run = run;
    this.#filter = filter;
    this.#format = format;
    this.#analysis = analysis;
    this.#write = write;
    this.#text = format.head ?? "";
  }

  /** False when no more packets are wanted. */
  packet(t: TrackedPacket): boolean {
    const { number } = t.packet;
    const { first, frame, count } = this.#run;
    if (first !== undefined && number > first) return false;
    // Names stand in the file where they will: they are known when its second reading begins.
    const dissector = (this.#dissector ??= this.#newDissector());
    const d = dissector.add(t);
    if ((frame !== undefined && number !== frame) || !this.#filter.test(d)) return frame === undefined || number < frame;
    if (this.#printed++ > 0) this.#text += this.#format.between ?? "";
    this.#text += this.#format.packet(d, this.#analysis.facts.first);
    dissector.show(d);
    if (this.#text.length >= PIECE) this.#flush();
    return frame === undefined && this.#printed !== count;
  }
  end(): void {
    this.#text += this.#format.foot ?? "";
    this.#flush();
  }

  #newDissector(): Dissector {
    const { facts, secrets } = this.#analysis;
    return new Dissector({
      secrets,
      flows: this.#filter.flows || this.#format.flows,
      pcapng: facts.format === "pcapng",
      ...(this.#run.names ? { names: facts.names } : {}),
      ...(this.#run.labels ? { labels: this.#run.labels } : {}),
    });
  }
  #flush(): void {
    if (this.#text !== "") this.#write(this.#text);
    this.#text = "";
  }
}
