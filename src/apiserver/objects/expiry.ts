// Events are kept for an hour after they were last seen.
import { EVENT, EVENT_TTL_S, type Event } from "../../api/event.ts";
import type { Kind } from "../../api/kind.ts";
import { messageOf } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import { type Auditing, Controller } from "./controller.ts";
import { itemsOf, keyOf, prefixOf, type Registry, targetAt } from "./registry.ts";

const KIND = EVENT as unknown as Kind;
const EVERY_MS = 60_000;
/** Keys in one transaction: fewer than etcd takes. */
const TOGETHER = 100;

type Options = Auditing & { readonly registry: Registry; readonly now: () => number };

export function keepEventsShort({ log, ...options }: Options & { readonly log: Log }): NodeJS.Timeout {
  return setInterval(() => {
    expireEvents(options).catch((thrown: unknown) => log.warn("old events were not removed", { error: messageOf(thrown) }));
  }, EVERY_MS);
}

/** Removes the events that are too old. */
export async function expireEvents({ registry, now, ...auditing }: Options): Promise<void> {
  const own = new Controller("event-expiry", registry, auditing);
  const { items } = await registry.store.range(prefixOf(KIND));
  const old = itemsOf(registry, KIND, items).filter((e) => lastSeen(e as Event, now()) < now() - EVENT_TTL_S * 1000);
  for (let i = 0; i < old.length; i += TOGETHER) {
    const some = old.slice(i, i + TOGETHER).map(({ metadata: m }) => m);
    const conditions = some.map((m) => ({ key: keyOf(KIND, m.namespace ?? "", m.name), revision: Number(m.resourceVersion) }));
    // One that was seen again in this moment spares the others of its round until the next.
    await own.removeTogether(
      some.map((m) => targetAt(KIND, m.namespace ?? "", m.name)),
      async () => (await registry.store.commit({ conditions, writes: conditions.map(({ key }) => ({ key, value: undefined })) })).done,
    );
  }
}

/** In ms. A time that a writer put into the future does not count: it would keep the event for ever. */
function lastSeen(event: Event, now: number): number {
  const times = [event.metadata.creationTimestamp, event.eventTime, event.firstTimestamp, event.lastTimestamp, event.series?.lastObservedTime];
  return Math.max(0, ...times.map((t) => (typeof t === "string" ? Date.parse(t) : NaN)).filter((ms) => ms <= now));
}
