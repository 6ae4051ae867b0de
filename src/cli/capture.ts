// `tortie capture -i IF`: captures packets, on request with the keys that open them, in a file that Wireshark opens decrypted.
import { setTimeout as sleep } from "node:timers/promises";
import { messageOf, TortieError } from "../base/errors.ts";
import { checkFilter } from "../capture/filter/index.ts";
import { linkName } from "../packet/link.ts";
import type { SocketStatistics } from "../sys/packetsocket.ts";
import { type DeviceKeys, onlyDevice, openDeviceKeys, requirePeers } from "./captures/devicekeys.ts";
import { flow } from "./captures/flow.ts";
import { wireguardPorts } from "./captures/ports.ts";
import { Printer } from "./captures/printer.ts";
import { Recorder } from "./captures/recorder.ts";
import { refile } from "./captures/refile.ts";
import type { RotationOptions } from "./captures/rotation.ts";
import { type Feed, openInterface, type Tap } from "./captures/tap.ts";
import type { Target } from "./captures/target.ts";
import { integer, onAction, peerKey, program, runProgram } from "./program.ts";
import { forbidDumps } from "../sys/protect.ts";

type Options = {
  interface: string[];
  read?: string;
  node?: string[];
  allNodes?: boolean;
  kubeconfig?: string;
  write?: string;
  keys?: boolean;
  device?: string;
  peer: Uint8Array[];
  existing?: boolean;
  count?: number;
  duration?: number;
  filter?: string;
  snaplen: number;
  snaplenData?: number;
  bufferSize?: number;
  fileSize?: number;
  fileSeconds?: number;
  files?: number;
  format: string;
  link?: boolean;
  bytes?: boolean;
  handshake: boolean;
  quiet?: boolean;
  untilInputEnds?: boolean;
};

const MAX_SNAP = 262_144;
/** tcpdump's unit of -C. */
const MILLION = 1_000_000;
/** How long a packet waits for those of other interfaces: a ring hands over within 50 ms; the way from a node is longer. */
const PATIENCE_MS = 300;
const NODES_PATIENCE_MS = 1_500;
const TICK_MS = 100;
/** Said also where no summary is wanted: what a capture lacks is no summary. */
const warn = (text: string): void => void process.stderr.write(`${text}\n`);
const several = (text: string, before: string[] = []): string[] => [...before, text];

