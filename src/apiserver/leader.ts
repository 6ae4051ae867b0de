// Which of several servers on one store does what one alone should do (cleaning up, expiring, compacting): the one whose name stands under a key of the
// store. It writes the key again and again; one that has not for LEASE_MS loses it to whoever writes first. No clocks are compared: each server measures
// by its own how long it has seen the key unchanged. A process that was halted in the middle of its duties may go on with them for a moment when another
// one has begun: they must be harmless when two do them.
import { fromUtf8, utf8 } from "../base/bytes.ts";
import { messageOf } from "../base/errors.ts";
import type { Log } from "../base/log.ts";
import type { Store } from "../store/store.ts";

/** Begins what one server alone does; `stop` resolves when nothing of it is under way any more. */
export type Duties = () => Promise<{ stop(): Promise<void> }>;
export interface Leader {
  /** Ends the duties, and leaves them to another server. */
  stop(): Promise<void>;
}

const KEY = "/leader";
const RENEW_MS = 3000;
/** A leader that could not renew stops being one before others may take over. */
const SURE_MS = 7000;
const LEASE_MS = 10_000;

export type Candidate = {
  readonly store: Store;
  /** Differs from every other server's, and from this one's before it was restarted. */
  readonly id: string;
  readonly duties: Duties;
  readonly log: Log;
};

/** For a server that has its store to itself. `failed` is called when the duties cannot be begun. */
export function lead(duties: Duties, log: Log, failed?: () => void): Leader {
  const begun = duties().catch((thrown: unknown): undefined => {
    log.error("what the leader does could not be begun", { error: messageOf(thrown) });
    failed?.();
  });
  return { stop: async () => (await begun)?.stop() };
}

/** Stands for leader from now on, among the servers on one store. */
export function campaign({ store, id, duties, log }: Candidate): Leader {
  let leading: Leader | undefined;
  let unsure: NodeJS.Timeout | undefined;
  /** Revision of the key as it was last seen, and since when. */
  let seen = { revision: -1, since: 0 };
  let stopped = false;

  const turn = async (): Promise<void> => {
    const now = performance.now();
    const held = await store.get(KEY);
    const revision = held?.revision ?? 0;
    if (seen.revision !== revision) seen = { revision, since: performance.now() };
    const free = held === undefined || fromUtf8(held.value) === id || now - seen.since >= LEASE_MS;
    if (!free || stopped) return;
    const written = await store.commit({ conditions: [{ key: KEY, revision }], writes: [{ key: KEY, value: utf8(id) }] });
    // Counted from before the write.
    const left = now + SURE_MS - performance.now();
    if (!written.done || left <= 0 || stopped) return;
    seen = { revision: written.revision, since: now };
    clearTimeout(unsure);
    unsure = setTimeout(() => {
      log.warn("this server does not lead any more");
      void leave();
    }, left);
    if (leading) return;
    log.info("this server leads", { id });
    // Tried again at the next turn.
    const mine = lead(duties, log, () => (leading = leading === mine ? undefined : leading));
    leading = mine;
  };
  const leave = async (): Promise<void> => {
    clearTimeout(unsure);
    const was = leading;
    leading = undefined;
    await was?.stop();
  };
  let running: Promise<void> = Promise.resolve();
  const run = (): void => {
    running = running.then(turn).catch((thrown: unknown) => log.debug("the lead was not renewed", { error: messageOf(thrown) }));
  };
  const timer = setInterval(run, RENEW_MS);
  run();
  return {
    async stop() {
      stopped = true;
      clearInterval(timer);
      await running;
      const led = leading !== undefined;
      await leave();
      if (led) await store.commit({ conditions: [{ key: KEY, revision: seen.revision }], writes: [{ key: KEY, value: undefined }] }).catch(() => {});
    },
  };
}
