// Acts as tshark: -r FILE, lines, -V, -x, -T fields|json|ek, -Y, -c. What keys in the file open is shown in place of the outer packet.
import { TortieError } from "../base/errors.ts";
import { remarks } from "./captures/file.ts";
import { readKeys } from "./captures/keys.ts";
import { printable } from "./captures/printable.ts";
import { formatOf, TSHARK_LIST, tsharkDetails } from "./inspect/formats.ts";
import { print } from "./inspect/run.ts";
import { integer, onAction, program, runProgram } from "./program.ts";
import { VERSION } from "./version.ts";

type Options = {
  r?: string;
  V?: boolean;
  x?: boolean;
  T: string;
  e: string[];
  Y?: string;
  c?: number;
  o: string[];
  E: string[];
  N?: string;
  v?: boolean;
};
const list = (value: string, before: string[]): string[] => [...before, value];

export async function main(args: string[]): Promise<number> {
  const command = program("tshark", "tortie acting as tshark: reads captures (live ones: tortie capture)", [
    "tshark -r capture.pcapng",
    "tshark -r capture.pcapng -Y 'wg.type == 1' -V",
    "tshark -r capture.pcapng -T fields -e frame.number -e wg.counter",
  ])
    .option("-r <file>", "the capture to read; - is standard input")
    .option("-V", "every field")
    .option("-x", "the bytes")
    .option("-T <format>", "text, fields, json or ek", "text")
    .option("-e <field>", "with -T fields or json: a field", list, [])
    .option("-E <option>", "with -T fields: header=y, separator=C, occurrence=f|l|a, aggregator=C, quote=d|s|n", list, [])
    .option("-Y <filter>", "only packets that this display filter matches")
    .option("-c <count>", "stop after so many packets", integer("a count", 1, 2 ** 40))
    .option("-o <preference>", "wg.keylog_file:FILE; others are left alone", list, [])
    .option("-n", "no names: there are none but with -N")
    .option("-N <kinds>", "names of the file instead of addresses")
    .option("--no-duplicate-keys", "with -T json: what occurs several times is a list; it always is")
    .option("-l", "flush after each line: left alone")
    .option("-v", "the version");
  onAction(command, (options: Options) => tshark(options));
  return runProgram(command, args);
}

async function tshark(options: Options): Promise<number> {
  if (options.v) {
    process.stdout.write(`TShark (tortie v${VERSION}, acting as tshark)\n`);
    return 0;
  }
  if (options.r === undefined) throw new TortieError("Cannot run as tshark without -r FILE", { hint: "tortie capture -i IF captures." });
  const format = formatOf(options, () => (options.V || options.x ? tsharkDetails(options.V ?? false, options.x ?? false) : TSHARK_LIST));
  const keylog = options.o.map((o) => /^wg\.keylog_file:(.+)$/.exec(o)?.[1]).find((f) => f !== undefined);
  const logs = keylog === undefined ? [] : [await readKeys(keylog)];
  const run = { path: options.r, logs, filter: options.Y, salvage: false, first: options.c, names: options.N !== undefined };
  const analysis = await print(run, format, (text) => void process.stdout.write(text));
  for (const l of remarks(analysis.facts, options.r, true)) process.stderr.write(`tshark: ${printable(l)}\n`);
  return analysis.facts.damage.length > 0 ? 2 : 0;
}
