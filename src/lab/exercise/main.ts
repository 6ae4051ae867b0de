// The reference exercise: its steps in order, and the summary.
import type { RunningLab } from "../enter.ts";
import { tcpdump, view } from "./capture.ts";
import { listening, showconf } from "./device.ts";
import { keys, patch, setting, version } from "./enable.ts";
import { publicEphemeral, staticKey, withKeys } from "./keys.ts";
import { pods } from "./ping.ts";
import { audit, status } from "./proof.ts";
import { Walk } from "./walk.ts";

const STEPS: readonly ((walk: Walk) => Promise<void>)[] = [
  version,
  patch,
  setting,
  keys,
  showconf,
  listening,
  pods,
  tcpdump,
  view,
  staticKey,
  publicEphemeral,
  withKeys,
  audit,
  status,
];

export type ExerciseOptions = {
  readonly write: (text: string) => void;
  readonly colour: boolean;
  /** For captures and keys; removed by the caller. */
  readonly directory: string;
};

/** Walks the exercise in a lab. Every step is tried, also after one that failed; the walk ends early when the lab does. */
export async function exercise(lab: RunningLab, ended: Promise<string>, options: ExerciseOptions): Promise<Pick<Walk, "verdicts" | "figures">> {
  const walk = new Walk(lab, options);
  let over = false;
  const lost = ended.then((words) => void (over || walk.close(words)));
  for (const step of STEPS) {
    await Promise.race([walk.attempt(() => step(walk)), lost]);
    if (walk.closed) break;
  }
  over = true;
  return walk;
}
