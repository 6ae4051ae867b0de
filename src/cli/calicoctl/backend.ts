// The API as calicoctl sees it: one set of verbs for all types, Calico's Node over the Node of Kubernetes, errors in Calico's words.
import { CALICO_NODE, type CalicoNode, fromCalicoNode, toCalicoNode } from "../../api/calico-node.ts";
import type { Kind } from "../../api/kind.ts";
import type { Resource, ResourceList } from "../../api/meta.ts";
import { NODE } from "../../api/node.ts";
import { TortieError } from "../../base/errors.ts";
import { ApiError } from "../../client/error.ts";
import { pause } from "../../client/pause.ts";
import type { Client, WriteOptions } from "../../client/types.ts";
import { asNumberOf } from "./asnumber.ts";
import { checkChange } from "./check.ts";
import { refusal } from "./refusal.ts";
import type { ResourceType } from "./types.ts";

export type Operation = "create" | "apply" | "replace" | "update" | "delete";
const TRIES = 5;
const PAUSE_MS = 1000;

export interface Backend {
  get(type: ResourceType, name: string, namespace?: string): Promise<Resource>;
  list(type: ResourceType, namespace?: string): Promise<ResourceList>;
  create(type: ResourceType, object: Resource): Promise<Resource>;
  /** With a resourceVersion: only that one is replaced. Without: read, merge metadata, write; again when someone else wrote in between. */
  update(type: ResourceType, object: Resource): Promise<Resource>;
  /** Create, or update what is there. */
  apply(type: ResourceType, object: Resource): Promise<Resource>;
  /** With a resourceVersion: only that one is deleted. */
  delete(type: ResourceType, object: Resource): Promise<void>;
  /** Read, change, write; again when someone else wrote in between. `change` gives the new object. */
  modify(type: ResourceType, name: string, namespace: string | undefined, change: (current: Resource) => Resource): Promise<Resource>;
  /** The AS number of nodes that have none of their own; "unknown" when the cluster does not say. */
  asNumber(): Promise<string>;
}

const isNode = (kind: Kind): boolean => kind.kind === "Node" && kind.group === CALICO_NODE.group;
const isConflict = (thrown: unknown): boolean => thrown instanceof ApiError && thrown.reason === "Conflict";
const STRICT: WriteOptions = { fieldManager: "calicoctl", fieldValidation: "Strict" };

/** What the datastore keeps and a writer cannot choose. */
function withStored(object: Resource, stored: Resource): Resource {
  const { labels: _l, annotations: _a, ...kept } = stored.metadata;
  const { labels, annotations } = object.metadata;
  return { ...object, metadata: { ...kept, ...(labels ? { labels } : {}), ...(annotations ? { annotations } : {}) } };
}

