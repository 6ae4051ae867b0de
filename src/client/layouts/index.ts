// Calico's resources on any cluster: which layout it has, and a client that speaks v3 to all of them.
import type { Kind } from "../../api/kind.ts";
import type { Resource, WatchEvent } from "../../api/meta.ts";
import type { RestClient } from "../rest.ts";
import type { WatchOptions } from "../types.ts";
import { layoutClient } from "./client.ts";
import { discoverLayout, layoutOfSetting } from "./discover.ts";

export { type Layout, layoutOf } from "./discover.ts";

/**
 * `client` for the layout that its cluster has. The cluster is asked with the first request, and again with the next when it cannot be reached.
 * `group` is calicoAPIGroup, where it is configured: then nothing is asked; throws TortieError when it names no layout.
 */
export function calicoClient(client: RestClient, group?: string): RestClient {
  if (group !== undefined) return layoutClient(client, layoutOfSetting(group));
  let known: Promise<RestClient> | undefined;
  const discover = async (): Promise<RestClient> => {
    try {
      return layoutClient(client, await discoverLayout(client));
    } catch (thrown) {
      known = undefined;
      throw thrown;
    }
  };
  const ready = (): Promise<RestClient> => (known ??= discover());
  return {
    ...client,
    get: async (...request) => (await ready()).get(...request),
    list: async (...request) => (await ready()).list(...request),
    create: async (...request) => (await ready()).create(...request),
    update: async (...request) => (await ready()).update(...request),
    updateStatus: async (...request) => (await ready()).updateStatus(...request),
    patch: async (...request) => (await ready()).patch(...request),
    delete: async (...request) => (await ready()).delete(...request),
    watch: async function* <T extends Resource>(kind: Kind<T>, options: WatchOptions): AsyncGenerator<WatchEvent<T>> {
      yield* (await ready()).watch(kind, options);
    },
  };
}
