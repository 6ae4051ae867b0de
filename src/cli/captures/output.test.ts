import { chownSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { OutputFile } from "./output.ts";

let directory: string;
beforeAll(() => (directory = mkdtempSync(join(tmpdir(), "tortie-output-"))));
afterAll(() => rmSync(directory, { recursive: true, force: true }));
const older = (name: string): string => {
  writeFileSync(join(directory, name), "what was there before", { mode: 0o644 });
  return join(directory, name);
};

test("an older file is emptied, and nobody else may read it from then on", () => {
  const path = older("own");
  const file = new OutputFile(path);
  file.write(Uint8Array.of(1, 2, 3));
  file.close();
  expect([...readFileSync(path)]).toEqual([1, 2, 3]);
  expect(statSync(path).mode & 0o777).toBe(0o600);
});

test.skipIf(process.geteuid!() !== 0)("another user's file is refused and left as it is", () => {
  const path = older("foreign");
  chownSync(path, 12345, 12345);
  expect(() => new OutputFile(path)).toThrow(/belongs to another user/);
  expect(readFileSync(path, "utf8")).toBe("what was there before");
});