/** Objects are checked here before they are sent: a server that is not ours may take what Calico's agents then trip over. */
export function backend(client: Client): Backend {
  const at = (namespace: string | undefined): { namespace?: string } => (namespace === undefined ? {} : { namespace });

  const readNode = async (name: string): Promise<{ calico: Resource; write: (o: Resource) => Promise<Resource> }> => {
    const node = await client.get(NODE, name);
    return {
      calico: toCalicoNode(node),
      write: async (o) => toCalicoNode(await client.updateStatus(NODE, fromCalicoNode(o as CalicoNode, node), STRICT)),
    };
  };
  const read = async (
    type: ResourceType,
    name: string,
    namespace: string | undefined,
  ): Promise<{ current: Resource; write: (o: Resource) => Promise<Resource> }> => {
    if (isNode(type.kind)) {
      const { calico, write } = await readNode(name);
      return { current: calico, write };
    }
    const current = await client.get(type.kind, name, at(namespace));
    return { current, write: (o) => client.update(type.kind, o, STRICT) };
  };
  /** Errors as Calico words them. */
  const told = async <T>(type: ResourceType, name: string, namespace: string | undefined, act: () => Promise<T>): Promise<T> => {
    if (name === "") throw new TortieError("resource name may not be empty");
    try {
      return await act();
    } catch (thrown) {
      throw refusal(thrown, type.kind, name, type.kind.namespaced ? (namespace ?? "default") : undefined);
    }
  };
  const writable = (type: ResourceType, operation: Operation): void => {
    if (type.readOnly) throw new TortieError(`operation ${operation} is not supported on ${type.kind.kind}: ${type.readOnly}`);
  };
  const retry = async (act: () => Promise<Resource>): Promise<Resource> => {
    for (let left = TRIES; ; left--) {
      try {
        return await act();
      } catch (thrown) {
        if (!isConflict(thrown) || left <= 1) throw thrown;
        await pause(PAUSE_MS);
      }
    }
  };
  const update = (type: ResourceType, object: Resource): Promise<Resource> =>
    retry(async () => {
      const { current, write } = await read(type, object.metadata.name, object.metadata.namespace);
      const { resourceVersion } = object.metadata;
      const merged = withStored(object, current);
      // The writer's own revision: not tried again, or the check would be of no use.
      if (resourceVersion !== undefined && resourceVersion !== current.metadata.resourceVersion)
        throw new TortieError(`update conflict: ${type.kind.kind}(${object.metadata.name})`);
      checkChange(type, merged, current);
      return write(merged);
    });
  const notOnNodes = (type: ResourceType, operation: "Create" | "Delete", name: string): void => {
    if (isNode(type.kind))
      throw new TortieError(`operation ${operation} is not supported on Node(${name}): a node is added and removed by the agent that runs on it`);
  };
  const create = (type: ResourceType, object: Resource): Promise<Resource> => {
    const { uid: _u, resourceVersion: _r, creationTimestamp: _c, deletionTimestamp: _d, generation: _g, ...metadata } = object.metadata;
    return client.create(type.kind, { ...object, metadata }, STRICT);
  };

  return {
    get: (type, name, namespace) => told(type, name, namespace, async () => (await read(type, name, namespace)).current),
    list: (type, namespace) =>
      told(type, "*", namespace, async () => {
        if (!isNode(type.kind)) return client.list(type.kind, type.kind.namespaced ? at(namespace) : {});
        const nodes = await client.list(NODE);
        return { ...nodes, apiVersion: "projectcalico.org/v3", kind: "NodeList", items: nodes.items.map(toCalicoNode) };
      }),
    create: (type, object) =>
      told(type, object.metadata.name, object.metadata.namespace, async () => {
        writable(type, "create");
        notOnNodes(type, "Create", object.metadata.name);
        checkChange(type, object);
        return create(type, object);
      }),
    update: (type, object) =>
      told(type, object.metadata.name, object.metadata.namespace, async () => {
        writable(type, "replace");
        checkChange(type, object);
        return update(type, object);
      }),
    apply: (type, object) =>
      told(type, object.metadata.name, object.metadata.namespace, async () => {
        writable(type, "apply");
        checkChange(type, object);
        if (isNode(type.kind)) return update(type, object);
        try {
          return await create(type, object);
        } catch (thrown) {
          if (!(thrown instanceof ApiError && thrown.reason === "AlreadyExists")) throw thrown;
          return update(type, object);
        }
      }),
    delete: (type, object) =>
      told(type, object.metadata.name, object.metadata.namespace, async () => {
        writable(type, "delete");
        notOnNodes(type, "Delete", object.metadata.name);
        const { name, namespace, resourceVersion } = object.metadata;
        await client.delete(type.kind, name, { ...at(namespace), ...(resourceVersion === undefined ? {} : { resourceVersion }) });
      }),
    asNumber: () => asNumberOf(client),
    modify: (type, name, namespace, change) =>
      told(type, name, namespace, async () => {
        writable(type, "update");
        return retry(async () => {
          const { current, write } = await read(type, name, namespace);
          return write(change(current));
        });
      }),
  };
}
