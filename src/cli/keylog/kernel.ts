// The keys of the kernel's WireGuard: probes are set, their events become key log lines, and everything is removed on every way out.
import { readlinkSync } from "node:fs";
import { isZero, toBase64, wipe } from "../../base/bytes.ts";
import { TortieError } from "../../base/errors.ts";
import { nodeCrypto } from "../../crypto/node.ts";
import { recordLines, sessionLines } from "../../runtime/keylog.ts";
import { installed, run } from "../../sys/exec.ts";
import { parseEvent, type ProbeEvent } from "../../sys/probeevent.ts";
import { openProbes, type ProbeDefinition, removeLeftovers, tracefs } from "../../sys/tracefs.ts";
import { HANDSHAKE_SYMBOL, handshakeProbe, kernelTypes, sessionProbe, WALK_SYMBOL } from "../../sys/wireguardprobe.ts";
import { ALTERNATIVE, requireProbes } from "./check.ts";
import { handshakeOf, keyOf } from "./handshake.ts";
import { type KeepOptions, sayOff } from "./output.ts";

const UNSOUND = "what was read of it are no keys that belong together, so this kernel's WireGuard keeps them elsewhere than was looked";

export async function keep(options: KeepOptions): Promise<number> {
  requireProbes();
  const root = tracefs()!;
  const left = removeLeftovers(root);
  if (left > 0) process.stderr.write(`Removed what ${left} killed key ${left === 1 ? "log" : "logs"} had left in the kernel.\n`);
  const { types, seen } = kernelTypes();
  if (!types && (options.interface !== undefined || options.existing))
    throw new TortieError(`Cannot tell one device from another, or find existing sessions: this kernel does not tell its types (${seen})`, {
      hint: "Without --interface and --existing the keys of all new handshakes of this machine are logged.",
    });
  const probes: ProbeDefinition[] = [handshakeProbe(process.arch, types)];
  const walk = options.existing ? sessionProbe(process.arch, types!) : undefined;
  if (walk) {
    if (!(await installed("wg")))
      throw new TortieError("Cannot find existing sessions: wg(8) is not installed", { hint: "apt-get install wireguard-tools" });
    probes.push(walk);
  }
  const wanted = filterOf(options);
  const opened = openProbes(root, probes);
  let handshakes = 0;
  let unsound = 0;
  const sessions = new Set<string>();
  try {
    options.begin(options.interface ?? "all WireGuard interfaces of this kernel");
    // The walk through the peers: what wg(8) asks the kernel for makes it call the probed function.
    if (walk) void run("wg", ["show", options.interface ?? "all", "allowed-ips"]).catch((e: Error) => process.stderr.write(`${e.message}\n`));
    for await (const line of opened.lines(options.signal)) {
      const lost = /LOST (\d+) EVENTS/.exec(line.length < 100 ? String.fromCharCode(...line) : "");
      if (lost) process.stderr.write(`The kernel lost ${lost[1]} events: these keys are missing.\n`);
      const handshake = parseEvent(line, HANDSHAKE_SYMBOL);
      const session = handshake ? undefined : parseEvent(line, WALK_SYMBOL);
      wipe(line);
      if (handshake && wanted(handshake)) {
        const record = handshakeOf(handshake, nodeCrypto);
        if (record) {
          options.output.write(recordLines(record));
          handshakes++;
        } else if (++unsound === 1) process.stderr.write(`A handshake was left out: ${UNSOUND}.\n`);
      }
      if (session && wanted(session)) writeSessions(session, sessions, options);
      for (const value of [...(handshake?.values() ?? []), ...(session?.values() ?? [])]) if (typeof value !== "string") wipe(value);
    }
  } finally {
    opened.close();
  }
  sayOff(handshakes, sessions.size, options);
  if (handshakes === 0 && unsound > 0)
    throw new TortieError(`Cannot take the kernel's keys: ${UNSOUND}, ${unsound} ${unsound === 1 ? "time" : "times"}`, { hint: ALTERNATIVE });
  return 0;
}

/** Which events are wanted. Interfaces of other network namespaces have the same names. */
function filterOf({ interface: name, peers }: KeepOptions): (event: ProbeEvent) => boolean {
  const here = /\d+/.exec(readlinkSync("/proc/self/ns/net"))?.[0];
  return (event) => {
    const remote = keyOf(event, "remote");
    if (remote === undefined || (peers.size > 0 && !peers.has(toBase64(remote)))) return false;
    return name === undefined || (event.get("if") === name && event.get("ns") === here);
  };
}

/** Of the current and of the previous session of a peer; each once, though a peer with many prefixes is passed often. */
function writeSessions(event: ProbeEvent, written: Set<string>, { output }: KeepOptions): void {
  for (const which of ["current", "previous"]) {
    const [remote, local] = [event.get(`${which}_remote`), event.get(`${which}_local`)];
    const [sending, receiving] = [keyOf(event, `${which}_send`), keyOf(event, `${which}_receive`)];
    // There is none: what is read through a pointer to nothing is zeros.
    if (typeof remote !== "string" || typeof local !== "string" || !sending || !receiving || isZero(sending)) continue;
    if (written.has(`${remote} ${local}`)) continue;
    written.add(`${remote} ${local}`);
    output.write(
      sessionLines([
        { receiver: Number(remote), key: sending },
        { receiver: Number(local), key: receiving },
      ]),
    );
  }
}
