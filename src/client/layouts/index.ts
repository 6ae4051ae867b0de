// Calico's resources on any cluster: which layout it has, and a client that speaks v3 to all of them.
import type { RestClient } from "../rest.ts";
import { layoutClient } from "./client.ts";
import { discoverLayout, layoutOfSetting } from "./discover.ts";

export { type Layout, layoutOf } from "./discover.ts";

/** `client` for the layout that its cluster has; `group` is calicoAPIGroup, where it is configured. Throws TortieError. */
export async function calicoClient(client: RestClient, group?: string): Promise<RestClient> {
  return layoutClient(client, group === undefined ? await discoverLayout(client) : layoutOfSetting(group));
}
