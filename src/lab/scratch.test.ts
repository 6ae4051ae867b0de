import { existsSync, mkdirSync, rmSync } from "node:fs";
import { expect, onTestFinished, test } from "vitest";
import { makeScratch, sweepScratch } from "./scratch.ts";

test("what a process that is gone left goes; what one that lives has stays, and what one of another PID namespace has", () => {
  const own = makeScratch("audit");
  const [, pid, started, namespace] = /-([0-9]+)-([0-9]+)-([0-9]+)$/.exec(own)!.map(Number);
  const gone = `/tmp/tortie-audit-${pid}-${started! + 1}-${namespace}`;
  const elsewhere = `/tmp/tortie-audit-${pid}-${started! + 1}-${namespace! + 1}`;
  onTestFinished(() => [own, gone, elsewhere].forEach((d) => rmSync(d, { recursive: true, force: true })));
  mkdirSync(gone);
  mkdirSync(elsewhere);
  sweepScratch();
  expect([own, gone, elsewhere].map((d) => existsSync(d))).toEqual([true, false, true]);
});
