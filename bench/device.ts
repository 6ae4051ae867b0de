// Our device beside every wireguard-go that is here, OpenVPN, and no tunnel at all: two namespaces, a veth pair, one device in each. All subjects run side
// by side, idle but for the one that is measured, and each figure is taken from one after the other, round after round in another order: the spread between
// two runs of the same thing on a small machine is about a quarter.
//   npm run bench, or: npx tsx bench/device.ts --help      (root; needs iperf3, wg and ping)
import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import type { Sample } from "./figures.ts";
import { ALONE } from "./alone.ts";
import { busyShare, forgetPeak } from "./processes.ts";
import { json, MACHINE, type Run, table } from "./report.ts";
import { CURRENT, type Link, type Subject, subject, subjects } from "./subjects.ts";
import { iperf, TRAFFIC } from "./traffic.ts";

const MEASUREMENTS = [...Object.keys(TRAFFIC), ...Object.keys(ALONE)];

const HELP = `npx tsx bench/device.ts [options]
  --only LIST       of ${MEASUREMENTS.join(",")}; all
  --subjects LIST   of none,tortie,wireguard-go,wireguard-go-debian,openvpn; all that are here.
                    tortie:DIST is another build of ours (beside a node_modules); SUBJECT@X=1+--threads=2 sets variables, adds words
  --env X=1         for each of ours; may be repeated
  --against NAME    the subject that ratios are against; wireguard-go, or the first
  --rounds N        5
  --seconds N       of each measurement; 4
  --quiet PERCENT   wait before each measurement until no more of the processors is busy with other things
  --warmup N        seconds of TCP before the first measurement of each round; 1
  --json FILE       the samples too ("-": instead of the table)
Two builds:    --subjects tortie,tortie:/other/dist --only tcp1,udp64 --rounds 5 --seconds 3
Two settings:  --subjects tortie,tortie@TORTIE_X=0
`;

const progress = (text: string): void => void process.stderr.write(`${text}\n`);
const words = (list: string | undefined, all: readonly string[]): readonly string[] => list?.split(",") ?? all;

/** One after the other, in an order that is another each round. */
const rotated = <T>(all: readonly T[], by: number): readonly T[] => all.map((_, i) => all[(i + by) % all.length]!);

type Measure = { readonly name: string; readonly subject: Subject; readonly take: () => Promise<Sample> };

/** A figure that could not be taken is said, and is no reason to lose the others. */
async function take({ name, subject: s, take: measure }: Measure, into: Sample): Promise<void> {
  try {
    const sample = await measure();
    Object.assign(into, sample);
    const cells = Object.entries(sample).map(([figure, value]) => `${figure.split(".")[1]} ${value.toPrecision(4)}`);
    if (cells.length > 0) progress(`${name.padEnd(11)} ${s.title.padEnd(28)} ${cells.join("  ")}`);
  } catch (thrown) {
    progress(`${name.padEnd(11)} ${s.title.padEnd(28)} FAILED: ${thrown instanceof Error ? thrown.message : String(thrown)}`);
  }
}

async function round(
  all: readonly Subject[],
  chosen: readonly string[],
  options: { seconds: number; warmup: number; turn: number; quiet: number },
): Promise<Map<Subject, Sample>> {
  const samples = new Map<Subject, Sample>(all.map((s) => [s, {}]));
  const links = new Map<Subject, Link>();
  const order = rotated(all, options.turn);
  const each = async (name: string, measure: (s: Subject) => Promise<Sample>, who: readonly Subject[]): Promise<void> => {
    for (const s of who) {
      if (options.quiet < 1) while ((await busyShare(300)) > options.quiet);
      await take({ name, subject: s, take: () => measure(s) }, samples.get(s)!);
    }
  };
  const traffic = Object.entries(TRAFFIC).filter(([name]) => chosen.includes(name));
  try {
    if (traffic.length > 0) {
      await each(
        "set-up",
        async (s) => {
          const link = await s.link();
          links.set(s, link);
          for (const pid of link.pids) forgetPeak(pid);
          if (options.warmup > 0) await iperf(link, options.warmup);
          return {};
        },
        order,
      );
      const linked = order.filter((s) => links.has(s));
      for (const [name, measure] of traffic) await each(name, (s) => measure(links.get(s)!, options.seconds), linked);
    }
  } finally {
    for (const link of links.values()) await link.close();
  }
  const devices = order.filter((s) => s.device !== undefined);
  for (const [name, measure] of Object.entries(ALONE)) if (chosen.includes(name)) await each(name, (s) => measure(s.device!), devices);
  return samples;
}

export async function main(args: string[]): Promise<void> {
  const { values } = parseArgs({
    args,
    options: {
      only: { type: "string" },
      subjects: { type: "string" },
      env: { type: "string", multiple: true, default: [] },
      against: { type: "string" },
      rounds: { type: "string", default: "5" },
      seconds: { type: "string", default: "4" },
      warmup: { type: "string", default: "1" },
      quiet: { type: "string", default: "100" },
      json: { type: "string" },
      help: { type: "boolean" },
    },
  });
  if (values.help) return void process.stdout.write(HELP);
  const chosen = words(values.only, MEASUREMENTS);
  const unknown = chosen.filter((name) => !MEASUREMENTS.includes(name));
  if (unknown.length > 0) throw new Error(`There is no measurement "${unknown.join()}"\n${HELP}`);
  const env = Object.fromEntries(values.env.map((v) => [v.slice(0, v.indexOf("=")), v.slice(v.indexOf("=") + 1)]));
  const all = words(values.subjects, subjects()).flatMap((name) => {
    const found = subject(name, env);
    if (!found) progress(`skipped: no ${name} here (scripts/install-test-programs)`);
    return found ?? [];
  });
  const against = values.against ?? (all.find((s) => s.name === CURRENT) ?? all[0]!).name;
  if (!all.some((s) => s.name === against)) throw new Error(`"${against}" is none of the subjects`);

  const samples: Map<Subject, Sample>[] = [];
  const busyBefore: number[] = [];
  const [rounds, seconds, warmup] = [Number(values.rounds), Number(values.seconds), Number(values.warmup)];
  for (let i = 0; i < rounds; i++) {
    busyBefore.push(await busyShare(500));
    progress(`round ${i + 1} of ${rounds}; the machine is busy with other things: ${(100 * busyBefore.at(-1)!).toFixed(0)} %`);
    samples.push(await round(all, chosen, { seconds, warmup, turn: i, quiet: Number(values.quiet) / 100 }));
  }
  const results = all.map((s) => ({ name: s.name, title: s.title, samples: samples.map((m) => m.get(s)!) }));
  const run: Run = { machine: MACHINE, date: new Date().toISOString(), rounds, seconds, busyBefore, against, results };
  if (values.json !== undefined && values.json !== "-") writeFileSync(values.json, json(run));
  process.stdout.write(values.json === "-" ? json(run) : table(run));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main(process.argv.slice(2));
