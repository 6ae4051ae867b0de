import { execFileSync } from "node:child_process";
import {
  closeSync,
  constants,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  rmSync,
  statSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
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

test("lines are kept whole and in order over rotation and a restart; the oldest file goes; nobody else may read", () => {
  const path = join(directory, "audit.log");
  const line = (n: number): string => `${String(n).padStart(4, "0")} ${"x".repeat(45)}`;
  for (const [from, to] of [
    [0, 30],
    [30, 100],
  ] as const) {
    const file = new AuditFile({ path, maxBytes: 520, keep: 4, log: quiet().log });
    for (let n = from; n < to; n++) file.write(line(n));
    file.close();
  }
  expect(readdirSync(directory).toSorted()).toEqual(["audit.log", "audit.log.1", "audit.log.2", "audit.log.3"]);
  const kept = ["audit.log.3", "audit.log.2", "audit.log.1", "audit.log"].map((name) => readFileSync(join(directory, name), "utf8"));
  const numbers = kept.join("").trimEnd().split("\n").map(Number.parseFloat);
  expect(numbers.at(-1)).toBe(99);
  expect(numbers).toEqual(Array.from({ length: numbers.length }, (_, i) => 100 - numbers.length + i));
  expect(statSync(path).mode & 0o077).toBe(0);
});

test("a file that cannot be written is known before the first line is lost, and said once", () => {
  const { log, said } = quiet();
  const path = join(directory, "missing", "audit.log");
  const file = new AuditFile({ path, maxBytes: 1_000_000, keep: 2, log });
  file.begin();
  expect(file.failure).toBe("no such file or directory");
  file.write("a");
  expect(said).toEqual([`error the audit log cannot be written {"path":${JSON.stringify(path)},"error":"no such file or directory"}`]);
});

test("what a kill -9 cut off does not spoil the next line", () => {
  const path = join(directory, "audit.log");
  writeFileSync(path, "whole\nhal");
  const file = new AuditFile({ path, maxBytes: 1_000_000, keep: 2, log: quiet().log });
  file.write("a");
  file.write("b");
  file.close();
  expect(readFileSync(path, "utf8")).toBe("whole\nhal\na\nb\n");
});

test("one file alone begins anew", () => {
  const path = join(directory, "audit.log");
  const file = new AuditFile({ path, maxBytes: 10, keep: 1, log: quiet().log });
  for (const text of ["first first", "second"]) file.write(text);
  file.close();
  expect([readdirSync(directory), readFileSync(path, "utf8")]).toEqual([["audit.log"], "second\n"]);
});

test("a line is in the file when `write` returns", () => {
  const path = join(directory, "audit.log");
  const file = new AuditFile({ path, maxBytes: 1_000_000, keep: 2, log: quiet().log });
  file.write("a");
  expect(readFileSync(path, "utf8")).toBe("a\n");
  file.close();
});

test("a full disk is said once, and its end with what was lost", () => {
  const path = join(directory, "audit.log");
  symlinkSync("/dev/full", path);
  const { log, said } = quiet();
  const file = new AuditFile({ path, maxBytes: 1_000_000, keep: 2, log });
  for (const text of ["a", "b"]) file.write(text);
  expect(file.failure).toMatch(/no space left/);
  unlinkSync(path);
  file.write("c");
  file.close();
  expect([file.failure, readFileSync(path, "utf8")]).toEqual([undefined, "c\n"]);
  expect(said).toEqual([
    expect.stringMatching(/^error the audit log cannot be written .*no space left/),
    expect.stringMatching(/^warn the audit log is written again .*"lost":2/),
  ]);
});

test("a pipe that nobody reads is not waited for; what was cut off in it does not spoil the next line", () => {
  const path = join(directory, "audit.log");
  execFileSync("mkfifo", [path]);
  const { log, said } = quiet();
  const file = new AuditFile({ path, maxBytes: 1_000_000_000, keep: 2, log });
  file.write("nobody has opened it");
  expect(file.failure).toMatch(/no such device/i);
  const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  const taken: string[] = [];
  const take = (): void => {
    const buffer = Buffer.alloc(1 << 20);
    taken.push(buffer.toString("utf8", 0, readSync(reader, buffer)));
  };
  // Longer than a pipe holds: a part of it goes in.
  file.write("x".repeat(200_000));
  expect(file.failure).toMatch(/temporarily unavailable|try again/i);
  take();
  file.write("whole");
  take();
  file.close();
  closeSync(reader);
  expect(file.failure).toBe(undefined);
  expect(taken.join("").split("\n").slice(1)).toEqual(["whole", ""]);
  expect(said).toHaveLength(2);
});
