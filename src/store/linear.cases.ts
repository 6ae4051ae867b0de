// Whether what clients were told could have happened one after the other, each operation at one moment between its being asked for and its answer.
// The store's own history (every revision, from a watch) is the order that has to explain all answers: so one pass over it decides, without a search.
import { expect, test } from "vitest";
import { fromUtf8 } from "../base/bytes.ts";
import { type MakeStore, put, remove } from "./steps.cases.ts";
import type { Committed, Store, Stored } from "./store.ts";

/** A value as clients see it; undefined: nothing there. */
export type Seen = { readonly value: string; readonly revision: number } | undefined;
/** One key's write under a condition (undefined: none; 0: create) or read. `asked` and `answered` are moments of one clock; never answered: Infinity. */
export type Operation = {
  readonly key: string;
  readonly asked: number;
  readonly answered: number;
  /** Values are told apart: no two writes of a history write the same. undefined deletes. */
  readonly write?: { readonly value: string | undefined; readonly condition: number | undefined };
  /** Of a write: done at a revision. Absent when it was not answered. */
  readonly done?: number;
  /** Of a read, or of a write that was refused: what was there. */
  readonly seen?: { readonly stored: Seen };
};
/** A change as a watch gives it. */
export type Event = { readonly key: string; readonly revision: number; readonly value: string | undefined };

/** Why the history does not explain the answers: nothing when it does. `start` is the revision before its first event, where nothing was there. */
export function unexplained(operations: readonly Operation[], history: readonly Event[], start: number): string[] {
  const wrong: string[] = [];
  const say = (o: Operation, why: string): void => void wrong.push(`${JSON.stringify(o)}: ${why}`);
  const byKey = new Map<string, Event[]>();
  for (const e of history) byKey.set(e.key, [...(byKey.get(e.key) ?? []), e]);
  const at = new Map(history.map((e) => [`${e.key}@${e.revision}`, e]));
  const writers = new Map(operations.filter((o) => o.write?.value !== undefined).map((o) => [o.write!.value!, o]));
  const before = (key: string, revision: number): Event | undefined => byKey.get(key)?.findLast((e) => e.revision < revision);

  // Every event is somebody's write, and held its condition.
  const used = new Set<Operation>();
  for (const e of history) {
    const previous = before(e.key, e.revision);
    const there = previous?.value === undefined ? 0 : previous.revision;
    // A deletion has no value to know it by, least of all one that was not answered: any that could have been done here will do.
    const deletion = (done: number | undefined): Operation | undefined =>
      operations.find(
        (o) =>
          o.key === e.key &&
          o.write &&
          o.write.value === undefined &&
          o.done === done &&
          !o.seen &&
          !used.has(o) &&
          (o.write.condition ?? there) === there,
      );
    const writer = e.value === undefined ? (deletion(e.revision) ?? deletion(undefined)) : writers.get(e.value);
    if (!writer || writer.key !== e.key || used.has(writer)) {
      wrong.push(`${JSON.stringify(e)}: ${writer ? "was written twice" : "nobody wrote this"}`);
      continue;
    }
    used.add(writer);
    if (writer.write!.condition !== undefined && writer.write!.condition !== there)
      say(writer, `done at ${e.revision}, where revision ${there} was there`);
    if (writer.seen) say(writer, "was refused, and done");
  }

  // The floor of an operation: the newest revision that was told to anybody before it was asked for. Its ceiling: the oldest given to what was asked for
  // after its answer.
  const told = operations
    .filter((o) => o.done !== undefined || o.seen)
    .map((o) => ({ when: o.answered, revision: o.done ?? o.seen!.stored?.revision ?? start }));
  const floor = (o: Operation): number => Math.max(start, ...told.filter((t) => t.when < o.asked).map((t) => t.revision));
  const ceiling = (o: Operation): number =>
    Math.min(Infinity, ...operations.filter((w) => w.asked > o.answered && w.done !== undefined && used.has(w)).map((w) => w.done!));

  for (const o of operations) {
    if (o.done !== undefined) {
      const e = at.get(`${o.key}@${o.done}`);
      const nothing = o.write!.value === undefined && !e;
      if (nothing) {
        // A deletion of what was not there changes nothing: it tells the state that it found.
        if (before(o.key, o.done + 1)?.value !== undefined) say(o, `did not delete what was there at ${o.done}`);
      } else if (!e || e.value !== o.write!.value) say(o, "is not in the history");
      if (o.done < floor(o)) say(o, `was done at ${o.done}, after ${floor(o)} had been told`);
    }
    if (o.seen) {
      const { stored } = o.seen;
      if (stored && at.get(`${o.key}@${stored.revision}`)?.value !== stored.value) {
        say(o, "saw what never was");
        continue;
      }
      // What was seen held from `from` up to `to`, both known from the history; some moment of that must lie between floor and ceiling.
      const all = byKey.get(o.key) ?? [];
      const spans = stored ? [stored.revision] : [start, ...all.filter((e) => e.value === undefined).map((e) => e.revision)];
      const held = spans.some((from) => {
        const to = all.find((e) => e.revision > from)?.revision ?? Infinity;
        return from < ceiling(o) && to > floor(o);
      });
      if (!held) say(o, `saw a state that did not hold between ${floor(o)} and ${ceiling(o)}`);
      if (o.write && o.write.condition === (stored?.revision ?? 0)) say(o, "was refused although its condition held");
    }
  }
  return wrong;
}

