import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { holdDirectory } from "./hold.ts";

let directory: string;
beforeEach(() => void (directory = mkdtempSync(join(tmpdir(), "tortie-hold-"))));
afterEach(() => rmSync(directory, { recursive: true }));

const holderLine = (pid: number): string => {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  return `${pid} ${stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19]}`;
};

test("one holder; given back, the directory is free", () => {
  const release = holdDirectory(directory);
  expect(() => holdDirectory(directory)).toThrow(`the server with pid ${process.pid} uses it`);
  release();
  expect(readdirSync(directory)).toEqual([]);
  holdDirectory(directory)();
});

test("a holder that is gone, or never was one, holds nothing", () => {
  for (const holder of ["", "what", "4194304 1", `${process.pid} 1`]) {
    writeFileSync(join(directory, "holder"), holder);
    holdDirectory(directory)();
  }
});

test("a holder that was killed and waits for its parent holds nothing", async () => {
  // The shell's child ends; the shell, stopped, does not ask about it.
  const shell = spawn("sh", ["-c", "sleep 1 & echo $!; kill -STOP $$"], { stdio: ["ignore", "pipe", "ignore"] });
  try {
    const pid = Number(await new Promise<string>((resolve) => shell.stdout.once("data", (d: Buffer) => resolve(d.toString()))));
    writeFileSync(join(directory, "holder"), holderLine(pid));
    while (!/\) Z /.test(readFileSync(`/proc/${pid}/stat`, "utf8"))) await new Promise((resolve) => setTimeout(resolve, 20));
    holdDirectory(directory)();
  } finally {
    shell.kill("SIGKILL");
  }
});

test("a holder that is just going is waited for", async () => {
  const child = spawn("sleep", ["0.2"]);
  await new Promise((resolve) => child.once("spawn", resolve));
  writeFileSync(join(directory, "holder"), holderLine(child.pid!));
  holdDirectory(directory)();
});