export async function main(args: string[]): Promise<number> {
  const command = program("tortie capture", "capture packets, with the keys to open them on request", [
    "tortie capture -i ens5 udp port 51820                           print what passes",
    "tortie capture -i ens5 -w /tmp/wire.pcapng udp port 51820       write it, until Ctrl-C",
    "tortie capture -i ens5 -i wireguard.cali -w both.pcapng         two interfaces in one file, in order of time",
    "tortie capture -i ens5 --keys -w /tmp/open.pcapng wireguard     a file that Wireshark opens decrypted",
    "tortie capture -i ens5 --keys --peer KEY -w open.pcapng         only the keys of the sessions with one peer",
    "tortie capture -i ens5 --keys --existing --no-handshake -w f    a running tunnel as it is: tortie opens the file, Wireshark does not",
    "tortie capture -i ens5 --keys --duration 10                     print outer and inner packets for ten seconds",
    "tortie capture -i ens5 --snaplen-data 96 -w long.pcapng         handshakes whole, of data the beginning only",
    "tortie capture -i ens5 -w wire.pcapng -C 100 -W 10              the last 1000 MB, in ten files",
    "tortie capture -i ens5 -w - | tshark -r -",
    "tortie capture -i any -c 100",
    "tortie capture -r /tmp/wire.pcapng udp port 51820",
    "tortie capture -r /tmp/wire.pcapng -w less.pcapng -C 100 wireguard   the same again, less of it, in files of 100 MB",
    "tortie capture --all-nodes -i ens5 -w cluster.pcapng wireguard  every node's side, in order of time",
    "tortie capture --node k8s-w1 --node k8s-w2 -i ens5 -i wireguard.cali -w two.pcapng",
  ])
    .argument("[filter...]", "which packets, in tcpdump's language; `wireguard` is short for WireGuard's messages")
    .option("-i, --interface <name>", 'the interface, or "any"; may be given several times', several)
    .option("-r, --read <file>", "read a file instead; with -w write it again. `tortie inspect` shows more of it")
    .option("--node <name>", "capture on this node of the cluster, through its agent; may be given several times", several)
    .option("--all-nodes", "capture on every node of the cluster")
    .option("--kubeconfig <file>", "with --node, --all-nodes: where the API is")
    .option("-f, --filter <expression>", "the filter as one word")
    .option("-w, --write <file>", "write a pcapng (mode 0600) instead of printing; - is standard output")
    .option("--keys", "take the running device's keys and force a fresh handshake, so that what is captured can be opened")
    .option("--device <name>", "the WireGuard device whose keys are taken (default: the only one that runs here)")
    .option("--peer <key>", "with --keys: only the sessions with the peer of this public key; may be given several times", peerKey, [])
    .option("--no-handshake", "with --keys: do not force a fresh handshake")
    .option("--existing", "with --keys: also the keys of sessions that exist already (for tortie; Wireshark cannot use them)")
    .option("-c, --count <number>", "stop after so many packets", integer("a count", 1, 2 ** 40))
    .option("--duration <seconds>", "stop after so many seconds", integer("a duration", 1, 10_000_000))
    .option("-s, --snaplen <bytes>", "bytes kept of a packet", integer("a snap length", 1, MAX_SNAP), MAX_SNAP)
    .option("--snaplen-data <bytes>", "bytes kept of a packet with WireGuard data; handshakes stay whole", integer("a snap length", 60, MAX_SNAP))
    .option("-B, --buffer-size <KiB>", "memory for packets that wait (default: 8192)", integer("a buffer size", 1, 1 << 21))
    .option("-C, --file-size <MB>", "begin a new file after so many million bytes", integer("a file size", 1, 1_000_000))
    .option(
      "-G, --file-seconds <seconds>",
      "begin a new file after so many seconds; %Y%m%d-%H%M%S in its name is the time",
      integer("a time", 1, 10_000_000),
    )
    .option("-W, --files <number>", "with -C: keep the last so many files; with -G: stop after so many", integer("a number of files", 1, 100_000))
    .option("--format <format>", "pcapng, or pcap (one interface, no keys, no counters)", "pcapng")
    .option("-e, --link", "print link addresses and VLANs too")
    .option("-x, --bytes", "print the bytes too")
    .option("-n", "no names: addresses and ports are never looked up")
    .option("--until-input-ends", "stop when standard input ends; a line on it is answered by counters. For programs that start captures")
    .option("-q, --quiet", "print no summary")
    .addHelpText(
      "after",
      "\nExit code: 0 done, 1 it could not be done, or a node was away at the end or ended its part.\nSIGUSR1 prints the counters so far. Files of -C and -G have their name once they are whole; until then .part stands behind it.\n",
    );
  onAction(command, (words: string[], raw: Partial<Options>) => {
    if (raw.read !== undefined) return readFile(raw.read, words, raw as Options);
    if (raw.interface === undefined)
      throw new TortieError("Cannot capture: on which interface? -i is missing", { hint: "-i any is all of them; `tortie tcpdump -D` lists them." });
    return capture(words.join(" "), raw as Options);
  });
  return runProgram(command, args);
}

/** A file is printed as tcpdump prints it, which knows how; with -w it is written again. */
async function readFile(path: string, words: readonly string[], o: Options): Promise<number> {
  const filter = filterOf(words.join(" "), o.filter);
  const format = formatOf(o);
  const live = LIVE_ONLY.find(([name]) => o[name] !== undefined && o[name] !== false);
  if (live) throw new TortieError(`Cannot read a file with ${live[1]}: it is for packets that pass`, live[2] === undefined ? {} : { hint: live[2] });
  if (o.write !== undefined) return writeFile(path, o.write, filter, format, o);
  const option = (name: string, value: string | number | undefined): string[] => (value === undefined ? [] : [name, String(value)]);
  const flags = [...(o.link ? ["-e"] : []), ...(o.bytes ? ["-xx"] : [])];
  const values = [...option("-c", o.count), ...option("-s", o.snaplen)];
  return (await import("./tcpdump.ts")).main(["-n", "-r", path, ...flags, ...values, "--", ...(filter === "" ? [] : [filter])]);
}

const DECRYPT = "`tortie decrypt FILE --keys KEYS -w OUT` puts keys into a file.";
const LIVE_ONLY: readonly (readonly [keyof Options, string, hint?: string])[] = [
  ["interface", "-i"],
  ["node", "--node"],
  ["allNodes", "--all-nodes"],
  ["keys", "--keys", DECRYPT],
  ["existing", "--existing", DECRYPT],
  ["device", "--device", DECRYPT],
  ["duration", "--duration"],
  ["snaplenData", "--snaplen-data"],
  ["untilInputEnds", "--until-input-ends"],
];

