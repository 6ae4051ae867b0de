// `tortie decrypt FILE --keys FILE`: opens a capture, or says for each session why it does not open and what would be needed.
import { many } from "../base/text.ts";
import { TortieError } from "../base/errors.ts";
import { type Analysis, type EachPacket, type Source, survey } from "../capture/analysis.ts";
import { keyLogFor } from "../capture/embed.ts";
import type { Facts } from "../capture/facts.ts";
import type { BatchOpener } from "../capture/opener.ts";
import type { WipedOpener } from "../crypto/batchopener.ts";
import { nodeCrypto } from "../crypto/node.ts";
import { readEvents, remarks, wantsJson } from "./captures/file.ts";
import { namesFrom, readKeys } from "./captures/keys.ts";
import { keepHeapSmall } from "./captures/heap.ts";
import { OutputFile, refuseSame, refuseUnwritable } from "./captures/output.ts";
import { OutputFiles } from "./captures/outputs.ts";
import { paced } from "./captures/paced.ts";
import { printable } from "./captures/printable.ts";
import { problemsOf, resultJson, resultLines, totalsOf } from "./captures/report.ts";
import { integer, onAction, program, runProgram } from "./program.ts";

type Options = {
  keys?: string;
  inventory?: string;
  cluster?: boolean;
  write?: string;
  inner?: boolean;
  stripSecrets?: boolean;
  sessionKeys?: boolean;
  session: number[];
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
    "tortie decrypt capture.pcap --keys wg.keys -w f --session 0   with the keys of one session only",
    "tortie decrypt open.pcapng --session-keys -w less.pcapng      for a colleague with tortie, who must not hold a node's key",
    "tortie decrypt open.pcapng --strip-secrets -w plain.pcapng    the same packets without the key block",
    "wg showconf wireguard.cali | tortie decrypt capture.pcap --keys -",
  ])
    .argument("<file>", 'pcap or pcapng, also packed with gzip or zstd; "-" reads standard input')
    .option("--keys <file>", "key log in Wireshark's grammar, session keys, a private key or a wg configuration; - reads standard input")
    .option("-w, --write <file>", "write a pcapng with the keys in front")
    .option("--inner", "with -w: write the inner packets instead, and no keys")
    .option("--strip-secrets", "with -w: write the packets without any keys")
    .option("--session-keys", "with -w: only session keys, no node's: tortie opens these sessions with them, nobody poses as a node")
    .option(
      "--session <number>",
      "with -w: only the keys of this session, with --inner only its packets; may be given several times",
      sessionNumber,
      [],
    )
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
  keepHeapSmall();
  const json = wantsJson(options.output);
  if (path === "-" && options.keys === "-") throw new TortieError("Cannot read both the capture and the keys from standard input");
  const chosen = [options.inner, options.stripSecrets, options.sessionKeys].filter(Boolean).length;
  if ((chosen > 0 || options.session.length > 0) && options.write === undefined) throw new TortieError("Cannot write: -w FILE says where to");
  if (options.stripSecrets && options.session.length > 0)
    throw new TortieError("Cannot choose a session's keys for a file without keys: leave --session or --strip-secrets out");
  if (chosen > 1) throw new TortieError("Cannot write all of these at once: --inner, --strip-secrets or --session-keys");
  const log = options.keys === undefined ? undefined : await readKeys(options.keys);
  const names = await namesFrom(options);
  const salvage = options.salvage ?? false;
  if (options.write !== undefined) {
    await refuseUnwritable(options.write);
    await refuseSame(path, options.write);
  }
  // A capture on standard output has it for itself; and a file is whole also when nobody reads on (`| head`).
  const out = options.write === "-" ? process.stderr : process.stdout;
  if (options.write !== undefined) process.stdout.removeAllListeners("error").on("error", () => {});
  const list = !json && !options.quiet;
  const inner = options.inner ? new OutputFile(options.write!) : undefined;
  // What this call has no use for is not loaded: it would stay resident.
  const writer = inner && new (await import("../capture/rewrite.ts")).InnerWriter(inner.write, options.session);
  const { innerLines } = list ? await import("./captures/lines.ts") : {};
  let made: WipedOpener | undefined;
  const opener = async (): Promise<BatchOpener> => (made ??= (await import("../crypto/batchopener.ts")).batchOpener());
  const read = { salvage, reuse: true };
  const source: Source = () => (list ? paced(readEvents(path, { ...read, progress: false }), out) : readEvents(path, read));
  const how = { crypto: nodeCrypto, opener, logs: log ? [log] : [], prepare: names };
  let listed = 0;
  let first: bigint | undefined;
  const each: EachPacket = (t) => {
    first ??= t.packet.time;
    writer?.packet(t);
    for (const line of innerLines?.(t, first) ?? []) out.write(`${listed++ === 0 ? "Inner packets\n" : ""}${printable(line)}\n`);
  };
  let analysis: Analysis;
  try {
    // Without keys only the file can hold some.
    analysis = await survey(source, { ...how, data: log ? "open" : "count" }, list || writer ? each : undefined);
  } finally {
    made?.wipe();
    inner?.close();
  }
  const { facts, secrets, sessions } = analysis;
  const [damage] = facts.damage;
  if (damage && facts.format === undefined && facts.packets === 0) throw new TortieError(`Cannot read the capture "${path}": ${damage.reason}`);
  const result = { path, keys: options.keys, analysis, problems: problemsOf(options.keys, how.logs, analysis) };
  const totals = totalsOf(sessions);
  const opened = totals.decrypted + totals.unauthenticated;

  if (json) out.write(`${JSON.stringify(resultJson(result), undefined, 2)}\n`);
  else out.write(`${listed > 0 ? "\n" : ""}${resultLines(result).map(printable).join("\n")}\n`);
  for (const line of remarks(facts, path, salvage)) process.stderr.write(`${printable(line)}\n`);

  const absent = options.session.find((number) => !sessions.some((s) => s.number === number));
  if (absent !== undefined) throw new TortieError(`Cannot write "${options.write}": the capture has no session ${absent}`);
  if (writer)
    process.stderr.write(
      `Wrote "${options.write}": ${writer.written} inner packets${writer.copies > 0 ? ` (${writer.copies} that another capture point had seen too are left out)` : ""}, no keys.\n`,
    );
  else if (options.write !== undefined) {
    const wanted = options.session.length === 0 ? sessions : sessions.filter((s) => options.session.includes(s.number));
    const keyLog = options.stripSecrets ? undefined : keyLogFor(wanted, secrets, { sessionKeysOnly: options.sessionKeys ?? false });
    if (keyLog?.text === "") throw new TortieError(`Cannot write "${options.write}": no session opened, so there are no keys to put into it`);
    const more = await writeAgain(path, options.write, facts, keyLog?.text ?? "", salvage);
    for (const file of more) process.stderr.write(`Wrote "${file}": packets of another link type, since tcpdump opens no file of two.\n`);
    const what = keyLog ? "whoever has this file can read them (mode 0600)" : "no keys";
    process.stderr.write(`Wrote "${options.write}": ${facts.packets} packets${keyLog ? ";" : ","} ${what}.\n`);
    if (keyLog && keyLog.onlyOurs > 0)
      process.stderr.write(
        `${many(keyLog.onlyOurs, "session")} opened by session keys only: Wireshark cannot use those, --inner writes what it can show.\n`,
      );
  }
  if (facts.damage.length > 0 && facts.packets === 0) return 1;
  return totals.transport > 0 && opened === 0 && !options.stripSecrets ? NOTHING_OPENED : facts.damage.length > 0 ? 1 : 0;
}

/** The capture once more, with these keys in front of its packets. The result: the files beside the one asked for. */
async function writeAgain(path: string, to: string, facts: Facts, keyLog: string, salvage: boolean): Promise<string[]> {
  const { Rewriter } = await import("../capture/rewrite.ts");
  const output = new OutputFiles(to);
  try {
    const writer = new Rewriter(facts, output.open, { keyLog, together: output.together });
    for await (const events of readEvents(path, { salvage, reuse: true, progress: `Writing ${to}` }))
      for (const e of events) if (e.kind === "packet") writer.packet(e.packet);
    writer.end();
  } finally {
    output.close();
  }
  return output.more;
}

const sessionNumber = (text: string, before: readonly number[]): number[] => [...before, integer("a session's number", 0, 2 ** 32)(text)];
