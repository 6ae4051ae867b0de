// tortie lab exercise: a lab of its own, the walk, the summary; and cleaning up on every way out.
import { cpSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { messageOf } from "../../base/errors.ts";
import { INSIDE } from "../../lab/enter.ts";
import { exercise } from "../../lab/exercise/main.ts";
import type { Verdict } from "../../lab/exercise/walk.ts";
import { startLab } from "../../lab/handle.ts";
import { requireMachine } from "../../lab/requirements.ts";
import { makeScratch } from "../../lab/scratch.ts";
import { current, removeState } from "../../lab/state.ts";
import type { ProcessId } from "../../sys/ns.ts";
import { killTree } from "../../sys/tree.ts";

/** After a signal the steps under way fail, because their lab goes: that is no verdict. */
let stopped = false;
const write = (text: string): void => void (stopped || process.stdout.write(text));

/** Exit code 0 when every step passed. */
export async function exerciseCommand(main: string, options: { save?: string }): Promise<number> {
  await requireMachine();
  const from = performance.now();
  if (current()) write("(a lab is up already; the exercise uses one of its own and leaves that one alone)\n");
  // What a killed `lab up` left behind.
  else removeState();
  const directory = makeScratch("exercise");
  let init: ProcessId | undefined;
  // Also when the reader of our output goes away; the lab itself ends with this process in any case.
  process.once("exit", () => rmSync(directory, { recursive: true, force: true }));
  const clear = async (): Promise<void> => void (init && (await killTree(init)));
  for (const [signal, code] of [
    ["SIGINT", 130],
    ["SIGTERM", 143],
    ["SIGHUP", 129],
  ] as const)
    // A second one, of an impatient person, finds the cleaning under way.
    process.on(signal, () => {
      write("\nStopped: the lab is being removed.\n");
      stopped = true;
      void clear().finally(() => process.exit(code));
    });
  try {
    write("Four nodes, three pods, a router, an API server and an agent a node, all in namespaces that go when this ends:\n");
    const handle = await startLab({
      main,
      outlives: false,
      onInit: (id) => (init = id),
      onStage: (stage, ms) => write(`  ${seconds(ms)}  ${stage}\n`),
    });
    const result = await exercise(handle.lab, handle.ended, { write, colour: process.stdout.isTTY && process.env.NO_COLOR === undefined, directory });
    if (options.save !== undefined) {
      mkdirSync(options.save, { recursive: true });
      cpSync(directory, options.save, { recursive: true });
      write(`\nCaptures and keys are in ${options.save}.\n`);
    }
    const failed = result.verdicts.filter((v) => v.ok === false);
    if (failed.length > 0) showLogs(handle.lab.root);
    summary(result.verdicts, [
      ["bring-up of the lab", seconds(handle.bringUpMs).trim()],
      ...result.figures,
      ["in all", seconds(performance.now() - from).trim()],
    ]);
    return failed.length > 0 ? 1 : 0;
  } finally {
    await clear();
  }
}

const seconds = (ms: number): string => `${(ms / 1000).toFixed(1).padStart(5)} s`;

function summary(verdicts: readonly Verdict[], figures: readonly (readonly [string, string])[]): void {
  const width = Math.max(...figures.map(([what]) => what.length));
  const count = (ok: Verdict["ok"]): number => verdicts.filter((v) => v.ok === ok).length;
  write(`\n${figures.map(([what, figure]) => `  ${what.padEnd(width)}  ${figure}\n`).join("")}\n`);
  for (const [ok, word] of [
    [false, "FAIL"],
    ["slow", "slow"],
  ] as const)
    for (const v of verdicts.filter((x) => x.ok === ok)) write(`  ${word}  step ${v.step}: ${v.claim}\n`);
  const steps = new Set(verdicts.map((v) => v.step)).size;
  write(
    `${count(false) === 0 ? "PASSED" : "FAILED"}: ${steps} steps, ${count(true)} verdicts ok, ${count(false)} failed, ${count("skipped")} skipped${count("slow") > 0 ? `, ${count("slow")} slow` : ""}\n`,
  );
}

/** The ends of the daemons' logs: they go with the lab. */
function showLogs(root: string): void {
  for (const name of ["server", "agent-k8s-m", "agent-k8s-w1"]) {
    try {
      const lines = readFileSync(join(root, INSIDE.logs, name), "utf8")
        .trimEnd()
        .split("\n")
        .slice(-8);
      write(`\n--- log of ${name}, its last lines\n${lines.join("\n")}\n`);
    } catch (thrown) {
      write(`\n--- log of ${name}: ${messageOf(thrown)}\n`);
    }
  }
}
