// `tortie inspect FILE`: what is in a capture; with keys, the outer and the inner packet side by side. Filters, fields and JSON are tshark's.
import { TortieError } from "../base/errors.ts";
import type { Analysis } from "../capture/analysis.ts";
import type { Facts } from "../capture/facts.ts";
import { firstOf, remarks, wantsJson } from "./captures/file.ts";
import { inventoryFrom, namesOf, readKeys } from "./captures/keys.ts";
import { printable } from "./captures/printable.ts";
import { problemsOf, problemText } from "./captures/report.ts";
import { details, type Format, formatOf, LIST, OWN_JSON } from "./inspect/formats.ts";
import { labelsOf } from "./inspect/labels.ts";
import { Marks } from "../capture/marks.ts";
import { analyseFile, print, type Run } from "./inspect/run.ts";
import { statisticsJson, statisticsLines, statisticsOf } from "./inspect/statistics.ts";
import { integer, onAction, program, runProgram } from "./program.ts";

type Options = {
  r?: string;
  keys?: string;
  inventory?: string;
  cluster?: boolean;
  V?: boolean;
  x?: boolean;
  hex?: boolean;
  Y?: string;
  T: string;
  e: string[];
  E: string[];
  z?: string;
  c?: number;
  output?: string;
  salvage?: boolean;
  frame?: number;
};
const list = (value: string, before: string[]): string[] => [...before, value];
const NUMBER = integer("the number of a packet", 1, 2 ** 40);

export async function main(args: string[]): Promise<number> {
  const command = program("tortie inspect", "what is in a capture file; a packet that keys open is shown outside and inside", [
    "tortie inspect capture.pcapng                    one line a packet, the inner packet under the outer one",
    "tortie inspect capture.pcap --keys wg.keys -V    every field, outer and inner tree",
    "tortie inspect capture.pcapng --frame 12 -x      the bytes of packet 12, outer and inner side by side",
    "tortie inspect capture.pcap -Y 'wg.type == 1'    only these packets; the language is Wireshark's",
    "tortie inspect capture.pcap -Y 'ip.addr == 10.244.0.0/16 && tcp.port in {80, 8000..8099}'",
    "tortie inspect capture.pcap -T fields -e frame.number -e wg.counter -E header=y -E separator=,",
    "tortie inspect capture.pcap -T json -Y icmp      as tshark -T json prints it",
    "tortie inspect capture.pcap -z sessions          what became of each session, and what to do next; also peers, timeline, loss",
    "tortie inspect broken.pcapng --salvage           go on after damage",
  ])
    .argument("[file]", 'pcap or pcapng, also packed with gzip or zstd; "-" reads standard input')
    .option("-r <file>", "the same, as tshark has it")
    .option("--keys <file>", "key log, or private keys; the file's own key blocks are used in any case")
    .option("-Y <filter>", "only packets that this display filter matches, with Wireshark's field names")
    .option("-V", "every field of every packet")
    .option("-x", "the bytes too")
    .option("--hex", "the same")
    .option("-T <format>", "text, fields, json or ek, as tshark prints them", "text")
    .option("-e <field>", "with -T fields or json: a field; may be given several times", list, [])
    .option("-E <option>", "with -T fields: header=y, separator=C, occurrence=f|l|a, aggregator=C, quote=d|s|n", list, [])
    .option("-c <count>", "stop after so many packets are shown", integer("a count", 1, 2 ** 40))
    .option("-z <table>", "sessions, peers, timeline or loss, instead of packets")
    .option("--frame <number>", "only this packet", NUMBER)
    .option("--inventory <file>", "names of nodes and pods, as for tortie audit: for keys, and k8s.pod and k8s.node in filters")
    .option("--cluster", "the same from the API")
    .option("-o, --output <format>", "json")
    .option("--salvage", "after damage go on at the next block that is whole")
    .addHelpText("after", "\nFields and filters: docs/inspect.md. Exit code: 0, or 1 when the file is damaged or cannot be read.\n");
  onAction(command, (file: string | undefined, options: Options) => inspect(file, options));
  return runProgram(command, args);
}

async function inspect(file: string | undefined, options: Options): Promise<number> {
  if (file !== undefined && options.r !== undefined) throw new TortieError("Cannot read two captures: FILE or -r FILE");
  const path = file ?? options.r;
  if (path === undefined) throw new TortieError("Cannot inspect: the name of a capture is missing", { hint: "tortie inspect FILE" });
  if (path === "-" && options.keys === "-") throw new TortieError("Cannot read both the capture and the keys from standard input");
  const format = chosen(options);
  if (options.z !== undefined && options.T !== "text")
    throw new TortieError(`Cannot print a table of -z as ${options.T}`, { hint: "-o json prints it as data." });
  const table = options.z === undefined ? undefined : statisticsOf(options.z);
  const logs = options.keys === undefined ? [] : [await readKeys(options.keys)];
  const inventory = await inventoryFrom(options);
  const run: Run = {
    path,
    logs,
    filter: options.Y,
    salvage: options.salvage ?? false,
    count: options.c,
    frame: options.frame,
    names: true,
    labels: inventory && labelsOf(inventory),
    prepare: inventory && namesOf(inventory),
  };
  const write = (text: string): void => void process.stdout.write(text);
  let analysis: Analysis;
  if (table) {
    if (options.Y !== undefined) throw new TortieError("Cannot use -Y with -z: sessions are followed through the whole capture");
    const marks = new Marks();
    analysis = await analyseFile(run, table.marked ? (t) => marks.note(t) : undefined);
    refuseNothing(analysis.facts, path);
    if (wantsJson(options.output)) write(`${JSON.stringify(statisticsJson(table, analysis, marks), undefined, 2)}\n`);
    else
      write(
        `${statisticsLines(table, analysis, process.stdout.columns ?? 100, marks)
          .map(printable)
          .join("\n")}\n`,
      );
  } else {
    analysis = await print(run, format, write);
    refuseNothing(analysis.facts, path);
    const { packets, damage } = analysis.facts;
    if (options.frame !== undefined && options.frame > packets && damage.length === 0)
      throw new TortieError(`Cannot show packet ${options.frame}: the capture has ${packets}`);
    // What the file says of itself stands at the end, when all of it is known.
    if (format === OWN_JSON) write(`\n], "damage": ${JSON.stringify(analysis.facts.damage)}, "notes": ${JSON.stringify(analysis.facts.notes)} }\n`);
  }
  const odd = problemsOf(options.keys, logs, analysis).map((p) => `Note: ${problemText(p)}`);
  for (const line of [...firstOf(odd), ...remarks(analysis.facts, path, options.salvage ?? false)]) process.stderr.write(`${printable(line)}\n`);
  return analysis.facts.damage.length > 0 ? 1 : 0;
}

/** Throws TortieError when nothing of it is a capture. */
function refuseNothing(facts: Facts, path: string): void {
  const [damage] = facts.damage;
  if (damage && facts.format === undefined && facts.packets === 0) throw new TortieError(`Cannot read the capture "${path}": ${damage.reason}`);
}

function chosen(o: Options): Format {
  if (wantsJson(o.output)) {
    if (o.T !== "text") throw new TortieError("Cannot print in two formats: -o json or -T");
    return OWN_JSON;
  }
  if (o.E.length > 0 && o.T !== "fields") throw new TortieError("Cannot use -E: it is for -T fields");
  return formatOf(o, () => {
    if (o.e.length > 0) throw new TortieError("Cannot print fields as text: -T fields or -T json goes with -e");
    return o.V || o.x || o.hex ? details(o.V ?? false, (o.x || o.hex) ?? false) : LIST;
  });
}
