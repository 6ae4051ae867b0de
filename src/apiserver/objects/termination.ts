// Deleted namespaces: what is in them is deleted; what stays, and which finalizers hold it, is said in the status; when nothing is left, the namespace goes.
// https://kubernetes.io/docs/concepts/overview/working-with-objects/namespaces/
import type { JsonObject } from "../../api/json.ts";
import type { Kind } from "../../api/kind.ts";
import type { Resource } from "../../api/meta.ts";
import { CONTENT_FINALIZER, type Namespace, NAMESPACE } from "../../api/namespace.ts";
import { isApiError } from "../../api/status.ts";
import type { Log } from "../../base/log.ts";
import { type Auditing, Controller } from "./controller.ts";
import { itemsOf, placeOf, prefixOf, type Registry, ROOT, targetAt } from "./registry.ts";
import { NotYet, Worklist } from "./worklist.ts";

type Left = { readonly kind: Kind; readonly objects: readonly Resource[] };

export class Termination {
  readonly #registry: Registry;
  readonly #own: Controller;
  readonly #kinds: readonly Kind[];
  readonly #work: Worklist;
  /** Namespaces that are not empty yet. */
  readonly #ending = new Set<string>();
  #stopWatch = (): void => {};

  constructor({ registry, kinds, log, ...auditing }: Auditing & { registry: Registry; kinds: readonly Kind[]; log: Log }) {
    this.#registry = registry;
    this.#own = new Controller("namespace-controller", registry, auditing);
    this.#kinds = kinds;
    this.#work = new Worklist((name) => this.#empty(name), log);
  }

  async start(): Promise<void> {
    const { store } = this.#registry;
    const { items, revision } = await store.range(prefixOf(NAMESPACE));
    for (const namespace of itemsOf(this.#registry, NAMESPACE, items)) this.#see(namespace);
    this.#stopWatch = store.watch(ROOT, revision, (changes) => {
      for (const { key, value, revision: at } of changes) {
        const place = placeOf(this.#kinds, key);
        if (place?.kind.plural === "namespaces" && value) this.#see(this.#registry.decode(NAMESPACE, value, at));
        // One less in it.
        else if (place && !value && this.#ending.has(place.namespace)) this.#work.add(place.namespace);
      }
    });
  }

  async stop(): Promise<void> {
    this.#stopWatch();
    await this.#work.stop();
  }

  #see({ metadata }: Resource): void {
    if (metadata.deletionTimestamp !== undefined) this.#work.add(metadata.name);
  }

  async #empty(name: string): Promise<void> {
    const namespace: Namespace | undefined = await this.#registry.find(NAMESPACE, "", name);
    if (namespace?.metadata.deletionTimestamp === undefined || !namespace.spec?.finalizers?.includes(CONTENT_FINALIZER))
      return void this.#ending.delete(name);
    this.#ending.add(name);
    for (const { kind, objects } of await this.#content(name))
      await Promise.all(objects.filter((o) => o.metadata.deletionTimestamp === undefined).map((o) => this.#remove(kind, o)));
    const left = await this.#content(name);
    if (left.length > 0) {
      await this.#change(name, "status", (n) => ({ ...n, status: { ...n.status, conditions: conditionsOf(left, this.#registry.time(), n) } }));
      // What is removed is seen; this is for what is not.
      throw new NotYet();
    }
    await this.#change(name, "finalize", (n) => ({
      ...n,
      spec: { ...n.spec, finalizers: (n.spec?.finalizers ?? []).filter((f) => f !== CONTENT_FINALIZER) },
    }));
    this.#ending.delete(name);
  }

  async #content(namespace: string): Promise<Left[]> {
    const left: Left[] = [];
    for (const kind of this.#kinds.filter((k) => k.namespaced && !k.storedAs)) {
      const { items } = await this.#registry.store.range(prefixOf(kind, namespace));
      if (items.length > 0) left.push({ kind, objects: itemsOf(this.#registry, kind, items) });
    }
    return left;
  }

  async #remove(kind: Kind, { metadata: { namespace = "", name, uid } }: Resource): Promise<void> {
    try {
      await this.#own.remove(targetAt(kind, namespace, name), { propagationPolicy: "Background", ...(uid ? { uid } : {}) });
    } catch (thrown) {
      if (!isApiError(thrown, "NotFound", "Conflict")) throw thrown;
    }
  }

  async #change(name: string, subresource: string, change: (namespace: Namespace) => Namespace): Promise<void> {
    const apply = (current: JsonObject): JsonObject => change(current as unknown as Namespace) as unknown as JsonObject;
    await this.#own.patch({ ...targetAt(NAMESPACE, "", name), subresource }, apply);
  }
}

const total = (counts: ReadonlyMap<string, number>, words: (name: string, n: number) => string): string =>
  [...counts]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, n]) => words(name, n))
    .join(", ");

/** What stays and what holds it, in the words of Kubernetes; a condition that did not change keeps its time. */
function conditionsOf(left: readonly Left[], now: string, { status }: Namespace): Record<string, unknown>[] {
  const resources = new Map(left.map(({ kind, objects }) => [`${kind.plural}.${kind.group}`, objects.length]));
  const finalizers = new Map<string, number>();
  for (const { objects } of left)
    for (const o of objects) for (const f of o.metadata.finalizers ?? []) finalizers.set(f, (finalizers.get(f) ?? 0) + 1);
  const condition = (type: string, state: "True" | "False", reason: string, message: string): Record<string, unknown> => {
    const old = status?.conditions?.find((c) => c.type === type);
    return { type, status: state, lastTransitionTime: old?.status === state ? old.lastTransitionTime : now, reason, message };
  };
  const some = total(resources, (name, n) => `${name} has ${n} resource instances`);
  const held = total(finalizers, (name, n) => `${name} in ${n} resource instances`);
  return [
    condition("NamespaceContentRemaining", "True", "SomeResourcesRemain", `Some resources are remaining: ${some}`),
    held === ""
      ? condition("NamespaceFinalizersRemaining", "False", "ContentHasNoFinalizers", "All content-preserving finalizers finished")
      : condition("NamespaceFinalizersRemaining", "True", "SomeFinalizersRemain", `Some content in the namespace has finalizers remaining: ${held}`),
  ];
}
