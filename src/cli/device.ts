// tortie device: a userspace WireGuard device, started and stopped as wireguard-go is. The command line, environment and exit codes are its.
import { fstatSync } from "node:fs";
import { resolve } from "node:path";
import { utf8 } from "../base/bytes.ts";
import { messageOf, TortieError } from "../base/errors.ts";
import type { KeylogFileOptions } from "../runtime/keylogfile.ts";
import { FIRST_DESCRIPTOR, reportFailure, reportReady, startInBackground } from "../sys/background.ts";
import { VERSION } from "./version.ts";
import { adviseOnNode, daemonLog, type LogLevel } from "./log.ts";
import { duration, onAction, program, runProgram } from "./program.ts";
import { parseKey } from "./wg/key.ts";

/** LOG_LEVEL as wireguard-go reads it; "debug" is its older word for verbose. */
const LEVELS: Readonly<Record<string, LogLevel>> = { silent: "silent", error: "error", info: "info", verbose: "debug", debug: "debug" };
const levelOf = (text: string | undefined): LogLevel => (Object.hasOwn(LEVELS, text ?? "") ? LEVELS[text!]! : "info");

/** A descriptor number from the environment. */
function descriptor(name: string): number | undefined {
  const text = process.env[name];
  if (text === undefined || text === "") return undefined;
  const number = /^[0-9]{1,6}$/.test(text) ? Number(text) : -1;
  try {
    fstatSync(number);
  } catch {
    throw new TortieError(`Cannot use ${name}="${text}": it must be the number of an open file descriptor`);
  }
  return number;
}

// An inspector or a heap snapshot would hand out every key.
const REVEALING = /^--(inspect|heapsnapshot|heap-prof|report-|diagnostic-dir|abort-on-uncaught)/;
function refuseInspection(): void {
  const words = [...process.execArgv, ...(process.env.NODE_OPTIONS ?? "").split(/\s+/)];
  const found = words.find((w) => REVEALING.test(w));
  if (found === undefined || process.env.TORTIE_DEBUG) return;
  throw new TortieError(`Cannot start a device under "${found}": it would reveal the keys`, { hint: "With TORTIE_DEBUG=1 it starts all the same." });
}

/** Data workers: more than one is of use only where there are more processors than the traffic itself keeps busy. */
function threadsOf(text: string | undefined): number {
  if (text === undefined || text === "") return 1;
  if (!/^[1-8]$/.test(text)) throw new TortieError(`Cannot use ${text} data threads: it must be a number from 1 to 8`);
  return Number(text);
}

/** The file under the name that wireguard-go's proposal uses, or boringtun's; for how long, and whose handshakes, are ours. */
function keylogOf(env: NodeJS.ProcessEnv): KeylogFileOptions | undefined {
  const path = env.WG_KEYLOGFILE || env.WGKEYLOGFILE;
  if (!path) return undefined;
  const peers = (env.WG_KEYLOG_PEERS ?? "").split(/[\s,]+/).filter(Boolean);
  return {
    path,
    seconds: env.WG_KEYLOG_FOR ? duration("WG_KEYLOG_FOR")(env.WG_KEYLOG_FOR) : undefined,
    peers: peers.map((key) => parseKey(utf8(key), false)),
  };
}

/** Loud, also where the log is silent. Whoever starts us as a daemon reads the same in the log. */
function sayKeylog(name: string): void {
  const keylog = process.env.WG_PROCESS_FOREGROUND === "1" ? undefined : keylogOf(process.env);
  if (!keylog) return;
  const limit = keylog.seconds === undefined ? `until "tortie keylog -i ${name} --off"` : `for ${keylog.seconds} s`;
  process.stderr.write(`KEY LOG ON: the keys of ${name} go to "${keylog.path}", ${limit}. Whoever has them reads the traffic.\n`);
}

type Words = { readonly threads: string | undefined; readonly takeOver: boolean };

