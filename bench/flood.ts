// What a flood costs: TCP through a tunnel while its receiving end is flooded, as a ratio to the same with the flood at a closed port of the same host.
//   tsx bench/flood.ts [--rounds N] [--seconds N]
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { inner, tunnel } from "../test/device/tunnel.ts";
import { flooder, frames, type Kind } from "../test/flood/flooder.ts";
import { find } from "../test/peers.ts";
import { median, spread } from "./statistics.ts";
import { iperf } from "./traffic.ts";

const OPEN = 51820;
const CLOSED = 9;
const KINDS = ["initiations", "junk"] as const satisfies readonly Kind[];

type Figures = { readonly gbit: number; readonly perSecond: number; readonly answers: number };

async function measure(program: string, seconds: number, kind: Kind): Promise<{ open: Figures; closed: Figures }> {
  const t = await tunnel({ programs: [program, program] });
  try {
    t.configure();
    const flood = await flooder(t.b);
    const link = { a: t.a.host, b: t.b.host, target: inner(2, 4), pids: [], close: t.close };
    const at = async (port: number): Promise<Figures> => {
      const stop = await flood.start(kind, port);
      const [before, began] = [frames(t.b), performance.now()];
      try {
        const { report } = await iperf(link, seconds);
        const [after, took] = [frames(t.b), (performance.now() - began) / 1000];
        return {
          gbit: report.end.sum_received.bits_per_second / 1e9,
          perSecond: (after.arrived - before.arrived) / took,
          answers: (after.answered - before.answered) / took,
        };
      } finally {
        await stop();
      }
    };
    try {
      await iperf(link, 1);
      return { closed: await at(CLOSED), open: await at(OPEN) };
    } finally {
      await flood.close();
    }
  } finally {
    await t.close();
  }
}

export async function main(args: string[]): Promise<void> {
  const { values } = parseArgs({ args, options: { rounds: { type: "string", default: "5" }, seconds: { type: "string", default: "4" } } });
  const go = find("wireguard-go");
  const programs = ["tortie", ...(go ? [go] : [])];
  process.stdout.write(
    "## Floods\n\n| device | flood | datagrams/s | Gbit/s, flood at a closed port | at the device | ratio | answers/s |\n|---|---|---|---|---|---|---|\n",
  );
  for (const kind of KINDS) {
    const all = new Map(programs.map((p) => [p, [] as { open: Figures; closed: Figures }[]]));
    for (let round = 0; round < Number(values.rounds); round++)
      for (const p of programs) all.get(p)!.push(await measure(p, Number(values.seconds), kind));
    for (const [program, rounds] of all) {
      const of = (pick: (r: (typeof rounds)[number]) => number): number[] => rounds.map(pick);
      const cells = [
        program === "tortie" ? "tortie" : "wireguard-go",
        kind,
        median(of((r) => r.open.perSecond)).toFixed(0),
        spread(
          of((r) => r.closed.gbit),
          2,
        ),
        spread(
          of((r) => r.open.gbit),
          2,
        ),
        spread(
          of((r) => r.open.gbit / r.closed.gbit),
          2,
        ),
        median(of((r) => r.open.answers)).toFixed(0),
      ];
      process.stdout.write(`| ${cells.join(" | ")} |\n`);
    }
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main(process.argv.slice(2));
