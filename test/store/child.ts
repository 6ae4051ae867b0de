// A process of its own that has a store open, to be killed or to meet a disk that fails: a program given as text, on the built files.
import { type ChildProcessByStdio, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable, Writable } from "node:stream";
import { afterEach } from "vitest";

/** The built files. */
export const DIST: string = new URL("../../dist", import.meta.url).pathname;

/** Above every program: `directory`, `openLmdbStore`, `put(key, text, revision?)` on `store`, which the program opens. */
const HEAD = `
import { openLmdbStore, storeFile } from "${DIST}/store/lmdb.js";
import { createInterface } from "node:readline";
import { rmSync, writeFileSync } from "node:fs";
const [directory, ...words] = process.argv.slice(1);
let store;
const say = (value) => process.stdout.write(JSON.stringify(value) + "\\n");
const put = (key, text, revision) =>
  store.commit({ conditions: revision === undefined ? [] : [{ key, revision }], writes: [{ key, value: text === undefined ? undefined : Buffer.from(text) }] });
`;

export type Child = ChildProcessByStdio<Writable, Readable, Readable>;
/** The words that run a program. */
export const words = (program: string, ...args: string[]): string[] => [process.execPath, "--input-type=module", "-e", HEAD + program, ...args];

/** Ends with the test, if not before. */
export function start([command, ...args]: string[]): Child {
  const child = spawn(command!, args, { stdio: ["pipe", "pipe", "pipe"] });
  children.push(child);
  return child;
}

/** What a program said, a value a line, when it has read `input` and has ended by itself. Throws when it did not end well. */
export async function told(command: string[], input = ""): Promise<unknown[]> {
  const child = start(command);
  child.stdin.on("error", () => {});
  child.stdin.end(input);
  let [out, err] = ["", ""];
  child.stdout.on("data", (d: Buffer) => (out += d.toString()));
  child.stderr.on("data", (d: Buffer) => (err += d.toString()));
  const code = await new Promise((resolve) => child.once("close", (status, signal) => resolve(status ?? signal)));
  if (code !== 0) throw new Error(`it ended with ${String(code)}: ${out}${err}`);
  return out
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line) as unknown);
}

/** A directory of the test's own; removed after it. */
export function ownDirectory(): string {
  const path = mkdtempSync(join(tmpdir(), "tortie-store-"));
  made.push(path);
  return path;
}
const made: string[] = [];
const children: Child[] = [];
afterEach(() => {
  for (const child of children.splice(0)) child.kill("SIGKILL");
  for (const path of made.splice(0)) rmSync(path, { recursive: true, force: true });
});
