// Which of Calico's three layouts a cluster has. Calico's own rule: what is configured wins; else v3 without v1 means native v3 resources; whatever
// else is found, also nothing, means v1.
//
//   A  crd.projectcalico.org/v1 alone: custom resources, translated by clients
//   B  both: Calico's API server shows the same custom resources as v3; clients of the datastore write v1 as in A (its v3 has no IPAM blocks or handles)
//   C  projectcalico.org/v3 alone: native resources, nothing is translated. Our own server is of this layout.
import { isApiError } from "../../api/status.ts";
import { TortieError } from "../../base/errors.ts";
import type { RestClient } from "../rest.ts";

export type Layout = "A" | "B" | "C";

const V1 = "crd.projectcalico.org";
const V3 = "projectcalico.org";

/** The layout of a cluster with these groups. */
export function layoutOf(groups: readonly string[]): Layout {
  if (!groups.includes(V3)) return "A";
  return groups.includes(V1) ? "B" : "C";
}

/** The layout that calicoAPIGroup (CALICO_API_GROUP) names: "projectcalico.org/v3" or "crd.projectcalico.org/v1". Throws TortieError. */
export function layoutOfSetting(group: string): Layout {
  if (group === `${V3}/v3`) return "C";
  if (group === `${V1}/v1`) return "A";
  throw new TortieError(`Cannot use "${group}" as calicoAPIGroup: it must be ${V3}/v3 or ${V1}/v1`);
}

/** Asks the server for its groups. A server that refuses to say is taken for A; one that cannot be reached, or does not know us, throws. */
export async function discoverLayout(client: Pick<RestClient, "raw">): Promise<Layout> {
  try {
    const { groups } = await client.raw<{ groups?: { name?: string }[] }>("GET", "/apis");
    return layoutOf((groups ?? []).map((g) => g.name ?? ""));
  } catch (thrown) {
    if (isApiError(thrown) && thrown.code !== 401) return "A";
    throw thrown;
  }
}
