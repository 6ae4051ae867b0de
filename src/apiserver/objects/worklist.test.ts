import { expect, test } from "vitest";
import { conflict } from "../../api/status.ts";
import type { Log } from "../../base/log.ts";
import { silent } from "../../base/log.ts";
import { NotYet, Worklist } from "./worklist.ts";

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test("a key that comes again while it is worked on is worked on again, and never twice at a time", async () => {
  let [now, most, runs] = [0, 0, 0];
  const list = new Worklist(async () => {
    most = Math.max(most, ++now);
    runs++;
    await turn();
    now--;
  }, silent);
  list.add("a");
  list.add("a");
  await turn();
  list.add("a");
  list.add("a");
  await list.settled();
  expect([runs, most]).toEqual([2, 1]);
});
test("what fails is tried until it is done, and said once; races and waiting are no failures", async () => {
  const said: unknown[] = [];
  const log: Log = { ...silent, warn: (_message, fields) => said.push(fields) };
  const left: Record<string, unknown[]> = {
    broken: [new Error("disk"), new Error("disk")],
    raced: [conflict({ group: "", plural: "pods" }, "p")],
    waiting: [new NotYet()],
  };
  const done: string[] = [];
  const list = new Worklist(async (key) => {
    const thrown = left[key]!.shift();
    if (thrown instanceof Error) throw thrown;
    done.push(key);
  }, log);
  for (const key of Object.keys(left)) list.add(key);
  await expect.poll(() => done.toSorted()).toEqual(["broken", "raced", "waiting"]);
  expect(said).toEqual([{ key: "broken", error: "disk" }]);
  await list.stop();
});
test("stopping waits for what is under way and begins nothing more", async () => {
  const done: string[] = [];
  const list = new Worklist(async (key) => {
    await turn();
    done.push(key);
    if (key === "a") throw new NotYet();
  }, silent);
  list.add("a");
  await Promise.resolve();
  await Promise.resolve();
  await list.stop();
  expect(done).toEqual(["a"]);
  list.add("b");
  await new Promise((resolve) => setTimeout(resolve, 80));
  expect(done).toEqual(["a"]);
});