async function writeFile(from: string, to: string, filter: string, format: "pcap" | "pcapng", o: Options): Promise<number> {
  const { snaplen, count } = o;
  const { packets, files, keys, damage } = await refile({ from, to, format, filter, snaplen, count, rotation: rotationOf(o) });
  for (const d of damage) warn(`"${from}" is damaged at byte ${d.offset}, ${d.block}: ${d.reason}`);
  if (!o.quiet) {
    const into = to === "-" ? "" : ` into ${files.map((f) => `"${f}"`).join(", ")}`;
    warn(`${packets} ${packets === 1 ? "packet" : "packets"} written${into}.`);
    if (keys) warn("The keys that were in it are in it again: whoever has it can read the traffic.");
  }
  return damage.length > 0 ? 1 : 0;
}

function rotationOf({ fileSize, fileSeconds, files }: Options): RotationOptions {
  return { bytes: fileSize === undefined ? undefined : fileSize * MILLION, seconds: fileSeconds, files };
}

/** Throws TortieError for a format that there is not, and for files that go on where none is written. */
function formatOf({ format, write, fileSize, fileSeconds, files }: Options): "pcap" | "pcapng" {
  if (format !== "pcapng" && format !== "pcap") throw new TortieError(`Cannot write the format "${format}": pcapng or pcap`);
  const rotates = fileSize !== undefined ? "-C" : fileSeconds !== undefined ? "-G" : files !== undefined ? "-W" : undefined;
  if (rotates !== undefined && write === undefined)
    throw new TortieError(`Cannot begin new files with ${rotates}: nothing is written`, { hint: "-w FILE says where to." });
  return format;
}

function filterOf(words: string, option: string | undefined): string {
  if (option === undefined || words === "") return option ?? words;
  throw new TortieError("Cannot take two filters: -f and the words at the end");
}

async function capture(words: string, options: Options): Promise<number> {
  const { write } = options;
  const filter = filterOf(words, options.filter);
  const format = formatOf(options);
  if (options.keys && write !== undefined && format === "pcap") throw new TortieError("Cannot put keys into a pcap file: only pcapng holds them");
  const onNodes = options.allNodes === true || options.node !== undefined;
  if (!options.keys && (options.existing || options.peer.length > 0)) throw new TortieError("Cannot choose keys without --keys");
  if (onNodes && (options.existing || options.peer.length > 0 || options.device !== undefined || !options.handshake))
    throw new TortieError("Cannot choose among the keys of other nodes: --keys takes those of fresh handshakes", {
      hint: "On the node itself --device, --peer, --existing and --no-handshake choose.",
    });
  const device = options.keys && !onNodes ? (options.device ?? (await onlyDevice())) : undefined;
  if (device !== undefined) await requirePeers(device, options.peer);
  const whose = device ?? (options.keys ? "the nodes' devices" : undefined);
  // The keys pass through this process: they are in no core dump.
  if (whose !== undefined) forbidDumps();
  const say = (text: string): void => void (options.quiet || warn(text));
  // Keys of nodes may come before it is known what the capture goes to.
  const early: string[] = [];
  let onKeys = (text: string): void => void early.push(text);
  const source = onNodes
    ? { feeds: await openNodes(filter, options, (text) => onKeys(text)), patience: NODES_PATIENCE_MS }
    : { feeds: await openFeeds(filter, options), patience: PATIENCE_MS };
  const { feeds } = source;
  const taps = feeds.flatMap((f) => f.taps);
  const target = await closingOnError(feeds, () => openTarget(taps, options, format));
  onKeys = (text) => target.keys(text);
  early.forEach(onKeys);
  const stop = new AbortController();
  stop.signal.addEventListener("abort", () => feeds.forEach((f) => void f.close()), { once: true });
  const release = onSignals(
    () => stop.abort(),
    () => say(counters(target, taps)),
  );
  let keys: DeviceKeys | undefined;
  let late = 0;
  /** Why something is missing at the end. */
  let missing: string[] = [];
  try {
    if (options.untilInputEnds)
      onInput(
        () => stop.abort(),
        () => target.report(),
      );
    if (device !== undefined) keys = await takeKeys(device, target, { ...options, stopped: stop.signal, say });
    const names = feeds.map((f) => f.name).join(", ");
    const links = [...new Set(taps.map((t) => linkName(t.link)))].join(", ");
    say(`listening on ${names}, link-type ${links}${filter ? `, filter "${filter}"` : ""}${whose ? `, with the keys of ${whose}` : ""}`);
    const broken = (feed: Feed, why: unknown): void => {
      missing.push(feed.name);
      // Also where no summary is wanted: what is missing in a capture is no summary.
      warn(`${messageOf(why)}. What others give goes on without ${feed.name}.`);
    };
    late = await record(feeds, target, { stop, patience: source.patience, count: options.count, duration: options.duration, broken });
  } finally {
    release();
    const away = feeds.flatMap((f) => f.away ?? []);
    for (const why of away) warn(`At the end ${why}`);
    missing = [...missing, ...away];
    stop.abort();
    if (options.untilInputEnds) process.stdin.destroy();
    await Promise.all(feeds.map((f) => f.close()));
    keys?.close();
    target.end();
  }
  (taps.some((t) => t.statistics().dropped > 0) ? warn : say)(counters(target, taps, write));
  if (late > 0) say(`${late} packets came too late for their place in the order of time.`);
  if (whose !== undefined) say(keysText(target, whose, write !== undefined));
  return missing.length > 0 ? 1 : 0;
}

