// Writes a live capture into one file or several: keys before the handshakes that they open, super-datagrams cut into messages, counters at the end of each.
import { release } from "node:os";
import { secretsOf } from "../../capture/keylog.ts";
import { type CaptureWriter, PcapngWriter, PcapWriter } from "../../capture/writer.ts";
import type { SocketStatistics } from "../../sys/packetsocket.ts";
import { Hold } from "./hold.ts";
import { splitter, writable } from "./messages.ts";
import { OutputFile } from "./output.ts";
import { Rotation, type RotationOptions } from "./rotation.ts";
import type { Tap, Tapped } from "./tap.ts";
import type { Target } from "./target.ts";

export type RecorderOptions = {
  path: string;
  format: "pcap" | "pcapng";
  /** Key log text will come: packets wait for it. */
  keys: boolean;
  rotation: RotationOptions;
  /** Bytes kept of a packet with WireGuard data. */
  dataSnapLength?: number | undefined;
};

/** Bytes that a block has beside its packet, about. */
const BLOCK_BYTES = 60;

const NOTHING: SocketStatistics = { received: 0, dropped: 0 };

type Source = {
  readonly tap: Tap;
  readonly number: number;
  readonly split: ReturnType<typeof splitter>;
  /** Packets in this file; what had been counted when it began, and when it was last asked. */
  delivered: number;
  before: SocketStatistics;
  now: SocketStatistics;
};

export class Recorder implements Target {
  count = 0;
  handshakes = 0;
  opened = 0;
  done = false;
  readonly #options: RecorderOptions;
  readonly #rotation: Rotation;
  readonly #sources: ReadonlyMap<Tap, Source>;
  readonly #hold: Hold;
  #file!: OutputFile;
  #writer!: CaptureWriter;
  #start = 0n;
  /** All keys so far: each file opens by itself. */
  #keys = "";

  /** Makes the first file. Throws TortieError. */
  constructor(taps: readonly Tap[], options: RecorderOptions) {
    this.#options = options;
    this.#rotation = new Rotation(options.path, options.rotation);
    this.#sources = new Map(
      taps.map((tap, number) => {
        const split = splitter(tap.link, tap.snaplen, options.dataSnapLength);
        return [tap, { tap, number, split, delivered: 0, before: NOTHING, now: NOTHING }];
      }),
    );
    this.#hold = new Hold({ pass: (t) => this.#split(t), keys: (text) => this.#secrets(text) });
    this.#begin(this.#rotation.next(Date.now())!);
  }

  #begin(path: string): void {
    this.#file = new OutputFile(path, { atomic: this.#rotation.rotates });
    this.#start = BigInt(Date.now()) * 1_000_000n;
    const { write } = this.#file;
    if (this.#options.format === "pcap") {
      const { link, snaplen } = [...this.#sources.keys()][0]!;
      this.#writer = new PcapWriter(write, { link, snaplen, nanoseconds: true });
    } else {
      const writer = new PcapngWriter(write, { os: `Linux ${release()}` });
      for (const tap of this.#sources.keys()) writer.addInterface(tap);
      if (this.#keys !== "") writer.secrets(secretsOf(this.#keys));
      this.#writer = writer;
    }
    this.#file.flush();
  }

  #rotate(now: number): void {
    this.#finish();
    const path = this.#rotation.next(now);
    if (path === undefined) this.done = true;
    else this.#begin(path);
  }

  /** Counters of this file, and its end. */
  #finish(): void {
    this.report();
    for (const s of this.#sources.values()) {
      s.delivered = 0;
      s.before = s.now;
    }
    this.#file.close();
  }

  keys(text: string): void {
    this.handshakes += this.#hold.add(text);
    this.#hold.release(Date.now());
  }
  #secrets(text: string): void {
    if (this.#writer instanceof PcapngWriter) this.#writer.secrets(secretsOf(text));
    if (this.#rotation.rotates) this.#keys += text;
    this.opened++;
  }

  packet(t: Tapped, now: number): void {
    this.count++;
    if (this.#options.keys) this.#hold.packet(t, now);
    else this.#split(t);
  }

  #split({ tap, packet, comments = [] }: Tapped): void {
    const source = this.#sources.get(tap)!;
    for (const message of source.split(packet)) {
      if (this.#rotation.rotates && !this.done && this.#rotation.full(this.#file.size, message.packet.data.length + BLOCK_BYTES, Date.now()))
        this.#rotate(Date.now());
      if (this.done) return;
      this.#writer.packet(source.number, writable(message, comments));
      source.delivered++;
    }
  }

  batchEnd(): void {
    this.#flush();
  }
  tick(now: number): void {
    this.#hold.release(now);
    // Time goes on also when nothing comes.
    if (this.#rotation.rotates && !this.done && this.#rotation.full(0, 0, now)) this.#rotate(now);
    this.#flush();
  }
  #flush(): void {
    if (this.done) return;
    this.#file.flush();
    this.done = this.#file.unread;
  }

  report(): void {
    if (!(this.#writer instanceof PcapngWriter)) return;
    const end = BigInt(Date.now()) * 1_000_000n;
    for (const s of this.#sources.values()) {
      s.now = s.tap.statistics();
      const { number, delivered, before } = s;
      const { received, dropped } = s.now;
      const accepted = BigInt(received - before.received);
      const counters = { received: accepted, accepted, osDropped: BigInt(dropped - before.dropped), delivered: BigInt(delivered) };
      this.#writer.statistics(number, end, { start: this.#start, end, ...counters });
    }
    this.#file.flush();
  }

  end(): void {
    if (this.done && !this.#file.unread) return; // the last file is closed already
    this.#hold.release(Date.now(), true);
    this.#finish();
  }
}
