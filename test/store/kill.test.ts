// kill -9 at any moment, 200 times on one store, while it is made, read, written and compacted: what was answered is there, nothing is there by halves.
import { createInterface } from "node:readline";
import { expect, test } from "vitest";
import { historyOf, seeded, type Operation, unexplained, type Seen } from "../../src/store/linear.cases.ts";
import { openLmdbStore, storeFile } from "../../src/store/lmdb.ts";
import { readSnapshot } from "../../src/store/snapshot.ts";
import { type Child, ownDirectory, start, words } from "./child.ts";

const ROUNDS = 200;
const WRITERS = 6;

/** Each writer counts up in two keys, both in one transaction, and says each answer; beside them, history is forgotten and keys come and go. */
const COUNT = `
store = await openLmdbStore(directory, Date.now);
say(["open"]);
const writer = async (w) => {
  let stored = await store.get("/a/" + w);
  for (let n = stored ? Number(stored.value) + 1 : 1; ; n++) {
    const value = Buffer.from(String(n));
    const c = await store.commit({
      conditions: [{ key: "/a/" + w, revision: stored?.revision ?? 0 }],
      writes: [{ key: "/a/" + w, value }, { key: "/b/" + w, value }],
    });
    if (!c.done) throw new Error("refused");
    stored = { revision: c.revision };
    say([w, n, c.revision]);
    if (w === 0) await store.commit({ conditions: [], writes: [{ key: "/large/" + (n % 20), value: n % 3 === 0 ? undefined : Buffer.alloc((n * 997) % 20000) }] });
    if (w === 1 && n % 10 === 0) await store.compact(store.revision - 20);
  }
};
await Promise.all(Array.from({ length: ${WRITERS} }, (_, w) => writer(w)));
`;

test(`${ROUNDS} kills lose nothing that was answered, and leave no transaction by halves`, { timeout: 900_000 }, async () => {
  const directory = ownDirectory();
  const seed = Math.floor(Math.random() * 2 ** 31);
  const random = seeded(seed);
  const answered = Array.from({ length: WRITERS }, () => 0);
  let [highest, early, writes] = [0, 0, 0];
  for (let round = 0; round < ROUNDS; round++) {
    const child = start(words(COUNT, directory));
    const ended = new Promise((resolve) => child.once("close", resolve));
    let err = "";
    child.stderr.on("data", (d: Buffer) => (err += d.toString()));
    const kill = (ms: number): void => void setTimeout(() => child.kill("SIGKILL"), ms);
    // Now and then while it starts, otherwise while it writes.
    const atStart = round % 10 === 0;
    let killed = false;
    if (atStart) kill(60 + random() * 150);
    let rest = "";
    child.stdout.on("data", (d: Buffer) => {
      const lines = (rest + d.toString()).split("\n");
      rest = lines.pop()!;
      for (const line of lines) {
        const [w, n, revision] = JSON.parse(line) as [number | "open", number, number];
        // Every other time only once it has answered: on a busy machine it would otherwise hardly do so.
        if (!atStart && !killed && (w !== "open" || round % 2 === 0)) kill(random() ** 2 * 60);
        killed ||= w !== "open" || round % 2 === 0;
        if (w === "open") continue;
        expect(n, `seed ${seed}, round ${round}`).toBe(answered[w]! + 1);
        answered[w] = n;
        highest = Math.max(highest, revision);
        writes++;
      }
    });
    await ended;
    expect(err).toBe("");
    const snapshot = readSnapshot(storeFile(directory));
    if (!snapshot) {
      // Killed before there was anything.
      expect(answered).toEqual(answered.map(() => 0));
      early++;
      continue;
    }
    const values = new Map([...snapshot.current].map((c) => [c.key, c]));
    for (let w = 0; w < WRITERS; w++) {
      const [a, b] = [values.get(`/a/${w}`), values.get(`/b/${w}`)];
      const n = a ? Number(Buffer.from(a.value).toString()) : 0;
      // What was under way when it died may be there, or not.
      expect([answered[w]!, answered[w]! + 1], `seed ${seed}, round ${round}, writer ${w}`).toContain(n);
      expect([b?.revision, b && Buffer.from(b.value).toString()]).toEqual([a?.revision, a && Buffer.from(a.value).toString()]);
      answered[w] = n;
    }
    expect(snapshot.revision).toBeGreaterThanOrEqual(highest);
    highest = snapshot.revision;
  }
  // It was written to, and the store still works.
  expect(writes).toBeGreaterThan(ROUNDS);
  expect(early).toBeLessThan(ROUNDS / 10);
  const store = await openLmdbStore(directory, Date.now);
  expect(await store.commit({ conditions: [], writes: [{ key: "/end", value: Buffer.from("1") }] })).toEqual({ done: true, revision: highest + 1 });
  await store.close();
});

