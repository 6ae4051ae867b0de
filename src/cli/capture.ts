// `tortie capture -i IF`: captures packets, on request with the keys that open them, in a file that Wireshark opens decrypted.
import { setTimeout as sleep } from "node:timers/promises";
import { messageOf, TortieError } from "../base/errors.ts";
import { linkName } from "../packet/link.ts";
import { openPacketSocket } from "../sys/packetsocket.ts";
import { type DeviceKeys, onlyDevice, openDeviceKeys } from "./captures/devicekeys.ts";
import type { CaptureOptions } from "./captures/target.ts";
import { Printer } from "./captures/printer.ts";
import { Recorder } from "./captures/recorder.ts";
import { integer, onAction, program, runProgram } from "./program.ts";

type Options = CaptureOptions & {
  keys?: boolean;
  device?: string;
  count?: number;
  duration?: number;
  handshake: boolean;
  quiet?: boolean;
  untilInputEnds?: boolean;
};

export async function main(args: string[]): Promise<number> {
  const command = program("tortie capture", "capture packets, with the keys to open them on request", [
    "tortie capture -i ens5 udp port 51820                           print what passes",
    "tortie capture -i ens5 -w /tmp/wire.pcapng udp port 51820       write it, until Ctrl-C",
    "tortie capture -i ens5 --keys -w /tmp/open.pcapng wireguard     a file that Wireshark opens decrypted",
    "tortie capture -i ens5 --keys --duration 10                     print outer and inner packets for ten seconds",
    "tortie capture -i any -c 100",
  ])
    .argument("[filter...]", "which packets, in tcpdump's language; `wireguard` is short for WireGuard's messages")
    .requiredOption("-i, --interface <name>", 'the interface, or "any"')
    .option("-w, --write <file>", "write a pcapng (mode 0600) instead of printing; - is standard output")
    .option("--keys", "take the running device's keys and force a fresh handshake, so that what is captured can be opened")
    .option("--device <name>", "the WireGuard device whose keys are taken (default: the only one that runs here)")
    .option("--no-handshake", "with --keys: do not force a fresh handshake")
    .option("-c, --count <number>", "stop after so many packets", integer("a count", 1, 2 ** 40))
    .option("--duration <seconds>", "stop after so many seconds", integer("a duration", 1, 10_000_000))
    .option("-s, --snaplen <bytes>", "bytes kept of a packet", integer("a snap length", 1, 262_144))
    .option("--format <format>", "pcapng, or pcap (no keys, no counters)", "pcapng")
    .option("--until-input-ends", "stop when standard input ends: for a program that starts captures, which end with it")
    .option("-q, --quiet", "print no summary");
  onAction(command, (filter: string[], options: Options) => capture(filter.join(" "), options));
  return runProgram(command, args);
}

async function capture(filter: string, options: Options): Promise<number> {
  if (options.format !== "pcapng" && options.format !== "pcap") throw new TortieError(`Cannot write the format "${options.format}": pcapng or pcap`);
  if (options.keys && options.write !== undefined && options.format === "pcap")
    throw new TortieError("Cannot put keys into a pcap file: only pcapng holds them");
  const device = options.keys ? (options.device ?? (await onlyDevice())) : undefined;
  const socket = await openPacketSocket({ interface: options.interface, filter, ...(options.snaplen ? { snapLength: options.snaplen } : {}) });
  const say = (text: string): void => void (options.quiet || process.stderr.write(`${text}\n`));
  const stop = new AbortController();
  const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
  const onSignal = (): void => stop.abort();
  for (const s of signals) process.on(s, onSignal);
  stop.signal.addEventListener("abort", () => void socket.close(), { once: true });
  if (options.untilInputEnds) process.stdin.once("end", onSignal).once("error", onSignal).resume();
  const target = options.write === undefined ? new Printer(socket, options) : new Recorder(socket, options, filter);
  let keys: DeviceKeys | undefined;
  let failed: Error | undefined;
  const timers: NodeJS.Timeout[] = [];
  try {
    if (device !== undefined) {
      keys = await openDeviceKeys(
        device,
        (text) => target.keys(text),
        (why) => void (stop.signal.aborted || say(`No more keys of ${device}: ${why}.`)),
      );
    }
    // The socket takes packets already. Whoever waits for the next line finds the new session in use, so that what follows can be opened.
    if (keys && options.handshake) {
      await keys.handshake();
      for (let i = 0; i < 12 && target.handshakes === 0; i++) await sleep(50);
      if (target.handshakes > 0) await sleep(150);
    }
    say(
      `listening on ${options.interface}, link-type ${linkName(socket.linkType)}${filter ? `, filter "${filter}"` : ""}${device ? `, with the keys of ${device}` : ""}`,
    );
    if (options.duration) timers.push(setTimeout(onSignal, options.duration * 1000));
    timers.push(
      setInterval(() => {
        try {
          target.tick(Date.now());
        } catch (e) {
          failed = e instanceof Error ? e : new Error(messageOf(e));
          stop.abort();
        }
      }, 100),
    );
    for await (const batch of socket.packets()) {
      for (const p of batch) {
        if (options.count !== undefined && target.count >= options.count) break;
        target.packet(p, Date.now());
      }
      target.batchEnd();
      if (options.count !== undefined && target.count >= options.count) break;
    }
  } finally {
    for (const t of timers) clearTimeout(t);
    for (const s of signals) process.removeListener(s, onSignal);
    if (options.untilInputEnds) process.stdin.destroy();
    stop.abort();
    await socket.close();
    keys?.close();
    if (!failed) target.end();
  }
  if (failed) throw failed;
  const { received, dropped } = socket.statistics();
  say(
    `${target.count} packets captured${options.write && options.write !== "-" ? ` into "${options.write}"` : ""}, ${received} passed the filter, ${dropped} dropped by the kernel`,
  );
  if (device !== undefined) {
    if (target.handshakes === 0) say(`The keys of no handshake came: the data in it does not open. Does ${device} have peers that answer?`);
    else
      say(`Keys of ${target.handshakes} handshakes of ${device} are ${options.write ? "in the file: whoever has it can read the traffic" : "used"}.`);
  }
  return 0;
}
