// version, and the gate in front of every other command: a client of another version than the cluster's may not know its fields.
import type { ClusterInformation } from "../../api/clusterinformation.ts";
import { CLUSTER_INFORMATION } from "../../api/clusterinformation.ts";
import { messageOf, TortieError } from "../../base/errors.ts";
import { pause } from "../../client/pause.ts";
import type { Client } from "../../client/types.ts";
import { VERSION } from "../version.ts";

const CLIENT = `v${VERSION}`;
/** "v3.32.0-0.dev" -> "3.32.0"; our server says "tortie-v0.1.0". */
const stripped = (version: string): string => version.replace(/^(tortie-)?v/, "").replace(/-.*$/, "");

/** True for a cluster that our own server runs: of Calico's own clusters every version is as good as any other. */
export const isOurs = (c: ClusterInformation): boolean => (c.spec?.clusterType ?? "").split(",").includes("tortie");

/** Throws calicoctl's four lines when the cluster is of another version; a cluster that cannot be asked passes. */
export async function checkVersion(client: Client): Promise<void> {
  let info: ClusterInformation;
  try {
    info = await client.get(CLUSTER_INFORMATION, "default");
  } catch {
    return;
  }
  const cluster = info.spec?.calicoVersion ?? "";
  if (cluster === "" || !isOurs(info) || stripped(cluster) === stripped(CLIENT)) return;
  throw new TortieError(
    `version mismatch.\nClient Version:   ${CLIENT}\nCluster Version:  ${stripped(cluster)}\nUse --allow-version-mismatch to override`,
  );
}

async function clusterLines(client: Client): Promise<string> {
  const { spec = {} } = await client.get(CLUSTER_INFORMATION, "default");
  return `Cluster Version:  ${spec.calicoVersion ?? "unknown"}\nCluster Type:     ${spec.clusterType ?? "unknown"}\n`;
}

/** Milliseconds of a Go duration such as 500ms, 1.5s, 2h. Throws calicoctl's sentence. */
export function pollInterval(text: string): number {
  const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };
  const [, number, unit] = /^([0-9]{1,9}(?:\.[0-9]{1,9})?)(ms|s|m|h)$/.exec(text === "0" ? "0s" : text) ?? [];
  if (unit === undefined) throw new TortieError(`invalid poll duration specified: ${text}`);
  return Math.min(2 ** 31 - 1, Number(number) * UNITS[unit]!);
}

/** Prints the versions; with `pollMs` above 0 again whenever the cluster's change, until the process is ended. */
export async function printVersion(connect: (() => Promise<Client>) | undefined, pollMs: number): Promise<number> {
  process.stdout.write(`Client Version:   ${CLIENT}\n`);
  if (!connect) return 0;
  try {
    const client = await connect();
    for (let last = ""; ;) {
      const now = await clusterLines(client);
      if (now !== last) process.stdout.write(now);
      if (pollMs <= 0) return 0;
      last = now;
      await pause(pollMs);
    }
  } catch (thrown) {
    throw new TortieError(`unable to retrieve Cluster Version or Type: ${messageOf(thrown)}`, {
      cause: thrown,
      hint: thrown instanceof TortieError ? thrown.hint : "",
    });
  }
}
