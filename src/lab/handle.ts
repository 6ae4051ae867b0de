// The lab from outside: starting it with or without a life of its own, and ending it.
import type { ChildProcess } from "node:child_process";
import { existsSync, realpathSync } from "node:fs";
import { createRequire } from "node:module";
import { delimiter, dirname, isAbsolute } from "node:path";
import { TortieError } from "../base/errors.ts";
import { type ProcessId } from "../sys/ns.ts";
import { initOf, killTree, startTree } from "../sys/tree.ts";
import { decoder, encode, type Order, type Report } from "./channel.ts";
import { labOf, PROGRAMS, type RunningLab } from "./enter.ts";
import { KEEP, labMounts } from "./mounts.ts";
import { CLUSTER } from "./model.ts";

export type LabHandle = {
  readonly lab: RunningLab;
  readonly init: ProcessId;
  /** Milliseconds from the supervisor's start until everything stood. */
  readonly bringUpMs: number;
  /** Resolves when the lab has ended, however it did, with its last words. */
  readonly ended: Promise<string>;
  /** The lab lives on when this command ends. */
  detach(): void;
  /** Kills the lab and waits until the kernel has cleared it. */
  stop(): Promise<void>;
};

export type StartOptions = {
  /** Path of the built program (dist/cli/main.js). */
  readonly main: string;
  /** The lab is meant to live on: it still ends with this process until detach() is called, and not after. */
  readonly outlives: boolean;
  readonly onStage?: (stage: string, ms: number) => void;
  /** Called as soon as there is something to clean up: before anything else is made. */
  readonly onInit?: (init: ProcessId) => void;
};

/** Starts a lab; resolves when it stands. It ends with the calling process until detach() is called. Throws TortieError when it cannot be built. */
export async function startLab(options: StartOptions): Promise<LabHandle> {
  const { main } = options;
  const ours = [dirname(dirname(dirname(main))), ...librariesOf(main), dirname(process.execPath), ...Object.values(PROGRAMS)];
  const keep = [...ours, ...(process.env.PATH ?? "").split(delimiter)].filter((p) => isAbsolute(p));
  const tree = startTree({
    setup: labMounts(CLUSTER.nodes),
    main: [process.execPath, main, "lab", "supervise"],
    stdio: ["pipe", "pipe", "pipe"],
    env: { ...process.env, TORTIE_LAB: "1", [KEEP]: keep.join("\n") },
    dieWithCaller: !options.outlives,
  });
  let words = "";
  tree.stderr!.setEncoding("utf8").on("data", (chunk: string) => (words = (words + chunk).slice(-4_000)));
  const ended = new Promise<string>((resolve) => tree.once("close", () => resolve(words.trim())));
  const standing = ready(tree, options.onStage ?? (() => {}), ended);
  // Its failure is the reason also for what fails before it is awaited.
  standing.catch(() => {});
  const init = await initOf(tree).catch(() => standing.then(() => Promise.reject(new TortieError("Cannot start the lab: it ended at once"))));
  try {
    options.onInit?.(init);
    const bringUpMs = await standing;
    const lab = labOf(init.pid);
    if (!lab) throw new TortieError("Cannot find the lab that was just started: its init is gone");
    return { lab, init, bringUpMs, ended, detach: () => detach(tree), stop: async () => void (await killTree(init)) };
  } catch (thrown) {
    await killTree(init);
    throw thrown;
  }
}

/** The directories in which Node looks for what the program imports: its own node_modules, or one further up where it is installed as a dependency. */
function librariesOf(main: string): string[] {
  const places = createRequire(main).resolve.paths("koffi") ?? [];
  return places.filter((p) => existsSync(p)).map((p) => realpathSync(p));
}

function ready(tree: ChildProcess, onStage: (stage: string, ms: number) => void, ended: Promise<string>): Promise<number> {
  return new Promise((resolve, reject) => {
    void ended.then((words) => reject(new TortieError(`Cannot start the lab: it ended before it stood${words && `:\n${words}`}`)));
    tree.stdout!.setEncoding("utf8").on(
      "data",
      decoder<Report>((message) => {
        if ("stage" in message) onStage(message.stage, message.ms);
        else if ("ready" in message) resolve(message.ms);
        else reject(new TortieError(`Cannot start the lab: ${message.failed}`, { hint: message.hint }));
      }),
    );
  });
}

function detach(tree: ChildProcess): void {
  const order: Order = { keep: true };
  tree.stdin!.end(encode(order));
  tree.stdout!.destroy();
  tree.stderr!.destroy();
  tree.unref();
}
