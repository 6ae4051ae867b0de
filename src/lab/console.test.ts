import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { expect, onTestFinished, test } from "vitest";
import { readLog } from "../agent/podlog.ts";
import { randomOf } from "../base/random.cases.ts";
import { keepLog, readPipe } from "./console.ts";

function kept(): { path: string; output: PassThrough } {
  const directory = mkdtempSync(join(tmpdir(), "tortie-console-"));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  const [path, output] = [join(directory, "p.log"), new PassThrough()];
  keepLog(path, output, () => Date.parse("2026-11-23T12:00:00Z"));
  return { path, output };
}
async function read(path: string): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const piece of readLog(path, {}, 0, new AbortController().signal)) pieces.push(piece);
  return Buffer.concat(pieces);
}

test("a line an entry, and one that is not whole is waited for", async () => {
  const { path, output } = kept();
  for (const text of ["on", "e\ntwo\nthr"]) output.write(text);
  const lines = ["one", "two"].map((l) => `2026-11-23T12:00:00.000Z stdout F ${l}\n`).join("");
  await expect.poll(() => readFileSync(path, { encoding: "utf8", flag: "a+" })).toBe(lines);
});

test("a named pipe goes on after its writers have gone", async () => {
  const directory = mkdtempSync(join(tmpdir(), "tortie-console-"));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  const pipe = join(directory, "pipe");
  execFileSync("mkfifo", [pipe]);
  const from = readPipe(pipe);
  onTestFinished(() => void from.destroy());
  let text = "";
  from.on("data", (d: Buffer) => (text += d.toString()));
  for (const word of ["one", "two"]) {
    execFileSync("sh", ["-c", `echo ${word} >${pipe}`]);
    await expect.poll(() => text).toMatch(new RegExp(`${word}\n$`));
  }
  expect(text).toBe("one\ntwo\n");
});

test("whatever is written, in whatever pieces, is what is read", async () => {
  const seed = Math.floor(Math.random() * 2 ** 32);
  const next = randomOf(seed);
  const random = (below: number): number => Math.floor(next() * below);
  const text = Buffer.from(Array.from({ length: 300_000 }, () => (random(3000) === 0 ? 10 : random(256))).concat(10));
  const { path, output } = kept();
  for (let at = 0; at < text.length;) {
    const size = 1 + random(40_000);
    output.write(text.subarray(at, at + size));
    at += size;
  }
  await expect.poll(async () => (await read(path)).equals(text), { message: `seed ${seed}` }).toBe(true);
});

test("it does not grow without end: the older half is put aside, and then goes", async () => {
  const { path, output } = kept();
  const line = `${"x".repeat(1000)}\n`;
  for (let i = 0; i < 100; i++) output.write(line.repeat(100));
  await expect.poll(() => existsSync(`${path}.1`) && output.readableLength === 0).toBe(true);
  const [now, before] = [readFileSync(path), readFileSync(`${path}.1`)];
  expect(Math.max(now.length, before.length)).toBeLessThanOrEqual(4 << 20);
  expect(now.length + before.length).toBeGreaterThan(4 << 20);
});
