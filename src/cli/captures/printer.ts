// Prints a live capture line by line.
import type { CaptureInterface } from "../../capture/packet.ts";
import { Secrets } from "../../capture/secrets.ts";
import { Tracker } from "../../capture/tracker.ts";
import { nodeCrypto } from "../../crypto/node.ts";
import type { LivePacket, PacketSocket } from "../../sys/packetsocket.ts";
import { Hold } from "./hold.ts";
import { packetLines, printable } from "./lines.ts";
import { type CaptureOptions, readKeyText, type Target } from "./target.ts";

/** Prints packets; with keys outer and inner lines. Nothing is kept but the sessions. */
export class Printer implements Target {
  count = 0;
  readonly #secrets = new Secrets(nodeCrypto);
  readonly #tracker = new Tracker(nodeCrypto, this.#secrets, { live: true });
  readonly #iface: CaptureInterface;
  handshakes = 0;
  readonly #hold: Hold;
  readonly #holds: boolean;
  #printed = 0;
  #first: bigint | undefined;

  constructor(socket: PacketSocket, options: CaptureOptions) {
    this.#iface = { id: 0, link: socket.linkType, snaplen: options.snaplen ?? 262_144, fcsLength: 0, name: options.interface, comments: [] };
    this.#hold = new Hold(socket.linkType, (p) => this.#print(p));
    this.#holds = options.keys === true;
  }
  keys(text: string): void {
    const { log, ephemerals } = readKeyText(text);
    this.#secrets.add(log);
    for (const k of ephemerals) this.#hold.know(k);
    this.handshakes += ephemerals.length;
    this.#hold.release(Date.now());
  }
  packet(p: LivePacket, now: number): void {
    this.count++;
    if (this.#holds) this.#hold.add(p, now);
    else this.#print(p);
  }
  #print(p: LivePacket): void {
    this.#first ??= p.timeNs;
    const direction = p.direction === "other" ? {} : { direction: p.direction };
    const t = this.#tracker.add({
      number: ++this.#printed,
      iface: this.#iface,
      time: p.timeNs,
      data: p.data,
      originalLength: p.originalLength,
      comments: [],
      ...direction,
    });
    process.stdout.write(`${packetLines(t, this.#first).map(printable).join("\n")}\n`);
  }
  batchEnd(): void {}
  tick(now: number): void {
    this.#hold.release(now);
  }
  end(): void {
    this.#hold.release(Date.now(), true);
  }
}
