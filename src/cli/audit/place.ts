// A machine that is audited: a node of the lab, or this host. Programs are run there by words put before them.
import type { Argv } from "../../sys/ns.ts";
import { run } from "../../sys/exec.ts";

export type Place = {
  readonly node: string;
  /** Words that enter it; none: here. */
  readonly enter: readonly string[];
  readonly env: NodeJS.ProcessEnv;
};

export const commandIn = (place: Place, ...command: [string, ...string[]]): Argv => [...place.enter, ...command] as unknown as Argv;

/** Runs a program there to its end; what it printed. Throws TortieError. */
export async function runIn(place: Place, ...command: [string, ...string[]]): Promise<string> {
  const [file, ...args] = commandIn(place, ...command);
  return (await run(file, args, { env: place.env, timeoutMs: 30_000 })).stdout;
}

/** This program, as it was started. */
export const tortie = (): [string, ...string[]] => [process.execPath, ...process.execArgv, process.argv[1]!];
