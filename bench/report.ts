// What a run gave, as a table and as JSON.
import { cpus, release } from "node:os";
import { FIGURES, type FigureName, type Sample, verdict } from "./figures.ts";
import { median, spread } from "./statistics.ts";

/** A subject, and its samples by round. */
export type Result = { readonly name: string; readonly title: string; readonly samples: readonly Sample[] };
export type Run = {
  readonly machine: string;
  readonly date: string;
  readonly rounds: number;
  readonly seconds: number;
  /** Share of the processors that others kept busy before each round. */
  readonly busyBefore: readonly number[];
  /** Whom the ratios are against. */
  readonly against: string;
  readonly results: readonly Result[];
};

export const MACHINE: string = `${cpus()[0]?.model}, ${cpus().length} CPUs, Linux ${release()}, Node ${process.version}, OpenSSL ${process.versions.openssl}`;

const NAMES = Object.keys(FIGURES) as FigureName[];
const of = (r: Result, name: FigureName): number[] => r.samples.map((s) => s[name]).filter((v) => v !== undefined && !Number.isNaN(v)) as number[];

type Ratio = { readonly subject: string; readonly medians: number; readonly rounds: readonly number[]; readonly verdict: string | undefined };
/** Ours over the other's: of the medians, and round by round. */
function ratio(r: Result, against: Result, name: FigureName): Ratio | undefined {
  const [mine, theirs] = [of(r, name), of(against, name)];
  if (mine.length === 0 || theirs.length === 0) return undefined;
  const medians = median(mine) / median(theirs);
  const rounds = r.samples.map((s, i) => s[name]! / against.samples[i]![name]!).filter((x) => Number.isFinite(x));
  return { subject: r.name, medians, rounds, verdict: r.name.startsWith("tortie") ? verdict(name, medians) : undefined };
}

/** Who is held against the reference: ours, or, when the reference is one of ours, all others. */
function compared(run: Run): readonly Result[] {
  const others = run.results.filter((r) => r.name !== run.against && r.name !== "none");
  return run.against.startsWith("tortie") ? others : others.filter((r) => r.name.startsWith("tortie"));
}

export function json(run: Run): string {
  const against = run.results.find((r) => r.name === run.against)!;
  const ratios = Object.fromEntries(
    NAMES.map((name) => [name, compared(run).flatMap((r) => ratio(r, against, name) ?? [])] as const).filter(([, all]) => all.length > 0),
  );
  return `${JSON.stringify({ ...run, ratios }, undefined, 1)}\n`;
}

export function table(run: Run): string {
  const against = run.results.find((r) => r.name === run.against)!;
  const held = compared(run);
  const goals = !run.against.startsWith("tortie");
  const row = (cells: readonly string[]): string => `| ${cells.join(" | ")} |\n`;
  const head = ["figure", ...run.results.map((r) => r.title), ...held.map((r) => `${r.title} : ${against.title}`)];
  const lines = NAMES.filter((name) => run.results.some((r) => of(r, name).length > 0)).map((name) => {
    const cells = run.results.map((r) => {
      const values = of(r, name);
      return values.length === 0 ? "" : spread(values, FIGURES[name].digits);
    });
    const ratios = held.map((r) => {
      const x = ratio(r, against, name);
      if (!x || !Number.isFinite(x.medians)) return "";
      const range = x.rounds.length > 1 ? ` (${Math.min(...x.rounds).toFixed(2)} .. ${Math.max(...x.rounds).toFixed(2)})` : "";
      return `${x.medians.toFixed(2)}${range}${goals && x.verdict ? `, ${x.verdict}` : ""}`;
    });
    return row([FIGURES[name].title, ...cells, ...ratios]);
  });
  const busy = run.busyBefore.map((b) => `${(100 * b).toFixed(0)} %`).join(", ");
  return (
    `${run.rounds} interleaved rounds, ${run.seconds} s each; ${run.machine}. Busy with other things before each round: ${busy}.\n` +
    `Median (least .. most). A ratio is that of the medians (least .. most of the rounds' own ratios).\n\n` +
    row(head) +
    row(head.map(() => "---")) +
    lines.join("")
  );
}
