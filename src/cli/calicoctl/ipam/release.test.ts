import { expect, test } from "vitest";
import { leakedInAll } from "./release.ts";
import type { Report, ReportedAllocation } from "./report.ts";

const held = (ip: string, handle: string, inUse = false, sequenceNumber = 1): ReportedAllocation => ({
  ip,
  block: "10.0.0.0/26",
  handle,
  sequenceNumber,
  inUse,
  owners: [],
});
const report = (...all: ReportedAllocation[]): Report => ({
  version: "1",
  clusterGUID: "g",
  datastoreLocked: false,
  clusterInformationRevision: "1",
  allocations: Object.fromEntries(all.map((a) => [a.ip, [a]])),
  leakedHandles: [],
});
const leaked = (...reports: Report[]): string[] => leakedInAll(reports).map((a) => a.ip);

test("leakedInAll(): only what every report found leaked, and found to be the same", () => {
  const first = report(held("10.0.0.1", "a"), held("10.0.0.2", "b"), held("10.0.0.3", "c"), held("10.0.0.4", "d"), held("10.0.0.5", "e", true));
  expect(leaked()).toEqual([]);
  expect(leaked(first)).toEqual(["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4"]);
  // .2 came into use, .3 belongs to another, .4 was given anew to the same, .5 became a leak.
  const second = report(
    held("10.0.0.1", "a"),
    held("10.0.0.2", "b", true),
    held("10.0.0.3", "x"),
    held("10.0.0.4", "d", false, 2),
    held("10.0.0.5", "e"),
  );
  expect(leaked(first, second)).toEqual(["10.0.0.1"]);
  expect(leaked(first, second, report())).toEqual([]);
});
