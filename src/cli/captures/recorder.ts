// Writes a live capture: keys before the handshakes that they open, super-datagrams cut into messages, counters at the end.
import { hostname, release } from "node:os";
import { secretsOf } from "../../capture/keylog.ts";
import { segmentComment, splitFrame } from "../../capture/split.ts";
import { type NewPacket, PcapngWriter, PcapWriter } from "../../capture/writer.ts";
import type { LivePacket, PacketSocket } from "../../sys/packetsocket.ts";
import { Hold } from "./hold.ts";
import { OutputFile } from "./output.ts";
import { type CaptureOptions, readKeyText, type Target } from "./target.ts";

export class Recorder implements Target {
  count = 0;
  readonly #file: OutputFile;
  readonly #writer: PcapngWriter | PcapWriter;
  readonly #socket: PacketSocket;
  readonly #hold: Hold;
  readonly #holds: boolean;
  handshakes = 0;
  readonly #start = BigInt(Date.now()) * 1_000_000n;
  #iface = 0;

  constructor(socket: PacketSocket, options: CaptureOptions, filter: string) {
    this.#socket = socket;
    this.#file = new OutputFile(options.write!);
    if (options.format === "pcap")
      this.#writer = new PcapWriter(this.#file.write, { link: socket.linkType, ...(options.snaplen ? { snaplen: options.snaplen } : {}) });
    else {
      const writer = new PcapngWriter(this.#file.write, { os: `Linux ${release()}` });
      this.#iface = writer.addInterface({
        link: socket.linkType,
        name: options.interface,
        description: `${hostname()}/${options.interface}`,
        os: `Linux ${release()}`,
        ...(options.snaplen ? { snaplen: options.snaplen } : {}),
        ...(filter ? { filter } : {}),
      });
      this.#writer = writer;
    }
    this.#file.flush();
    this.#hold = new Hold(socket.linkType, (p) => this.#write(p));
    this.#holds = options.keys === true;
  }

  keys(text: string): void {
    if (this.#writer instanceof PcapngWriter) this.#writer.secrets(secretsOf(text));
    for (const k of readKeyText(text).ephemerals) {
      this.#hold.know(k);
      this.handshakes++;
    }
    this.#hold.release(Date.now());
  }
  packet(p: LivePacket, now: number): void {
    this.count++;
    if (this.#holds) this.#hold.add(p, now);
    else this.#write(p);
  }
  #write(p: LivePacket): void {
    const base: Omit<NewPacket, "data"> = p.direction === "other" ? { time: p.timeNs } : { time: p.timeNs, direction: p.direction };
    const cut = p.data.length < p.originalLength ? undefined : splitFrame(p.data, this.#socket.linkType);
    if (!cut) return this.#writer.packet(this.#iface, { ...base, data: p.data, originalLength: p.originalLength });
    for (const [i, data] of cut.entries()) this.#writer.packet(this.#iface, { ...base, data, comments: [segmentComment(i, cut.length)] });
  }
  batchEnd(): void {
    this.#file.flush();
  }
  tick(now: number): void {
    this.#hold.release(now);
    this.#file.flush();
  }
  end(): void {
    this.#hold.release(Date.now(), true);
    if (this.#writer instanceof PcapngWriter) {
      const { received, dropped } = this.#socket.statistics();
      const end = BigInt(Date.now()) * 1_000_000n;
      const counters = {
        received: BigInt(received + dropped),
        osDropped: BigInt(dropped),
        accepted: BigInt(received),
        delivered: BigInt(this.count),
      };
      this.#writer.statistics(this.#iface, end, { start: this.#start, end, ...counters });
    }
    this.#file.close();
  }
}
