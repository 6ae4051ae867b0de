// Calico's resources on any cluster: which layout it has, and a client that speaks v3 to all of them.
import type { Kind } from "../../api/kind.ts";
import type { Resource, WatchEvent } from "../../api/meta.ts";
import type { RestClient } from "../rest.ts";
import type { WatchOptions } from "../types.ts";
import { layoutClient } from "./client.ts";
import { isCalicoKind } from "./codec.ts";
import { discoverLayout, layoutOfSetting } from "./discover.ts";

export { type Layout, layoutOf } from "./discover.ts";

/**
 * `client` for the layout that its cluster has. The cluster is asked with the first request for a resource of Calico's, and again with the next when it cannot
 * be reached. `group` is calicoAPIGroup, where it is configured: then nothing is asked; throws TortieError when it names no layout.
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
  const clientFor = async (kind: Pick<Kind, "group">): Promise<RestClient> => (isCalicoKind(kind) ? (known ??= discover()) : client);
  return {
    ...client,
    served: async (kind) => (await clientFor(kind)).served(kind),
    get: async (kind, ...request) => (await clientFor(kind)).get(kind, ...request),
    list: async (kind, ...request) => (await clientFor(kind)).list(kind, ...request),
    create: async (kind, ...request) => (await clientFor(kind)).create(kind, ...request),
    update: async (kind, ...request) => (await clientFor(kind)).update(kind, ...request),
    updateStatus: async (kind, ...request) => (await clientFor(kind)).updateStatus(kind, ...request),
    patch: async (kind, ...request) => (await clientFor(kind)).patch(kind, ...request),
    delete: async (kind, ...request) => (await clientFor(kind)).delete(kind, ...request),
    watch: async function* <T extends Resource>(kind: Kind<T>, options: WatchOptions): AsyncGenerator<WatchEvent<T>> {
      yield* (await clientFor(kind)).watch(kind, options);
    },
  };
}