async function foreground(name: string, { threads, takeOver }: Words): Promise<number> {
  try {
    refuseInspection();
    // SIGUSR1 opens Node's inspector unless somebody listens.
    process.on("SIGUSR1", () => {});
    const stop = new Promise<string>((done) => {
      for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, () => done(signal));
    });
    const { runDevice } = await import("../runtime/run.ts");
    const { offloadsWithout } = await import("../runtime/offloads.ts");
    const log = await daemonLog(levelOf(process.env.LOG_LEVEL), { interface: name });
    await runDevice({
      name,
      log,
      threads: threadsOf(threads),
      offloads: offloadsWithout(process.env.TORTIE_WITHOUT ?? ""),
      tunFd: descriptor("WG_TUN_FD"),
      uapiFd: descriptor("WG_UAPI_FD"),
      takeOver,
      keylog: keylogOf(process.env),
      ready: () => {
        reportReady();
        adviseOnNode(log);
      },
      stop,
    });
    return 0;
  } catch (thrown) {
    reportFailure(messageOf(thrown), thrown instanceof TortieError ? thrown.hint : "");
    throw thrown;
  }
}

async function background(name: string, { threads, takeOver }: Words): Promise<number> {
  const env: NodeJS.ProcessEnv = { ...process.env, WG_PROCESS_FOREGROUND: "1" };
  if (threads !== undefined) env.TORTIE_THREADS = threads;
  for (const key of ["WG_KEYLOGFILE", "WGKEYLOGFILE"]) if (env[key]) env[key] = resolve(env[key]);
  const level = process.env.LOG_LEVEL;
  const descriptors: number[] = [];
  for (const key of ["WG_TUN_FD", "WG_UAPI_FD"]) {
    const number = descriptor(key);
    if (number === undefined) continue;
    env[key] = String(FIRST_DESCRIPTOR + descriptors.length);
    descriptors.push(number);
  }
  await startInBackground(["device", "--foreground", ...(takeOver ? ["--take-over"] : []), name], {
    env,
    output: level !== undefined && levelOf(level) !== "silent",
    descriptors,
  });
  return 0;
}

export async function main(args: string[]): Promise<number> {
  const command = program("tortie device", "A userspace WireGuard device: it serves /var/run/wireguard/INTERFACE.sock, so wg(8) works on it", [
    "tortie device wg0                   start in the background; wg, ip addr and ip link work on wg0",
    "tortie device -f wg0                stay in the foreground",
    "tortie device --take-over wg0       after an upgrade: the new program goes on where the one that runs stops",
    "rm /var/run/wireguard/wg0.sock      stop it (so does: ip link del wg0)",
    "tortie device --threads 2 wg0       up to two data threads: the second has work while one processor is not enough",
    "LOG_LEVEL=verbose tortie device -f wg0",
    "TORTIE_WITHOUT=tun-gro,udp-gso tortie device wg0   without these offloads (tun-tso, tun-uso, tun-gro, udp-gso, udp-gro, all): for kernels with faults",
    "WG_KEYLOGFILE=wg.keys WG_KEYLOG_FOR=10m tortie device wg0   write the keys of handshakes for Wireshark: whoever reads them reads the traffic",
    "WG_KEYLOG_PEERS=KEY,KEY …           only those of handshakes with these peers; tortie keylog switches it on and off while the device runs",
  ])
    .version(`tortie-device v${VERSION}`, "-V, --version", "print the version")
    .option("-f, --foreground", "do not go to the background (also with WG_PROCESS_FOREGROUND=1)")
    .option("--threads <n>", "most data threads, each with a queue of the link (also TORTIE_THREADS)")
    .option("--take-over", "take over from the device of this name that runs: its link, sockets and sessions, without losing a packet")
    .argument("<interface>", "name of the link; a persistent TUN of that name is used and left, else one is made");
  onAction(command, (name: string, options: { foreground?: boolean; threads?: string; takeOver?: boolean }) => {
    sayKeylog(name);
    const words = { threads: options.threads ?? process.env.TORTIE_THREADS, takeOver: options.takeOver === true };
    return options.foreground === true || process.env.WG_PROCESS_FOREGROUND === "1" ? foreground(name, words) : background(name, words);
  });
  return runProgram(command, args);
}
