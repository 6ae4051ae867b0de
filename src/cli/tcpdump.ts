// `tcpdump`, as far as people know it: live or from a file, on the screen or into a file, with filters, and WireGuard said by name.
import { TortieError } from "../base/errors.ts";
import { compileFilter, image, initialiser, listing, packetFilter } from "../capture/filter/index.ts";
import type { CaptureInterface, Damage } from "../capture/packet.ts";
import { PcapWriter } from "../capture/writer.ts";
import { linkName } from "../packet/link.ts";
import { interfaceName } from "../sys/ifindex.ts";
import { capturableInterfaces, openPacketSocket } from "../sys/packetsocket.ts";
import { readEvents } from "./captures/file.ts";
import { OutputFile } from "./captures/output.ts";
import { paced } from "./captures/paced.ts";
import { refile } from "./captures/refile.ts";
import { VERSION } from "./version.ts";
import { integer, onAction, program, runProgram } from "./program.ts";
import { asciiDump, hexDump } from "./tcpdump/bytes.ts";
import { LinePrinter } from "./tcpdump/lines.ts";
import { networkStart, timestamp } from "./tcpdump/place.ts";

type Options = {
  i?: string;
  c?: number;
  r?: string;
  w?: string | undefined;
  s: number;
  e?: boolean;
  v?: boolean;
  x: number;
  X: number;
  A?: boolean;
  t: number;
  S?: boolean;
  D?: boolean;
  U?: boolean;
  Q?: string;
  B?: number;
  version?: boolean;
  d: number;
};

const LINKS: Readonly<Record<number, string>> = { 1: "Ethernet", 101: "Raw IP", 113: "Linux cooked v1", 276: "Linux cooked v2" };
const MAX_SNAP = 262_144;
const count = (_: string, before: number): number => before + 1;

export async function main(args: string[]): Promise<number> {
  const command = program("tcpdump", "tortie acting as tcpdump: prints or writes the packets of an interface or a file", [
    "tcpdump -n -i ens5 udp port 51820",
    "tcpdump -i ens5 udp port 51820 -w /tmp/calico-wireguard.pcap",
    "tcpdump -n -r /tmp/calico-wireguard.pcap -c 5 wireguard",
    "tcpdump -n -i any icmp",
  ])
    .argument("[filter...]", "which packets; the language is pcap-filter(7)'s, and `wireguard` is short for WireGuard's messages")
    .option("-i, --interface <name>", 'the interface, or "any"; the first that is up if not given')
    .option("-c <count>", "stop after so many packets", integer("a count", 1, 2 ** 40))
    .option("-r <file>", "read a file, - is standard input")
    .option("-w <file>", "write a pcap file, - is standard output")
    .option("-s, --snapshot-length <bytes>", "bytes kept of a packet; 0: all", integer("a snapshot length", 0, MAX_SNAP), 0)
    .option("-B, --buffer-size <KiB>", "memory for packets that wait", integer("a buffer size", 1, 1 << 22))
    .option("-Q, --direction <way>", "in, out or inout", "inout")
    .option("-e", "print the link header")
    .option("-v, --verbose", "print the IP header")
    .option("-x", "print the bytes; twice: with the link header", count, 0)
    .option("-X", "print the bytes and their text; twice: with the link header", count, 0)
    .option("-A", "print the bytes as text")
    .option("-t", "no time; -tt: seconds since 1970, -ttt: since the packet before, -tttt: with the date, -ttttt: since the first", count, 0)
    .option("-S, --absolute-tcp-sequence-numbers", "TCP's numbers as they are")
    .option("-D, --list-interfaces", "list what can be captured on")
    .option("-d", "check the filter only, and say what it is compiled to; -dd: as a piece of C, -ddd: as numbers", count, 0)
    .option("-U, --packet-buffered", "write each packet at once")
    .option("-n", "no names: addresses and ports are never looked up")
    .option("-l", "print each line at once: always so")
    .option("-p, --no-promiscuous-mode", "only this host's packets: always so")
    .option("-q", "taken and left alone")
    .option("-K", "taken and left alone")
    .option("-Z <user>", "taken and left alone")
    .option("--immediate-mode", "taken and left alone")
    .option("--version", "the version");
  onAction(command, (words: string[], raw: Record<string, unknown>) => {
    const o = raw as Options & { interface?: string; snapshotLength: number; direction: string; bufferSize?: number };
    const long = { absolute: raw.absoluteTcpSequenceNumbers, list: raw.listInterfaces, buffered: raw.packetBuffered, verbose: raw.verbose };
    return tcpdump(words.join(" "), {
      ...o,
      ...(o.interface === undefined ? {} : { i: o.interface }),
      ...(o.bufferSize === undefined ? {} : { B: o.bufferSize }),
      s: o.snapshotLength === 0 ? MAX_SNAP : o.snapshotLength,
      Q: o.direction,
      S: long.absolute === true,
      D: long.list === true,
      U: long.buffered === true,
      v: long.verbose === true,
    });
  });
  return runProgram(command, args);
}

