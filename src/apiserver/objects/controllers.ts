// What runs beside the requests: it reads and writes as an administrator, from the store's changes. Each part is started and stopped as a whole, so that of
// several servers on one store one runs them.
import type { Kind } from "../../api/kind.ts";
import type { Log } from "../../base/log.ts";
import type { Auditing } from "./controller.ts";
import { keepEventsShort } from "./expiry.ts";
import { GarbageCollector } from "./garbage.ts";
import type { Registry } from "./registry.ts";
import { Termination } from "./termination.ts";
import { keepTidy } from "./tidy.ts";

export type ControllerOptions = Auditing & {
  readonly registry: Registry;
  readonly kinds: readonly Kind[];
  readonly log: Log;
  readonly now: () => number;
};
export type Controllers = {
  /** Resolves when nothing is under way any more. */
  stop(): Promise<void>;
};

/** Starts all of them; resolves when what is there already was looked at. Throws what the store throws: then none of them runs. */
export async function startControllers(options: ControllerOptions): Promise<Controllers> {
  const garbage = new GarbageCollector(options);
  const termination = new Termination(options);
  const stop = async (): Promise<void> => void (await Promise.all([garbage.stop(), termination.stop()]));
  for (const started of await Promise.allSettled([garbage.start(), termination.start()]))
    if (started.status === "rejected") {
      await stop();
      throw started.reason;
    }
  const timers = [keepEventsShort(options), keepTidy(options)];
  return {
    async stop() {
      for (const timer of timers) clearInterval(timer);
      await stop();
    },
  };
}
