// Acts as tshark as far as the exercise needs it: -r FILE, lines, -V, -T fields -e, -Y. What keys in the file open is shown in place of the outer packet.
import { displayFilter } from "../capture/display.ts";
import { dissect, valuesOf } from "../capture/dissect.ts";
import { formatTime } from "../capture/moment.ts";
import { lookupOf } from "../capture/names.ts";
import { linesOf } from "../capture/summary.ts";
import { type TrackedPacket, Tracker } from "../capture/tracker.ts";
import { treeLines } from "../capture/tree.ts";
import { nodeCrypto } from "../crypto/node.ts";
import { readFile, remarks } from "./captures/file.ts";
import { readKeys, secretsFrom } from "./captures/keys.ts";
import { packetLine, printable } from "./captures/lines.ts";
import { TortieError } from "../base/errors.ts";
import { VERSION } from "./version.ts";
import { integer, onAction, program, runProgram } from "./program.ts";

type Options = { r?: string; V?: boolean; T?: string; e: string[]; Y?: string; c?: number; o: string[]; E: string[]; v?: boolean };
const list = (value: string, before: string[]): string[] => [...before, value];

export async function main(args: string[]): Promise<number> {
  const command = program("tshark", "tortie acting as tshark: reads captures (live ones: tortie capture)", [
    "tshark -r capture.pcapng",
    "tshark -r capture.pcapng -Y 'wg.type == 1' -V",
    "tshark -r capture.pcapng -T fields -e frame.number -e wg.counter",
  ])
    .option("-r <file>", "the capture to read; - is standard input")
    .option("-V", "every field")
    .option("-T <format>", "fields or text", "text")
    .option("-e <field>", "with -T fields: a field", list, [])
    .option("-E <option>", "taken and left alone", list, [])
    .option("-Y <filter>", "only packets that this display filter matches")
    .option("-c <count>", "stop after so many packets", integer("a count", 1, 2 ** 40))
    .option("-o <preference>", "wg.keylog_file:FILE; others are left alone", list, [])
    .option("-n", "no names: there never are any here")
    .option("-l", "flush after each line: it always is")
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
  if (options.T !== "text" && options.T !== "fields") throw new TortieError(`Cannot print as "${options.T}": fields or text`);
  if (options.T === "fields" && options.e.length === 0) throw new TortieError("Cannot print fields: -e FIELD says which");
  const filter = options.Y === undefined ? undefined : displayFilter(options.Y);
  const keylog = options.o.map((o) => /^wg\.keylog_file:(.+)$/.exec(o)?.[1]).find((f) => f !== undefined);
  const logs = keylog === undefined ? [] : [await readKeys(keylog)];
  const file = await readFile(options.r);
  const secrets = secretsFrom(file.secrets, logs);
  const tracker = new Tracker(nodeCrypto, secrets);
  const all = file.packets.slice(0, options.c).map((p) => tracker.add(p));
  const first = file.packets.find((p) => p.time !== undefined)?.time;
  for (const t of all) {
    if (filter && !filter(lookupOf(t, secrets, first))) continue;
    const lines = options.T === "fields" ? [fieldsLine(t)] : options.V ? tree(t) : [line(t)];
    process.stdout.write(`${lines.map((l) => (options.T === "fields" ? l : printable(l))).join("\n")}\n`);
  }
  for (const l of remarks({ ...file, packets: file.packets.length }, options.r, true)) process.stderr.write(`tshark: ${printable(l)}\n`);
  return file.damage.length > 0 ? 2 : 0;

  function line(t: TrackedPacket): string {
    const { outer, inner } = linesOf(t);
    return packetLine(t, first, inner[0] ?? outer);
  }
  function tree(t: TrackedPacket): string[] {
    const d = dissect(t, secrets, first);
    return [...treeLines(d.outer), ...d.inner.flatMap((i) => treeLines(i.tree)), ""];
  }
  function fieldsLine(t: TrackedPacket): string {
    const d = dissect(t, secrets, first);
    const column = (name: string): string => {
      if (name === "_ws.col.Info" || name === "_ws.col.info") return (linesOf(t).inner[0] ?? linesOf(t).outer).info;
      if (name === "_ws.col.Protocol" || name === "_ws.col.protocol") return (linesOf(t).inner[0] ?? linesOf(t).outer).protocol;
      if (name === "frame.time_epoch" && t.packet.time !== undefined) return formatTime(t.packet.time);
      return valuesOf(d, name).join(",");
    };
    return options.e.map((e) => printable(column(e))).join("\t");
  }
}
