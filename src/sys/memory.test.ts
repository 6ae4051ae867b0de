import { readFileSync } from "node:fs";
import { Worker } from "node:worker_threads";
import { expect, test } from "vitest";
import { bind } from "./ffi.ts";
import { release, share } from "./memory.ts";

const memset = bind("uintptr_t memset(uintptr_t, int, size_t)");

test("what foreign functions write at the low address is in the memory, in a worker too, until it is released", async () => {
  const memory = share(200_000);
  const u8 = new Uint8Array(memory.buffer);
  expect(u8.length).toBe(262_144);
  expect(u8.every((b) => b === 0)).toBe(true);
  expect(memory.base).toBeLessThan(2 ** 31);
  memset(memory.base + 70_000, 7, 3);
  expect(Array.from(u8.slice(69_999, 70_004))).toEqual([0, 7, 7, 7, 0]);

  const worker = new Worker(
    "const { parentPort, workerData } = require('node:worker_threads');" +
      "new Uint8Array(workerData.buffer)[5] = 9; parentPort.postMessage(workerData.base)",
    {
      eval: true,
      workerData: memory,
    },
  );
  expect(await new Promise((resolve) => worker.once("message", resolve))).toBe(memory.base);
  expect(u8[5]).toBe(9);
  await worker.terminate();

  const mapped = (): boolean => readFileSync("/proc/self/maps", "utf8").includes(`\n${memory.base.toString(16).padStart(8, "0")}-`);
  expect(mapped()).toBe(true);
  release(memory);
  expect(mapped()).toBe(false);
  u8[5] = 10;
  expect(u8[70_000]).toBe(7);
});

test("memories do not overlap", () => {
  const all = [1, 2, 3].map(() => share(65_536));
  for (const [i, m] of all.entries()) new Uint8Array(m.buffer).fill(i + 1);
  for (const [i, m] of all.entries()) {
    memset(m.base, 0x10 + i, 1);
    const u8 = new Uint8Array(m.buffer);
    expect([u8[0], u8[1], u8.at(-1)]).toEqual([0x10 + i, i + 1, i + 1]);
    release(m);
  }
});