const seenOf = (s: Stored | undefined): Seen => s && { value: fromUtf8(s.value), revision: s.revision };
export const seenBy = (c: Committed): Pick<Operation, "done" | "seen"> => (c.done ? { done: c.revision } : { seen: { stored: seenOf(c.current) } });

/** The events of a store after `start`. */
export function historyOf(store: Store, start: number): Event[] {
  const events: Event[] = [];
  store.watch("", start, (changes) => {
    for (const { key, revision, value } of changes) events.push({ key, revision, value: value && fromUtf8(value) });
  })();
  return events;
}

/** Operations of `clients` random clients on `keys` keys, `count` each. `random` gives numbers in [0, 1). */
export async function randomClients(store: Store, clients: number, count: number, keys: number, random: () => number): Promise<Operation[]> {
  const operations: Operation[] = [];
  let clock = 0;
  const client = async (id: number): Promise<void> => {
    const known = new Map<string, number>();
    for (let i = 0; i < count; i++) {
      const key = `/k/${Math.floor(random() * keys)}`;
      const asked = ++clock;
      const what = random();
      if (what < 0.3) {
        const stored = seenOf(await store.get(key));
        known.set(key, stored?.revision ?? 0);
        operations.push({ key, asked, answered: ++clock, seen: { stored } });
        continue;
      }
      const condition = what < 0.5 ? 0 : what < 0.9 ? (known.get(key) ?? 0) : undefined;
      const value = random() < 0.2 ? undefined : `${id}-${i}`;
      const c = value === undefined ? await remove(store, key, condition) : await put(store, key, value, condition);
      operations.push({ key, asked, answered: ++clock, write: { value, condition }, ...seenBy(c) });
      known.set(key, c.done ? (value === undefined ? 0 : c.revision) : (c.current?.revision ?? 0));
    }
  };
  await Promise.all(Array.from({ length: clients }, (_, id) => client(id)));
  return operations;
}

/** Mulberry32. */
export function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

export function linearCases(make: MakeStore): void {
  test("create, compare-and-set, delete and get of random clients are linearizable, each key and all together", async () => {
    for (let round = 0; round < 5; round++) {
      const seed = Math.floor(Math.random() * 2 ** 31);
      const { store, done } = await make();
      const start = store.revision;
      const operations = await randomClients(store, 8, 25, 3, seeded(seed));
      const wrong = unexplained(operations, historyOf(store, start), start);
      await done();
      expect(wrong, `seed ${seed}`).toEqual([]);
      expect(operations.filter((o) => o.seen && o.write).length, `seed ${seed}: refusals`).toBeGreaterThan(0);
    }
  });
}
