// `npm ci` refuses a lock file that leaves out a platform's package. npm leaves one out when the registry it asked did not have that version at hand, so a lock
// file that was good where it was made can be refused elsewhere.
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";

type Entry = { optionalDependencies?: Record<string, string> };

test("package-lock.json names every optional package, for every platform", () => {
  const { packages } = JSON.parse(readFileSync("package-lock.json", "utf8")) as { packages: Record<string, Entry> };
  const wanted = Object.values(packages).flatMap((e) => Object.keys(e.optionalDependencies ?? {}));
  expect(wanted.length).toBeGreaterThan(0);
  expect(wanted.filter((name) => packages[`node_modules/${name}`] === undefined)).toEqual([]);
});
