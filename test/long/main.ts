// What is too long for `npm test`: `npm run test:long -- --minutes N`. Runs the scenarios that fit into the time, side by side where they only wait, and says
// what it covered; the last result stands in docs/long.md.
import { writeFileSync } from "node:fs";
import { release } from "node:os";
import { parseArgs } from "node:util";
import { apiserver } from "./apiserver.ts";
import { curve } from "./curve.ts";
import { endurance } from "./endurance.ts";
import { fuzz } from "./fuzz.ts";
import { garbage } from "./garbage.ts";
import { offload } from "./offload.ts";
import { parsers } from "./parsers.ts";
import { session } from "./session.ts";
import { soak } from "./soak.ts";

export type Scenario = {
  readonly name: string;
  /** What it needs at least. */
  readonly minutes: number;
  /** Of the time that those which need the processor have together. @default 1 */
  readonly share?: number;
  /** Gives one line on what was covered; throws when it failed. */
  readonly run: (minutes: number) => Promise<string>;
};

const { values } = parseArgs({ options: { minutes: { type: "string", default: "5" }, help: { type: "boolean" }, write: { type: "boolean" } } });
const minutes = Number(values.minutes);
if (values.help || !(minutes >= 1)) {
  process.stdout.write(
    "npm run test:long -- --minutes N [--write]\n  N: at least 1; 15 and more cover everything, 41 have 20 of real traffic. --write: keep the result in docs/long.md\n",
  );
  process.exit(values.help ? 0 : 1);
}

/** Those that wait run together; then those that need the processor, one after the other. */
const waiting: readonly Scenario[] = [session];
const busy: readonly Scenario[] = [endurance, curve, garbage, fuzz, parsers, apiserver, offload, soak];
const lines: string[] = [];
let failed = 0;

async function attempt(scenario: Scenario, available: number): Promise<void> {
  if (scenario.minutes > available) return void lines.push(`not covered: ${scenario.name} (needs ${scenario.minutes} min)`);
  try {
    lines.push(`passed: ${scenario.name}: ${await scenario.run(available)}`);
  } catch (thrown) {
    failed++;
    lines.push(`FAILED: ${scenario.name}: ${thrown instanceof Error ? thrown.message : String(thrown)}`);
  }
  process.stdout.write(`${lines.at(-1)}\n`);
}

const started = Date.now();
const left = (): number => minutes - (Date.now() - started) / 60_000;
await Promise.all(waiting.map((s) => attempt(s, minutes)));
const shareOf = (all: readonly Scenario[]): number => all.reduce((sum, s) => sum + (s.share ?? 1), 0);
for (const [i, scenario] of busy.entries()) await attempt(scenario, (left() * (scenario.share ?? 1)) / shareOf(busy.slice(i)));
const took = ((Date.now() - started) / 60_000).toFixed(1);
const summary = `${lines.filter((l) => l.startsWith("passed")).length} passed, ${failed} failed`;
process.stdout.write(`${lines.filter((l) => l.startsWith("not covered")).join("\n")}\n${summary} in ${took} min\n`);
if (values.write) {
  const text = `# The last long run\n\n\`npm run test:long -- --minutes ${minutes}\`, ${new Date().toISOString().slice(0, 10)}, Node ${process.version}, Linux ${release()}: ${summary} in ${took} min.\n\n${lines.map((l) => `- ${l}`).join("\n")}\n`;
  writeFileSync(new URL("../../docs/long.md", import.meta.url), text);
}
process.exitCode = failed > 0 ? 1 : 0;
