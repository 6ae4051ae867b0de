// Puts captures through the audit: any number of files of any size, in order of time, each read as a stream; and writes them again with a comment on every
// packet that leaked.
import { TortieError } from "../../base/errors.ts";
import { Audit, type AuditedFrame, type Source } from "../../capture/audit/audit.ts";
import type { Inventory } from "../../capture/audit/inventory.ts";
import { type AuditReport, reportOf } from "../../capture/audit/report.ts";
import type { CapturedPacket, CaptureEvent, CaptureInterface } from "../../capture/packet.ts";
import { ByLink } from "../../capture/bylink.ts";
import { nodeCrypto } from "../../crypto/node.ts";
import type { KeyLog } from "../../capture/keylog.ts";
import { Opener } from "../../capture/audit/opener.ts";
import { secretsFrom } from "../captures/keys.ts";
import { readEvents } from "../captures/file.ts";
import { refuseSame } from "../captures/output.ts";
import { OutputFiles } from "../captures/outputs.ts";

const MAX_REMARKS = 20;

export type Input = Source & { readonly path: string };
export type RunOptions = {
  readonly subject: string;
  readonly inventory: Inventory;
  /** Preconditions that whoever asks vouches for. */
  readonly trusted?: ReadonlySet<string>;
  /** The annotated capture. */
  readonly write?: string | undefined;
  readonly salvage?: boolean;
  /** Keys: what they open is opened, and counts as proven. */
  readonly keys?: readonly KeyLog[];
};

/** Throws TortieError when a file cannot be opened. */
export async function auditFiles(inputs: readonly Input[], options: RunOptions): Promise<AuditReport> {
  const opener = options.keys && new Opener(nodeCrypto, secretsFrom([], options.keys));
  const audit = new Audit(nodeCrypto, options.inventory, { sources: inputs, opener });
  if (options.write !== undefined) for (const { path } of inputs) await refuseSame(path, options.write);
  const marked = options.write === undefined ? undefined : new Marked(options.write);
  const remarks: string[] = [];
  /** Files that are captures. */
  const sections = new Set<Input>();
  try {
    for await (const { event, input } of inOrder(inputs, options.salvage ?? false)) {
      if (event.kind === "packet") {
        const source = sourceOf(input, event.packet.iface);
        const frame = audit.add(event.packet, source);
        marked?.add(event.packet, source, frame);
      } else if (event.kind === "section") sections.add(input);
      else if (event.kind === "interface") audit.announce(sourceOf(input, event.iface));
      else if (event.kind === "statistics") audit.statistics(event.statistics);
      else if (event.kind === "damage") {
        const { offset, block, reason } = event.damage;
        if (!sections.has(input)) throw new TortieError(`Cannot audit "${input.path}": ${reason}`);
        audit.damage(input, event.damage);
        if (remarks.length < MAX_REMARKS) remarks.push(`"${input.path}" is damaged at byte ${offset}, ${block}: ${reason}`);
      }
    }
  } finally {
    marked?.files.close();
  }
  for (const file of marked?.files.more ?? []) remarks.push(`"${file}" has the packets of another link type, since tcpdump opens no file of two`);
  return reportOf(audit, audit.judge(options.trusted), { subject: options.subject, remarks });
}

const sources = new WeakMap<CaptureInterface, Source>();
/** A file may hold several links of a node: each is a capture point of its own. */
function sourceOf(input: Input, iface: CaptureInterface): Source {
  let source = sources.get(iface);
  if (!source) {
    const { name } = iface;
    source = name === undefined || input.node === undefined ? input : { ...input, name: `${input.node}/${name}`, link: name };
    sources.set(iface, source);
  }
  return source;
}

type Item = { readonly event: CaptureEvent; readonly input: Input };

/** Events of all files; packets by their time, as far as each file itself is in order. */
async function* inOrder(inputs: readonly Input[], salvage: boolean): AsyncGenerator<Item> {
  const heads = await Promise.all(inputs.map((input) => Head.open(input, salvage)));
  for (;;) {
    let first: Head | undefined;
    for (const h of heads) {
      const e = h.event;
      if (!e) continue;
      // What is no packet, or has no time, goes at once.
      if (e.kind !== "packet" || e.packet.time === undefined) {
        first = h;
        break;
      }
      if (!first || e.packet.time < first.time) first = h;
    }
    if (!first) return;
    yield { event: first.event!, input: first.input };
    if (!first.step()) await first.load();
  }
}

/** Where the reading of one file stands. */
class Head {
  readonly input: Input;
  readonly #runs: AsyncIterator<readonly CaptureEvent[]>;
  #run: readonly CaptureEvent[] = [];
  #at = 0;
  private constructor(input: Input, salvage: boolean) {
    this.input = input;
    this.#runs = readEvents(input.path, { salvage });
  }
  static async open(input: Input, salvage: boolean): Promise<Head> {
    const head = new Head(input, salvage);
    await head.load();
    return head;
  }
  get event(): CaptureEvent | undefined {
    return this.#run[this.#at];
  }
  get time(): bigint {
    const e = this.event;
    return e?.kind === "packet" ? (e.packet.time ?? 0n) : 0n;
  }
  /** False when the next run must be loaded. */
  step(): boolean {
    return ++this.#at < this.#run.length;
  }
  async load(): Promise<void> {
    do {
      const next = await this.#runs.next();
      this.#at = 0;
      this.#run = next.done ? [] : next.value;
      if (next.done) return;
    } while (this.#run.length === 0);
  }
}

/** All audited packets with their capture points; findings carry a comment. */
class Marked {
  readonly files: OutputFiles;
  readonly #writer: ByLink;
  readonly #interfaces = new Map<string, number>();

  constructor(path: string) {
    this.files = new OutputFiles(path);
    this.#writer = new ByLink(this.files.open, { together: this.files.together });
  }

  add(packet: CapturedPacket, source: Source, audited: AuditedFrame | undefined): void {
    const { iface } = packet;
    const id = `${source.name} ${iface.id}`;
    let number = this.#interfaces.get(id);
    if (number === undefined) {
      number = this.#writer.addInterface({ link: iface.link, name: iface.name ?? source.name, description: source.name });
      this.#interfaces.set(id, number);
    }
    this.#writer.packet(number, {
      time: packet.time ?? 0n,
      data: packet.data,
      originalLength: packet.originalLength,
      comments: [...packet.comments, ...(audited?.comment === undefined ? [] : [audited.comment])],
      ...(packet.direction ? { direction: packet.direction } : {}),
    });
  }
}
