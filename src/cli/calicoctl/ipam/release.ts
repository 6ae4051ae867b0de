// ipam release: one address, or those that reports of `ipam check` found leaked.
import { releaseAddress } from "../../../agent/ipam/ipam.ts";
import { TortieError } from "../../../base/errors.ts";
import type { Client } from "../../../client/types.ts";
import { clusterInformation, isLocked } from "../lock.ts";
import { VERSION } from "../../version.ts";
import { addressOf } from "./address.ts";
import { readReport, type Report, type ReportedAllocation } from "./report.ts";

export type ReleaseFlags = { ip?: string; fromReport?: readonly string[]; force?: boolean };

const identity = (a: ReportedAllocation): string => `${a.ip}\0${a.handle}\0${a.sequenceNumber ?? ""}`;

/** What every report calls leaked: an address that was in use in between, or was given anew, is in one of them something else. */
export function leakedInAll(reports: readonly Report[]): ReportedAllocation[] {
  const leaked = (r: Report): ReportedAllocation[] =>
    Object.values(r.allocations)
      .flat()
      .filter((a) => !a.inUse);
  const [first, ...others] = reports;
  const sets = others.map((r) => new Set(leaked(r).map(identity)));
  return first ? leaked(first).filter((a) => sets.every((s) => s.has(identity(a)))) : [];
}

async function releaseReported(client: Client, paths: readonly string[], force: boolean): Promise<string> {
  const reports = paths.map(readReport);
  const cluster = await clusterInformation(client);
  for (const [i, report] of reports.entries()) {
    if (report.clusterGUID !== cluster.spec?.clusterGUID)
      throw new TortieError(
        `cannot use the report ${paths[i]}: it is of another cluster (${report.clusterGUID}, this one is ${cluster.spec?.clusterGUID})`,
      );
    if (report.version !== VERSION)
      throw new TortieError(`cannot use the report ${paths[i]}: it was written by version ${report.version}, this is ${VERSION}`);
  }
  if (!force && !isLocked(cluster))
    throw new TortieError("datastore is not locked. Either lock the datastore with `calicoctl datastore migrate lock`, or use --force");
  const leaked = leakedInAll(reports);
  const lines = [`Releasing ${leaked.length} old IPs...`];
  let released = 0;
  for (const a of leaked) {
    // Somebody may have given it back, or have got it, since the reports were written.
    const same = await releaseAddress(client, a.ip, (now) => (now.handle ?? "") === a.handle && now.sequenceNumber === a.sequenceNumber);
    if (same) released++;
    else lines.push(`  ${a.ip} skipped: it is not what the report says any more`);
  }
  return `${[...lines, `Released ${released} IPs successfully`, "You may now unlock the data store."].join("\n")}\n`;
}

/** Releases; the result is what to print. */
export async function release(flags: ReleaseFlags, connect: () => Promise<Client>): Promise<string> {
  const { ip, fromReport = [], force = false } = flags;
  if ((ip === undefined) === (fromReport.length === 0)) throw new TortieError("Cannot release: give either --ip or --from-report");
  if (ip === undefined) return releaseReported(await connect(), fromReport, force);
  const address = addressOf(ip);
  if (!(await releaseAddress(await connect(), address))) throw new TortieError(`IP address ${address} is not assigned`);
  return `Successfully released IP address ${address}\n`;
}
