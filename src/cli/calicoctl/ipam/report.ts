// The report that `ipam check -o FILE` writes and `ipam release --from-report FILE` reads.
import { readFileSync, writeFileSync } from "node:fs";
import { isObject, type JsonValue, parseJson } from "../../../api/json.ts";
import { messageOf, TortieError } from "../../../base/errors.ts";

export type ReportedAllocation = {
  ip: string;
  block: string;
  /** "" for an allocation without. */
  handle: string;
  node?: string;
  type?: string;
  pod?: string;
  namespace?: string;
  sequenceNumber?: number;
  inUse: boolean;
  /** Who uses it: "Workload(default/web)", "Node(k8s-w1)". */
  owners: string[];
};
export type Report = {
  /** Of the program that wrote it. */
  version: string;
  clusterGUID: string;
  datastoreLocked: boolean;
  clusterInformationRevision: string;
  /** By address. */
  allocations: Record<string, ReportedAllocation[]>;
  /** Handles that no block mentions. */
  leakedHandles: { id: string; revision: string }[];
};

const isAllocation = (v: JsonValue): boolean =>
  isObject(v) &&
  typeof v.ip === "string" &&
  typeof v.handle === "string" &&
  typeof v.inUse === "boolean" &&
  (v.sequenceNumber === undefined || typeof v.sequenceNumber === "number");

/** Throws TortieError for what is no report. */
export function readReport(path: string): Report {
  const fail = (why: string): never => {
    throw new TortieError(`cannot read the report ${path}: ${why}`, { hint: "It is written by `calicoctl ipam check -o FILE`." });
  };
  let value: JsonValue;
  try {
    ({ value } = parseJson(readFileSync(path, "utf8")));
  } catch (thrown) {
    return fail(messageOf(thrown));
  }
  if (!isObject(value) || typeof value.version !== "string" || typeof value.clusterGUID !== "string" || !isObject(value.allocations))
    return fail("it is not a report of ipam check");
  const whole = Object.values(value.allocations).every((list) => Array.isArray(list) && list.every(isAllocation));
  return whole ? (value as unknown as Report) : fail("its allocations are not those of ipam check");
}

export function writeReport(path: string, report: Report): void {
  try {
    writeFileSync(path, `${JSON.stringify(report, null, 2)}\n`);
  } catch (thrown) {
    throw new TortieError(`cannot write the report ${path}: ${messageOf(thrown)}`, { cause: thrown });
  }
}