async function tcpdump(filter: string, options: Options): Promise<number> {
  if (options.version) {
    process.stdout.write(`tcpdump version 4.99 (tortie v${VERSION}, acting as tcpdump)\n`);
    return 0;
  }
  if (options.D) return list();
  if (!["in", "out", "inout"].includes(options.Q!)) throw new TortieError(`Cannot capture the direction "${options.Q}": in, out or inout`);
  return options.r === undefined ? live(filter, options) : fromFile(options.r, filter, options);
}

function list(): number {
  const lines = capturableInterfaces().map((l) => `${l.name} [${[l.up ? "Up" : "Down", ...(l.loopback ? ["Loopback"] : [])].join(", ")}]`);
  lines.push("any (Pseudo-device that captures on all interfaces) [Up]");
  process.stdout.write(lines.map((l, i) => `${i + 1}.${l}\n`).join(""));
  return 0;
}

const describeLink = (link: number): string => `link-type ${linkName(link)}${LINKS[link] ? ` (${LINKS[link]})` : ""}`;

/** Where packets go: lines on the screen, or a file. */
class Output {
  readonly #options: Options;
  readonly #printer: LinePrinter;
  readonly #file: OutputFile | undefined;
  #writer: PcapWriter | undefined;
  readonly #time: (timeNs: bigint | undefined) => string;
  count = 0;

  constructor(options: Options) {
    this.#options = options;
    this.#printer = new LinePrinter({ link: options.e === true, verbose: options.v === true, absolute: options.S === true, interfaceName });
    this.#file = options.w === undefined ? undefined : new OutputFile(options.w);
    this.#time = timestamp(options.t);
  }

