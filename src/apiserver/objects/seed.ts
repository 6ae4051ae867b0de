// What every cluster has from its first moment: the namespaces, and Calico's `default` objects. What is there already stays as it is.
import { randomUUID } from "node:crypto";
import { CLUSTER_INFORMATION } from "../../api/clusterinformation.ts";
import { FELIX_CONFIGURATION } from "../../api/felixconfiguration.ts";
import type { JsonObject } from "../../api/json.ts";
import type { Kind } from "../../api/kind.ts";
import { NAMESPACE } from "../../api/namespace.ts";
import { isApiError } from "../../api/status.ts";
import { SOCKET_OWNER } from "../identity/authenticate.ts";
import type { Registry } from "./registry.ts";

export async function seed(registry: Registry, version: string): Promise<void> {
  const clusterInformation = {
    clusterGUID: randomUUID().replaceAll("-", ""),
    clusterType: "tortie",
    calicoVersion: `tortie-v${version}`,
    datastoreReady: true,
  };
  await Promise.all([
    ...["default", "kube-system", "kube-node-lease", "calico-system"].map((name) => ensure(registry, NAMESPACE as unknown as Kind, name, {})),
    ensure(registry, CLUSTER_INFORMATION as unknown as Kind, "default", { spec: clusterInformation }),
    ensure(registry, FELIX_CONFIGURATION as unknown as Kind, "default", { spec: {} }),
  ]);
}

async function ensure(registry: Registry, kind: Kind, name: string, rest: JsonObject): Promise<void> {
  if (await registry.find(kind, "", name)) return;
  try {
    await registry.create(
      { kind, namespace: "", name: "", subresource: "", rest: "" },
      { apiVersion: kind.group === "" ? kind.version : `${kind.group}/${kind.version}`, kind: kind.kind, metadata: { name }, ...rest },
      [],
      { user: SOCKET_OWNER, dryRun: false, validation: "Strict" },
    );
  } catch (thrown) {
    if (!isApiError(thrown, "AlreadyExists")) throw thrown;
  }
}
