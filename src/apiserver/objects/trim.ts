// How much history the store keeps: five minutes, but at least a thousand transactions and at most twenty thousand. Watchers that come later than that
// start over (410).
import { messageOf } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import type { Store } from "../../store/store.ts";

const EVERY_MS = 30_000;
const AGE_MS = 300_000;
const KEEP = 1000;
const MOST = 20_000;

export function keepTrimmed(store: Store, log: Log): NodeJS.Timeout {
  return setInterval(() => {
    const revision = store.compactable(AGE_MS, KEEP, MOST);
    if (revision !== undefined) store.compact(revision).catch((thrown: unknown) => log.warn("history was not trimmed", { error: messageOf(thrown) }));
  }, EVERY_MS);
}
