// Prints a live capture line by line.
import { parseKeyLog } from "../../capture/keylog.ts";
import type { CaptureInterface } from "../../capture/packet.ts";
import { Secrets } from "../../capture/secrets.ts";
import { formatMac } from "../../capture/summary.ts";
import { Tracker } from "../../capture/tracker.ts";
import { nodeCrypto } from "../../crypto/node.ts";
import { decode } from "../../packet/decode.ts";
import { Hold } from "./hold.ts";
import { hexRows, packetLines } from "./lines.ts";
import { printable } from "./printable.ts";
import type { Tap, Tapped } from "./tap.ts";
import type { Target } from "./target.ts";

export type PrinterOptions = {
  /** Key log text will come: packets wait for it. */
  keys: boolean;
  /** The link header too. */
  link?: boolean | undefined;
  /** The bytes too. */
  bytes?: boolean | undefined;
};

/** Prints packets; with keys outer and inner lines. Nothing is kept but the sessions. */
export class Printer implements Target {
  count = 0;
  handshakes = 0;
  opened = 0;
  readonly done = false;
  readonly #options: PrinterOptions;
  readonly #secrets = new Secrets(nodeCrypto);
  readonly #tracker = new Tracker(nodeCrypto, this.#secrets, { live: true });
  readonly #interfaces: ReadonlyMap<Tap, CaptureInterface>;
  readonly #hold: Hold;
  #printed = 0;
  #first: bigint | undefined;
  #lines: string[] = [];

  constructor(taps: readonly Tap[], options: PrinterOptions) {
    this.#options = options;
    this.#interfaces = new Map(
      taps.map((tap, id) => [tap, { id, link: tap.link, snaplen: tap.snaplen, fcsLength: 0, name: tap.name, comments: [] }]),
    );
    this.#hold = new Hold({
      pass: (t) => this.#print(t),
      keys: (text) => {
        this.#secrets.add(parseKeyLog(text));
        this.opened++;
      },
    });
  }
  keys(text: string): void {
    this.handshakes += this.#hold.add(text);
    this.#hold.release(Date.now());
  }
  packet(t: Tapped, now: number): void {
    this.count++;
    if (this.#options.keys) this.#hold.packet(t, now);
    else this.#print(t);
  }
  #print({ tap, packet: p }: Tapped): void {
    this.#first ??= p.timeNs;
    const direction = p.direction === "other" ? {} : { direction: p.direction };
    const t = this.#tracker.add({
      number: ++this.#printed,
      iface: this.#interfaces.get(tap)!,
      time: p.timeNs,
      data: p.data,
      originalLength: p.originalLength,
      comments: [],
      ...direction,
    });
    const [line, ...more] = packetLines(t, this.#first).map(printable);
    // With one tap its name stands in the first line of all.
    const name = this.#interfaces.size > 1 ? `${tap.name} ` : "";
    this.#lines.push(`${name}${this.#options.link ? linkText(p.data, tap.link) : ""}${line}`, ...more);
    if (this.#options.bytes) this.#lines.push(...hexRows(p.data).map((r) => `        ${r}`));
    if (p.dropped > 0) this.#lines.push(`        ! ${p.dropped} packets were lost before this one: the ring was full`);
  }
  batchEnd(): void {
    if (this.#lines.length > 0) process.stdout.write(`${this.#lines.join("\n")}\n`);
    this.#lines = [];
  }
  tick(now: number): void {
    this.#hold.release(now);
    this.batchEnd();
  }
  report(): void {}
  end(): void {
    this.#hold.release(Date.now(), true);
    this.batchEnd();
  }
}

/** "02:00:00:00:00:01 > 02:00:00:00:00:02 vlan 7 ", or nothing where there is no such header. */
function linkText(bytes: Uint8Array, link: number): string {
  const parts = decode(bytes, link).map((l) =>
    l.kind === "ethernet" ? `${formatMac(l.src)} > ${formatMac(l.dst)} ` : l.kind === "vlan" ? `vlan ${l.id} ` : "",
  );
  return parts.join("");
}
