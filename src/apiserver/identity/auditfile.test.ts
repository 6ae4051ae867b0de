import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, unlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { Log } from "../../base/log.ts";
import { AuditFile } from "./auditfile.ts";

let directory: string;
beforeEach(() => void (directory = mkdtempSync(join(tmpdir(), "tortie-audit-file-"))));
afterEach(() => rmSync(directory, { recursive: true }));

function quiet(): { log: Log; said: string[] } {
  const said: string[] = [];
  const say =
    (level: string) =>
    (message: string, fields?: object): void =>
      void said.push(`${level} ${message} ${JSON.stringify(fields)}`);
  return { said, log: { debug: say("debug"), info: say("info"), warn: say("warn"), error: say("error") } };
}

test("lines are kept whole and in order over rotation and a restart; the oldest file goes; nobody else may read", async () => {
  const path = join(directory, "audit.log");
  const line = (n: number): string => `${String(n).padStart(4, "0")} ${"x".repeat(45)}`;
  for (const [from, to] of [
    [0, 30],
    [30, 100],
  ] as const) {
    const file = new AuditFile({ path, maxBytes: 520, keep: 4, log: quiet().log });
    for (let n = from; n < to; n++) {
      file.write(line(n));
      if (n % 3 === 0) await sleep(0);
    }
    await file.close();
  }
  expect(readdirSync(directory).toSorted()).toEqual(["audit.log", "audit.log.1", "audit.log.2", "audit.log.3"]);
  const kept = ["audit.log.3", "audit.log.2", "audit.log.1", "audit.log"].map((name) => readFileSync(join(directory, name), "utf8"));
  const numbers = kept.join("").trimEnd().split("\n").map(Number.parseFloat);
  expect(numbers.at(-1)).toBe(99);
  expect(numbers).toEqual(Array.from({ length: numbers.length }, (_, i) => 100 - numbers.length + i));
  expect(statSync(path).mode & 0o077).toBe(0);
});

test("one file alone begins anew", async () => {
  const path = join(directory, "audit.log");
  const file = new AuditFile({ path, maxBytes: 10, keep: 1, log: quiet().log });
  for (const text of ["first first", "second"]) {
    file.write(text);
    await sleep(20);
  }
  await file.close();
  expect([readdirSync(directory), readFileSync(path, "utf8")]).toEqual([["audit.log"], "second\n"]);
});

test("a full disk is said once, and its end with what was lost; nobody waits", async () => {
  const path = join(directory, "audit.log");
  symlinkSync("/dev/full", path);
  const { log, said } = quiet();
  const file = new AuditFile({ path, maxBytes: 1_000_000, keep: 2, log });
  for (const text of ["a", "b"]) {
    file.write(text);
    await sleep(20);
  }
  expect(file.failure).toMatch(/no space left/);
  unlinkSync(path);
  file.write("c");
  await file.close();
  expect([file.failure, readFileSync(path, "utf8")]).toEqual([undefined, "c\n"]);
  expect(said).toEqual([
    expect.stringMatching(/^error the audit log cannot be written .*no space left/),
    expect.stringMatching(/^warn the audit log is written again .*"lost":2/),
  ]);
});
