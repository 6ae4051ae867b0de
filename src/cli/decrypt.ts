// `tortie decrypt FILE --keys FILE`: opens a capture, or says for each session why it does not open and what would be needed.
import { TortieError } from "../base/errors.ts";
import { keyLogFor } from "../capture/embed.ts";
import { rewrite, writeInner } from "../capture/rewrite.ts";
import { linesOf } from "../capture/summary.ts";
import { type TrackedPacket, Tracker } from "../capture/tracker.ts";
import { nodeCrypto } from "../crypto/node.ts";
import { readFile, remarks, wantsJson } from "./captures/file.ts";
import { addNames, readKeys, secretsFrom } from "./captures/keys.ts";
import { packetLine, printable } from "./captures/lines.ts";
import { OutputFile } from "./captures/output.ts";
import { resultJson, resultLines, totalsOf } from "./captures/report.ts";
import { onAction, program, runProgram } from "./program.ts";

type Options = {
  keys?: string;
  inventory?: string;
  cluster?: boolean;
  write?: string;
  inner?: boolean;
  stripSecrets?: boolean;
  output?: string;
  salvage?: boolean;
  quiet?: boolean;
};
/** Nothing of the data opened. */
const NOTHING_OPENED = 2;

export async function main(args: string[]): Promise<number> {
  const command = program("tortie decrypt", "open a capture, or say why it does not open", [
    "tortie decrypt capture.pcap --keys wg.keys                    what opened, and the inner packets",
    "tortie decrypt capture.pcap --keys wg.keys -w open.pcapng     a file that Wireshark opens decrypted",
    "tortie decrypt capture.pcap --keys wg.keys -w in.pcapng --inner   only the inner packets, without any key",
    "tortie decrypt capture.pcap --keys /run/tortie/keys/wireguard.cali.key   what a static private key alone opens, and why no more",
    "tortie decrypt open.pcapng --strip-secrets -w plain.pcapng    the same packets without the key block",
    "wg showconf wireguard.cali | tortie decrypt capture.pcap --keys -",
  ])
    .argument("<file>", 'pcap or pcapng, also gzipped; "-" reads standard input')
    .option("--keys <file>", "key log in Wireshark's grammar, session keys, a private key or a wg configuration; - reads standard input")
    .option("-w, --write <file>", "write a pcapng with the keys in front")
    .option("--inner", "with -w: write the inner packets instead, and no keys")
    .option("--strip-secrets", "with -w: write the packets without any keys")
    .option("-q, --quiet", "do not list the inner packets")
    .option("--inventory <file>", "names of nodes for their public keys, as for tortie audit")
    .option("--cluster", "names of nodes from the API")
    .option("-o, --output <format>", "json")
    .option("--salvage", "after damage go on at the next block or record that is whole")
    .addHelpText(
      "after",
      `\nExit code: 0 something opened (or there was no data), ${NOTHING_OPENED} no data packet opened, 1 the file or the keys cannot be read.\n`,
    );
  onAction(command, (file: string, options: Options) => decrypt(file, options));
  return runProgram(command, args);
}

async function decrypt(path: string, options: Options): Promise<number> {
  const json = wantsJson(options.output);
  if (path === "-" && options.keys === "-") throw new TortieError("Cannot read both the capture and the keys from standard input");
  if ((options.inner || options.stripSecrets) && options.write === undefined) throw new TortieError("Cannot write: -w FILE says where to");
  const log = options.keys === undefined ? undefined : await readKeys(options.keys);
  const file = await readFile(path, { salvage: options.salvage ?? false });
  const secrets = secretsFrom(file.secrets, log ? [log] : []);
  await addNames(secrets, options);
  const tracker = new Tracker(nodeCrypto, secrets);
  tracker.learn(file.packets.map((p) => tracker.handshakeIn(p)).filter((m) => m !== undefined));
  const packets = file.packets.map((p) => tracker.add(p));
  const problems = (log?.problems ?? []).map((p) => ({ ...p, file: options.keys! }));
  const result = { path, keys: options.keys, file, tracker, secrets, problems };
  const totals = totalsOf(tracker.sessions);
  const opened = totals.decrypted + totals.unauthenticated;

  if (json) process.stdout.write(`${JSON.stringify(resultJson(result), undefined, 2)}\n`);
  else {
    process.stdout.write(`${resultLines(result).map(printable).join("\n")}\n`);
    if (!options.quiet && opened > 0) process.stdout.write(`\nInner packets\n${innerLines(packets).map(printable).join("\n")}\n`);
  }
  for (const line of remarks(file, path, options.salvage ?? false)) process.stderr.write(`${printable(line)}\n`);

  if (options.write !== undefined) {
    const keyLog = options.stripSecrets || options.inner ? undefined : keyLogFor(tracker.sessions, secrets);
    if (keyLog?.text === "") throw new TortieError(`Cannot write "${options.write}": no session opened, so there are no keys to put into it`);
    let written = packets.length;
    const output = new OutputFile(options.write);
    try {
      if (options.inner) written = writeInner(packets, output.write);
      else rewrite(file, packets, keyLog?.text ?? "", output.write);
    } finally {
      output.close();
    }
    const what = options.inner
      ? `${written} inner packets, no keys`
      : options.stripSecrets
        ? `${written} packets, no keys`
        : `${written} packets; whoever has this file can read them (mode 0600)`;
    process.stderr.write(`Wrote "${options.write}": ${what}.\n`);
    if (keyLog && keyLog.onlyOurs > 0)
      process.stderr.write(`${keyLog.onlyOurs} sessions opened by session keys only: Wireshark cannot use those, --inner writes what it can show.\n`);
  }
  if (file.damage.length > 0 && file.packets.length === 0) return 1;
  return totals.transport > 0 && opened === 0 && !options.stripSecrets ? NOTHING_OPENED : file.damage.length > 0 ? 1 : 0;
}

function innerLines(packets: readonly TrackedPacket[]): string[] {
  const first = packets.find((t) => t.packet.time !== undefined)?.packet.time;
  return packets.flatMap((t) => linesOf(t).inner.map((s) => packetLine(t, first, s)));
}