function keysText({ handshakes, opened }: Target, whose: string, written: boolean): string {
  if (handshakes === 0 && opened === 0) return `The keys of no handshake came: the data in it does not open. Does ${whose} have peers that answer?`;
  if (opened === 0) return `None of the handshakes of ${whose} was captured: their keys are not in it. Is this the right interface and filter?`;
  const sessions = opened === 1 ? "1 session" : `${opened} sessions`;
  return `Keys of ${sessions} of ${whose} are ${written ? "in the file: whoever has it can read the traffic" : "used"}.`;
}

/** The nodes asked for, those that cannot be captured on said aloud as long as others can. Throws TortieError. */
async function openNodes(filter: string, options: Options, onKeys: (text: string) => void): Promise<Feed[]> {
  const [{ connect }, { openNode }, { NODE }] = await Promise.all([import("./connect.ts"), import("./captures/nodes.ts"), import("../api/node.ts")]);
  // Errors point into what was typed, not into what the nodes make of it.
  checkFilter(filter);
  const client = await connect({ kubeconfig: options.kubeconfig });
  const { snaplen, snaplenData, bufferSize } = options;
  const numbers = { ...(snaplenData === undefined ? {} : { snaplenData }), ...(bufferSize === undefined ? {} : { bufferSize }) };
  const keys = options.keys ? { keys: true as const } : {};
  const capture = { interfaces: [...new Set(options.interface)], filter, snaplen, ...numbers, ...keys };
  const names = options.allNodes ? (await client.list(NODE)).items.map((n) => n.metadata.name) : [...new Set(options.node)];
  const opened = await Promise.allSettled(names.map((name) => openNode(client.transport, name, capture, { onKeys, warn })));
  const feeds = opened.flatMap((o) => (o.status === "fulfilled" ? [o.value] : []));
  const [refused] = opened.flatMap((o) => (o.status === "rejected" ? [o.reason as Error] : []));
  return closingOnError(feeds, () => {
    // Whoever names nodes wants these; whoever wants all wants those that there are.
    if (refused !== undefined && (feeds.length === 0 || !options.allNodes)) throw refused;
    for (const o of opened) if (o.status === "rejected") warn(`${messageOf(o.reason)}. The others are captured without it.`);
    for (const f of feeds) if (f.remark !== undefined) warn(f.remark);
    if (feeds.length === 0) throw new TortieError("Cannot capture on all nodes: the cluster has none");
    return feeds;
  });
}

/** The interfaces asked for. When one cannot be opened, none stays open. Throws TortieError. */
async function openFeeds(filter: string, options: Options): Promise<Feed[]> {
  const { snaplen, snaplenData, bufferSize } = options;
  const feeds: Feed[] = [];
  // Devices are asked only when the word stands in it.
  const ports = /\bwireguard\b/.test(filter) ? { wireguardPorts: await wireguardPorts() } : {};
  return closingOnError(feeds, async () => {
    for (const name of new Set(options.interface)) {
      feeds.push(
        await openInterface({
          interface: name,
          filter,
          snapLength: snaplen,
          ...ports,
          ...(snaplenData === undefined ? {} : { dataSnapLength: snaplenData }),
          ...(bufferSize === undefined ? {} : { bufferBytes: bufferSize * 1024 }),
        }),
      );
    }
    return feeds;
  });
}

