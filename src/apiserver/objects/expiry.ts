// Events are kept for an hour after they were last seen.
import { EVENT, EVENT_TTL_S, type Event } from "../../api/event.ts";
import type { Kind } from "../../api/kind.ts";
import { messageOf } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import { itemsOf, keyOf, prefixOf, type Registry } from "./registry.ts";

const KIND = EVENT as unknown as Kind;
const EVERY_MS = 60_000;
/** Keys in one transaction: fewer than etcd takes. */
const TOGETHER = 100;

type Options = { readonly registry: Registry; readonly now: () => number; readonly log: Log };

export function keepEventsShort(options: Options): NodeJS.Timeout {
  return setInterval(() => {
    expireEvents(options).catch((thrown: unknown) => options.log.warn("old events were not removed", { error: messageOf(thrown) }));
  }, EVERY_MS);
}

/** Removes the events that are too old. */
export async function expireEvents({ registry, now }: Options): Promise<void> {
  const { items } = await registry.store.range(prefixOf(KIND));
  const old = itemsOf(registry, KIND, items).filter((e) => lastSeen(e as Event, now()) < now() - EVENT_TTL_S * 1000);
  for (let i = 0; i < old.length; i += TOGETHER) {
    const some = old
      .slice(i, i + TOGETHER)
      .map(({ metadata: m }) => ({ key: keyOf(KIND, m.namespace ?? "", m.name), revision: Number(m.resourceVersion) }));
    // One that was seen again in this moment spares the others of its round until the next.
    await registry.store.commit({ conditions: some, writes: some.map(({ key }) => ({ key, value: undefined })) });
  }
}

/** In ms. A time that a writer put into the future does not count: it would keep the event for ever. */
function lastSeen(event: Event, now: number): number {
  const times = [event.metadata.creationTimestamp, event.eventTime, event.firstTimestamp, event.lastTimestamp, event.series?.lastObservedTime];
  return Math.max(0, ...times.map((t) => (typeof t === "string" ? Date.parse(t) : NaN)).filter((ms) => ms <= now));
}
