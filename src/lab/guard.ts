// Keeps a daemon running: started again whenever it ends, at once after a long life, later and later after short ones.
import { appendFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import type { Backoff } from "../base/backoff.ts";
import { delay } from "../base/backoff.ts";
import { runLogged } from "../sys/child.ts";
import type { Argv } from "../sys/ns.ts";

const RESTART: Backoff = { firstMs: 50, maxMs: 5_000, factor: 3, jitter: 0 };
/** A daemon that lived this long has started well: the next restart is immediate again. */
const SETTLED_MS = 3_000;

export type Daemon = { readonly name: string; readonly argv: Argv; readonly env: NodeJS.ProcessEnv; readonly logFile: string };

/** Runs a daemon for ever. It ends with the lab, by the kernel. */
export async function guard(daemon: Daemon): Promise<never> {
  for (let failures = 0; ; failures++) {
    const from = Date.now();
    const how = await runLogged(daemon.argv, daemon);
    appendFileSync(daemon.logFile, `--- ${new Date().toISOString()} ${daemon.name} ended: ${how}\n`);
    if (Date.now() - from > SETTLED_MS) failures = 0;
    await sleep(delay(RESTART, failures, 0));
  }
}