  /** Makes the file's header also when no packet comes. */
  begin(link: number): void {
    if (this.#file) this.#writer = new PcapWriter(this.#file.write, { link, snaplen: this.#options.s });
    this.#file?.flush();
  }

  /** True when enough have come. */
  packet(p: { timeNs: bigint | undefined; data: Uint8Array; originalLength: number; link: number }): boolean {
    const data = p.data.subarray(0, this.#options.s);
    this.count++;
    if (this.#writer) {
      this.#writer.packet(0, { time: p.timeNs ?? 0n, data, originalLength: p.originalLength });
      if (this.#options.U) this.#file!.flush();
    } else process.stdout.write(`${this.#time(p.timeNs)}${this.#printer.line(data, p.link, p.originalLength)}${this.#dump(data, p.link)}\n`);
    return this.count === this.#options.c;
  }

  #dump(data: Uint8Array, link: number): string {
    const { x, X, A } = this.#options;
    if (x === 0 && X === 0 && !A) return "";
    const whole = x > 1 || X > 1;
    const bytes = whole ? data : data.subarray(networkStart(link, data));
    return A ? asciiDump(bytes) : hexDump(bytes, X > 0);
  }

  flush(): void {
    this.#file?.flush();
  }
  close(): void {
    this.#file?.close();
  }
}

const say = (text: string): void => void process.stderr.write(`${text}\n`);

async function live(filter: string, options: Options): Promise<number> {
  const chosen = options.i ?? capturableInterfaces().find((l) => l.up && !l.loopback)?.name ?? "lo";
  // A number is one of -D's list.
  const name = /^[0-9]+$/.test(chosen) ? (capturableInterfaces()[Number(chosen) - 1]?.name ?? "any") : chosen;
  const memory = options.B === undefined ? {} : { bufferBytes: options.B * 1024 };
  const socket = await openPacketSocket({ interface: name, filter, snapLength: options.s, ...memory });
  if (options.d > 0) {
    await socket.close();
    return compiled(filter, socket.linkType, options, true);
  }
  const output = new Output(options);
  const stop = (): void => void socket.close();
  const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
  for (const s of signals) process.on(s, stop);
  try {
    if (options.w === undefined && !options.v) say("tcpdump: verbose output suppressed, use -v[v]... for full protocol decode");
    const listening = `listening on ${name}, ${describeLink(socket.linkType)}, snapshot length ${options.s} bytes`;
    say(options.w === undefined ? listening : `tcpdump: ${listening}`);
    output.begin(socket.linkType);
    capture: for await (const batch of paced(socket.packets())) {
      for (const p of batch) {
        if (options.Q !== "inout" && (p.direction === "out") !== (options.Q === "out")) continue;
        if (output.packet({ ...p, link: socket.linkType })) break capture;
      }
      output.flush();
    }
  } finally {
    for (const s of signals) process.off(s, stop);
    await socket.close();
    output.close();
  }
  const { received, dropped } = socket.statistics();
  say(
    `${output.count} packet${output.count === 1 ? "" : "s"} captured\n${received} packets received by filter\n${dropped} packets dropped by kernel`,
  );
  return 0;
}

function compiled(filter: string, link: number, options: Options, live: boolean): number {
  const program = compileFilter(filter, link, { snapLength: options.s, live });
  process.stdout.write((options.d === 1 ? image : options.d === 2 ? initialiser : listing)(program));
  return 0;
}

const reading = (path: string, { link, snaplen }: CaptureInterface): string =>
  `reading from file ${path}, ${describeLink(link)}, snapshot length ${snaplen || MAX_SNAP}`;
const damaged = (path: string, d: Damage): string => `tcpdump: ${path}: damaged at byte ${d.offset}: ${d.reason}`;

/** -r and -w: microseconds, as the real one unless it is told otherwise. */
async function intoFile(from: string, to: string, filter: string, { c: count, s: snaplen }: Options): Promise<number> {
  const link = (i: CaptureInterface): void => say(reading(from, i));
  const { files, damage } = await refile({ from, to, format: "pcap", nanoseconds: false, filter, snaplen, count, link });
  for (const file of files.slice(1)) say(`tcpdump: ${file}: packets of another link type, since a pcap file has one`);
  for (const d of damage) say(damaged(from, d));
  return damage.length > 0 ? 1 : 0;
}

async function fromFile(path: string, filter: string, options: Options): Promise<number> {
  if (options.w !== undefined && options.d === 0) return intoFile(path, options.w, filter, options);
  // -d writes nothing either.
  const output = new Output({ ...options, w: undefined });
  const filters = new Map<number, (data: Uint8Array, length: number) => boolean>();
  const links = new Set<number>();
  let failed = 0;
  try {
    packets: for await (const events of paced(readEvents(path, { once: true, progress: false }))) {
      for (const event of events) {
        if (event.kind === "interface" && !links.has(event.iface.link)) {
          const { link } = event.iface;
          if (options.d > 0) return compiled(filter, link, options, false);
          links.add(link);
          filters.set(link, filter === "" ? () => true : packetFilter(filter, link));
          say(reading(path, event.iface));
        }
        if (event.kind === "damage") {
          say(damaged(path, event.damage));
          failed = 1;
        }
        if (event.kind !== "packet") continue;
        const { iface, data, originalLength, time } = event.packet;
        if (!filters.get(iface.link)!(data, originalLength)) continue;
        if (output.packet({ timeNs: time, data, originalLength, link: iface.link })) break packets;
      }
    }
  } finally {
    output.close();
  }
  return failed;
}
