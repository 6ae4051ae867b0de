// version, and the gate in front of every other command: a client of another version than the cluster's may not know its fields.
import type { ClusterInformation } from "../../api/clusterinformation.ts";
import { CLUSTER_INFORMATION } from "../../api/clusterinformation.ts";
import { messageOf, TortieError } from "../../base/errors.ts";
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

export async function printVersion(connect: (() => Promise<Client>) | undefined): Promise<number> {
  process.stdout.write(`Client Version:   ${CLIENT}\n`);
  if (!connect) return 0;
  try {
    const { spec = {} } = await (await connect()).get(CLUSTER_INFORMATION, "default");
    process.stdout.write(`Cluster Version:  ${spec.calicoVersion ?? "unknown"}\nCluster Type:     ${spec.clusterType ?? "unknown"}\n`);
    return 0;
  } catch (thrown) {
    throw new TortieError(`unable to retrieve Cluster Version or Type: ${messageOf(thrown)}`, {
      cause: thrown,
      hint: thrown instanceof TortieError ? thrown.hint : "",
    });
  }
}
