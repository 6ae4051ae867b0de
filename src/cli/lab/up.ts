// tortie lab up, down and status.
import { TortieError } from "../../base/errors.ts";
import { findLab, labOf, type RunningLab, STATE_DIRECTORY } from "../../lab/enter.ts";
import { startLab } from "../../lab/handle.ts";
import { requireMachine } from "../../lab/requirements.ts";
import { sweepScratch } from "../../lab/scratch.ts";
import { claim, current, publish, removeState } from "../../lab/state.ts";
import { isAlive } from "../../sys/ns.ts";
import { killTree } from "../../sys/tree.ts";

const print = (text: string): void => void process.stdout.write(`${text}\n`);

/** Starts the lab and leaves it running; a second time says that it is. */
export async function up(main: string): Promise<number> {
  await requireMachine();
  const living = claim();
  if (living) {
    if (living.phase === "starting") throw new TortieError(`Cannot start the lab: another command is starting it (process ${living.pid})`);
    print("The lab is up already.\n");
    print(howToReach(labOf(living.pid)));
    return 0;
  }
  process.once("SIGINT", () => process.exit(130)).once("SIGTERM", () => process.exit(143));
  // Before detach() the lab ends with this process; what is left is the claim.
  const unclaim = (): void => removeState();
  process.on("exit", unclaim);
  const handle = await startLab({ main, outlives: true, onStage: (stage, ms) => print(`  ${(ms / 1000).toFixed(1).padStart(5)} s  ${stage}`) });
  publish(handle.init);
  process.off("exit", unclaim);
  handle.detach();
  print(`\nThe lab is up after ${(handle.bringUpMs / 1000).toFixed(1)} s.\n`);
  print(howToReach(handle.lab));
  return 0;
}

/** Ends the lab; removes what a killed one left. */
export async function down(): Promise<number> {
  const state = current();
  if (state && !(await killTree(state))) throw new TortieError(`Cannot end the lab: its init, process ${state.pid}, is still there`);
  removeState();
  sweepScratch();
  print(state ? "The lab is down." : "No lab was up.");
  return 0;
}

/** Exit code 0 when a lab is up, 3 when not. */
export async function status(): Promise<number> {
  const lab = findLab();
  print(lab && isAlive(current() ?? { pid: 0, startTime: "" }) ? howToReach(lab) : "No lab is up. tortie lab up starts one.");
  return lab ? 0 : 3;
}

function howToReach(lab: RunningLab | undefined): string {
  if (!lab) return "";
  const nodes = lab.nodes.map((n) => `  ${n.name.padEnd(8)} ${n.address.padEnd(16)} tortie lab shell ${n.name}`);
  const pods = lab.pods.map((p) => `  ${p.name.padEnd(8)} ${p.address.padEnd(16)} tortie lab exec ${p.name} -- sh     (on ${p.node})`);
  return [
    "nodes",
    ...nodes,
    "pods",
    ...pods,
    `API      ${STATE_DIRECTORY}/api.sock (tortie finds it by itself: tortie status)`,
    `logs     ${STATE_DIRECTORY}/log/`,
    "",
    'Switch encryption on:  tortie patch felixconfiguration default --type=merge -p \'{"spec":{"wireguardEnabled":true}}\'',
    "Watch it:              tortie status",
    "End it:                tortie lab down",
  ].join("\n");
}
