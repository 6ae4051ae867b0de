// What a run gave, as a table and as JSON.
import { cpus, release } from "node:os";
import { type Figure, FIGURES, type FigureName, type Sample, verdict } from "./figures.ts";
import { median, spread } from "./statistics.ts";
import { CURRENT } from "./subjects.ts";

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

const row = (cells: readonly string[]): string => `| ${cells.join(" | ")} |\n`;
const head = (cells: readonly string[]): string => row(cells) + row(cells.map(() => "---"));
const cell = (r: Result, name: FigureName): string => {
  const values = of(r, name);
  return values.length === 0 ? "" : spread(values, FIGURES[name].digits);
};
const times = (x: Ratio | undefined): string => {
  if (!x || !Number.isFinite(x.medians)) return "";
  const range = x.rounds.length > 1 ? ` (${Math.min(...x.rounds).toFixed(2)} .. ${Math.max(...x.rounds).toFixed(2)})` : "";
  return x.medians.toFixed(2) + range;
};

/** What was promised against the current wireguard-go, and whether it is so. Information: nothing depends on it. */
function promises(mine: Result, theirs: Result): string {
  const lines = NAMES.flatMap((name) => {
    const { goal, title }: Figure = FIGURES[name];
    const x = ratio(mine, theirs, name);
    return goal && x ? [row([title, cell(mine, name), cell(theirs, name), times(x), String(goal.must), String(goal.want), x.verdict ?? ""])] : [];
  });
  return lines.length === 0 ? "" : head(["figure", mine.title, theirs.title, "ratio", "must", "want", ""]) + lines.join("") + "\n";
}

export function table(run: Run): string {
  const against = run.results.find((r) => r.name === run.against)!;
  const held = compared(run);
  const all = NAMES.filter((name) => run.results.some((r) => of(r, name).length > 0));
  const busy = run.busyBefore.map((b) => `${(100 * b).toFixed(0)} %`).join(", ");
  return (
    `${run.rounds} interleaved rounds, ${run.seconds} s each; ${run.machine}. Busy with other things before each round: ${busy}.\n` +
    `Median (least .. most). A ratio is that of the medians (least .. most of the rounds' own ratios).\n\n` +
    (run.against === CURRENT ? held.map((r) => promises(r, against)).join("") : "") +
    head(["figure", ...run.results.map((r) => r.title), ...held.map((r) => `${r.title} : ${against.title}`)]) +
    all
      .map((name) => row([FIGURES[name].title, ...run.results.map((r) => cell(r, name)), ...held.map((r) => times(ratio(r, against, name)))]))
      .join("")
  );
}