/** Does what lines of JSON ask for. */
const SERVE = `
store = await openLmdbStore(directory, Date.now);
say({ open: true });
for await (const line of createInterface({ input: process.stdin })) {
  const { id, key, write } = JSON.parse(line);
  const stored = (s) => s && { value: s.value.toString(), revision: s.revision };
  if (write) void put(key, write.value, write.condition).then((c) => say({ id, ...(c.done ? { done: c.revision } : { seen: { stored: stored(c.current) } }) }));
  else void store.get(key).then((s) => say({ id, seen: { stored: stored(s) } }));
}
`;
type Answer = { id: number; done?: number; seen?: { stored: Seen } };

/** A store in a process that is killed and started again; what was asked for when it died is not answered. */
class Server {
  readonly #directory: string;
  readonly #waiting = new Map<number, (answer: Answer | undefined) => void>();
  #child: Child | undefined;
  #id = 0;
  kills = 0;
  constructor(directory: string) {
    this.#directory = directory;
  }
  async start(): Promise<void> {
    const child = start(words(SERVE, this.#directory));
    child.stdin.on("error", () => {});
    await new Promise<void>((resolve) => {
      createInterface({ input: child.stdout }).on("line", (line) => {
        const answer = JSON.parse(line) as Answer & { open?: true };
        if (answer.open) return resolve();
        this.#waiting.get(answer.id)?.(answer);
        this.#waiting.delete(answer.id);
      });
    });
    this.#child = child;
  }
  async kill(): Promise<void> {
    const child = this.#child!;
    this.#child = undefined;
    const ended = new Promise((resolve) => child.once("close", resolve));
    child.kill("SIGKILL");
    await ended;
    this.kills++;
    for (const give of this.#waiting.values()) give(undefined);
    this.#waiting.clear();
  }
  /** Undefined: it died first. */
  async ask(what: object): Promise<Answer | undefined> {
    while (!this.#child) await new Promise((resolve) => setTimeout(resolve, 5));
    const id = ++this.#id;
    const answered = new Promise<Answer | undefined>((resolve) => this.#waiting.set(id, resolve));
    this.#child.stdin.write(`${JSON.stringify({ id, ...what })}\n`);
    return answered;
  }
}

test("create, compare-and-set, delete and get of random clients are linearizable through kills", { timeout: 600_000 }, async () => {
  const directory = ownDirectory();
  const seed = Math.floor(Math.random() * 2 ** 31);
  const random = seeded(seed);
  const server = new Server(directory);
  await server.start();
  const operations: Operation[] = [];
  let clock = 0;
  let over = false;
  const client = async (id: number): Promise<void> => {
    const known = new Map<string, number>();
    for (let i = 0; !over; i++) {
      const key = `/k/${Math.floor(random() * 3)}`;
      const asked = ++clock;
      const what = random();
      const condition = what < 0.5 ? 0 : what < 0.9 ? (known.get(key) ?? 0) : undefined;
      const write = what < 0.3 ? undefined : { value: random() < 0.2 ? undefined : `${id}-${i}`, condition };
      const answer = await server.ask({ key, ...(write ? { write } : {}) });
      const { done, seen } = answer ?? {};
      if (answer || write)
        operations.push({
          key,
          asked,
          answered: answer ? ++clock : Infinity,
          ...(write ? { write } : {}),
          ...(done ? { done } : {}),
          ...(seen ? { seen } : {}),
        });
      known.set(key, write?.value !== undefined && done ? done : (seen?.stored?.revision ?? 0));
    }
  };
  const clients = Array.from({ length: 6 }, (_, id) => client(id));
  // A kill must have met some, and there must be something to judge.
  const enough = (): boolean => server.kills >= 12 && operations.length > 200 && operations.some((o) => o.answered === Infinity);
  while (!over) {
    await new Promise((resolve) => setTimeout(resolve, 20 + random() * 60));
    await server.kill();
    over = enough();
    await server.start();
  }
  await Promise.all(clients);
  await server.kill();
  const store = await openLmdbStore(directory, Date.now);
  const wrong = unexplained(operations, historyOf(store, 1), 1);
  await store.close();
  expect(wrong, `seed ${seed}`).toEqual([]);
});