async function closingOnError<T>(feeds: readonly Feed[], make: () => T | Promise<T>): Promise<T> {
  try {
    return await make();
  } catch (e) {
    await Promise.all(feeds.map((f) => f.close()));
    throw e;
  }
}

function openTarget(taps: readonly Tap[], options: Options, format: "pcap" | "pcapng"): Target {
  const keys = options.keys === true;
  if (format === "pcap" && taps.length > 1) throw new TortieError("Cannot write several interfaces into a pcap file: only pcapng tells them apart");
  if (options.write === undefined) return new Printer(taps, { keys, link: options.link, bytes: options.bytes });
  return new Recorder(taps, { path: options.write, format, keys, rotation: rotationOf(options), dataSnapLength: options.snaplenData });
}

/** Until the result is called. */
function onSignals(end: () => void, tell: () => void): () => void {
  const ending = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
  for (const s of ending) process.on(s, end);
  process.on("SIGUSR1", tell);
  return () => {
    for (const s of ending) process.off(s, end);
    process.off("SIGUSR1", tell);
  };
}

function onInput(end: () => void, tell: () => void): void {
  process.stdin.once("end", end).once("error", end);
  process.stdin.on("data", (chunk: Buffer) => {
    if (chunk.includes(10)) tell();
  });
}

type KeyOptions = { handshake: boolean; peer: Uint8Array[]; existing?: boolean; stopped: AbortSignal; say: (text: string) => void };

async function takeKeys(device: string, target: Target, { handshake, peer, existing, stopped, say }: KeyOptions): Promise<DeviceKeys> {
  const keys = await openDeviceKeys(
    device,
    { peers: peer, existing },
    (text) => target.keys(text),
    (why) => void (stopped.aborted || say(`No more keys of ${device}: ${why}.`)),
  );
  // The socket takes packets already. Whoever waits for the next line finds the new session in use, so that what follows can be opened.
  if (handshake) {
    try {
      await keys.handshake();
    } catch (e) {
      keys.close();
      throw e;
    }
    for (let i = 0; i < 12 && target.handshakes === 0; i++) await sleep(50);
    if (target.handshakes > 0) await sleep(150);
  }
  return keys;
}

type RecordOptions = {
  stop: AbortController;
  patience: number;
  count: number | undefined;
  duration: number | undefined;
  /** A feed broke off, and the others go on. */
  broken: (feed: Feed, why: unknown) => void;
};

/** Everything that comes goes to the target, until it is enough. Resolves with the number of packets that came too late for their place. */
async function record(
  feeds: readonly Feed[],
  target: Target,
  { stop, patience, count = Infinity, duration, broken }: RecordOptions,
): Promise<number> {
  let failed: { readonly why: unknown } | undefined;
  const timers = [
    setInterval(() => {
      try {
        target.tick(Date.now());
        if (target.done) stop.abort();
      } catch (why) {
        failed = { why };
        stop.abort();
      }
    }, TICK_MS),
    ...(duration === undefined ? [] : [setTimeout(() => stop.abort(), duration * 1000)]),
  ];
  try {
    const late = await flow(feeds, {
      patience,
      time: (t) => t.packet.timeNs,
      out: (batch) => {
        const now = Date.now();
        for (const t of batch) {
          if (target.done || target.count >= count || failed) break;
          target.packet(t, now);
        }
        if (!failed) target.batchEnd();
        if (target.done || target.count >= count) stop.abort();
      },
      broken,
    });
    if (failed) throw failed.why;
    return late;
  } finally {
    for (const t of timers) clearTimeout(t);
  }
}

/** What was counted, for each interface where there are several. */
function counters(target: Target, taps: readonly Tap[], path?: string): string {
  const all = taps.map((t) => ({ name: t.name, ...t.statistics() }));
  const sum = (of: (s: SocketStatistics) => number): number => all.reduce((n, s) => n + of(s), 0);
  const line = (received: number, dropped: number): string => `${received} passed the filter, ${dropped} dropped by the kernel`;
  const dropped = sum((s) => s.dropped);
  const into = path !== undefined && path !== "-" ? ` into "${path}"` : "";
  return [
    `${target.count} packets captured${into}, ${line(
      sum((s) => s.received),
      dropped,
    )}`,
    ...(all.length > 1 ? all.map((s) => `  ${s.name}: ${line(s.received, s.dropped)}`) : []),
    ...(dropped > 0 ? ["A larger --buffer-size, a narrower filter or --snaplen-data loses fewer."] : []),
  ].join("\n");
}
