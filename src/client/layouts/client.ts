// A client of a cluster with Calico's resources, whichever of the three layouts they have: callers speak projectcalico.org/v3, the codec does the rest.
// IPAM's blocks, claims and handles are deleted in two steps as Calico does it: marked first, so that whoever holds a copy of them sees its write refused.
import { isObject, type JsonObject, type JsonValue } from "../../api/json.ts";
import { jsonPatch } from "../../api/jsonpatch.ts";
import { apiVersionOf, type Kind } from "../../api/kind.ts";
import { parseLabelSelector } from "../../api/labelselector.ts";
import { mergePatch } from "../../api/mergepatch.ts";
import type { Resource, WatchEvent } from "../../api/meta.ts";
import { conflict, notFound } from "../../api/status.ts";
import { TortieError } from "../../base/errors.ts";
import { isAlreadyExists, isConflict, isNotFound } from "../error.ts";
import type { RestClient } from "../rest.ts";
import type { Client, ListOptions } from "../types.ts";
import { fromV1, isCalicoKind, toV1, v1Kind } from "./codec.ts";
import type { Layout } from "./discover.ts";
import { affinityLabels } from "./names.ts";
import { mirroredUid } from "./uid.ts";

const TRIES = 5;
const TWO_STEPS = new Set(["IPAMBlock", "BlockAffinity", "IPAMHandle"]);

type Deletable = Resource & { spec?: { deleted?: boolean } };
const isMarked = (object: Resource): boolean => TWO_STEPS.has(object.kind) && (object as Deletable).spec?.deleted === true;
type Affinity = Resource & { spec: { node: string; type?: string; cidr: string } };

/** A claim with the labels by which it is looked up. */
function labelled<T extends Resource>(object: T): T {
  if (object.kind !== "BlockAffinity") return object;
  const labels = { ...object.metadata.labels, ...affinityLabels((object as unknown as Affinity).spec) };
  return { ...object, metadata: { ...object.metadata, labels } };
}

/** Wraps `inner` for a cluster of this layout. */
export function layoutClient(inner: RestClient, layout: Layout): RestClient {
  const translated = (kind: Pick<Kind, "group">): boolean => layout !== "C" && isCalicoKind(kind);
  const wire = <T extends Resource>(kind: Kind<T>): Kind<T> => (translated(kind) ? v1Kind(kind) : kind);
  const encode = <T extends Resource>(kind: Kind<T>, object: T): T => {
    const whole = labelled({ ...object, apiVersion: apiVersionOf(kind), kind: kind.kind });
    return translated(kind) ? toV1(kind, whole) : whole;
  };
  const decode = <T extends Resource>(kind: Kind<T>, object: T): T => (translated(kind) ? fromV1(kind, object) : object);

  /** The identity that the server knows, for a precondition; callers know the one that we show. */
  const precondition = (kind: Pick<Kind, "group">, uid: string | undefined): { uid?: string } =>
    uid === undefined ? {} : { uid: translated(kind) ? mirroredUid(uid) : uid };
  /** The second step: the object that this mark was put on, and no other of its name. */
  const finish = async <T extends Resource>(kind: Kind<T>, { metadata }: T): Promise<void> => {
    try {
      await inner.delete(wire(kind), metadata.name, precondition(kind, metadata.uid));
    } catch (thrown) {
      // Gone, or gone and made anew by somebody ("the UID in the precondition …").
      if (!isNotFound(thrown) && !isConflict(thrown)) throw thrown;
    }
  };
  const read: Client["get"] = async (kind, name, options) => {
    const object = decode(kind, await inner.get(wire(kind), name, options));
    if (!isMarked(object)) return object;
    await finish(kind, object);
    throw notFound(kind, name);
  };
  const selection = (kind: Pick<Kind, "group">, o: ListOptions): { sent: ListOptions; matches: (object: Resource) => boolean } => {
    if (o.labelSelector === undefined || !translated(kind)) return { sent: o, matches: () => true };
    const { labelSelector, ...sent } = o;
    const selects = parseLabelSelector(labelSelector);
    return { sent, matches: (object) => selects(object.metadata.labels) };
  };

  const create: Client["create"] = async (kind, object, options) => {
    const send = async (): Promise<typeof object> => decode(kind, await inner.create(wire(kind), encode(kind, object), options));
    try {
      return await send();
    } catch (thrown) {
      if (!isAlreadyExists(thrown) || !TWO_STEPS.has(kind.kind)) throw thrown;
      // What is there may be on its way out.
      const there = await read(kind, object.metadata.name).catch((t: unknown) => {
        if (isNotFound(t)) return undefined;
        throw t;
      });
      if (there) throw thrown;
      return send();
    }
  };
  const update: Client["update"] = async (kind, object, options) => decode(kind, await inner.update(wire(kind), encode(kind, object), options));
  const updateStatus: Client["updateStatus"] = async (kind, object, options) =>
    decode(kind, await inner.updateStatus(wire(kind), encode(kind, object), options));

  const patch: Client["patch"] = async (kind, name, change, options = {}) => {
    if (!translated(kind)) return inner.patch(kind, name, change, options);
    const { type = "merge", subresource, ...rest } = options;
    if (type === "strategic") throw new TortieError(`Cannot patch ${kind.kind}(${name}) strategically: it is a custom resource`);
    for (let left = TRIES; ; left--) {
      const current = await read(kind, name, rest);
      const target = JSON.parse(JSON.stringify(current)) as JsonObject;
      const next = type === "merge" ? mergePatch(target, change as JsonValue) : jsonPatch(target, change as JsonValue);
      if (!isObject(next)) throw new TortieError(`Cannot patch ${kind.kind}(${name}): the result is not a resource`);
      try {
        return await (subresource === "status" ? updateStatus : update)(kind, next as unknown as typeof current, rest);
      } catch (thrown) {
        if (!isConflict(thrown) || left <= 1) throw thrown;
      }
    }
  };

  const remove: Client["delete"] = async (kind, name, options = {}) => {
    const { uid, ...rest } = options;
    if (!TWO_STEPS.has(kind.kind)) return inner.delete(wire(kind), name, { ...rest, ...precondition(kind, uid) });
    const { resourceVersion, ...at } = rest;
    for (let left = TRIES; ; left--) {
      const current = (await read(kind, name, at)) as Deletable;
      if (uid !== undefined && current.metadata.uid !== uid) throw conflict(kind, name);
      if (resourceVersion !== undefined && current.metadata.resourceVersion !== resourceVersion) throw conflict(kind, name);
      const marked = { ...current, spec: { ...current.spec, deleted: true } };
      try {
        await update(kind as unknown as Kind, marked);
        return await finish(kind as unknown as Kind, current);
      } catch (thrown) {
        if (!isConflict(thrown) || resourceVersion !== undefined || left <= 1) throw thrown;
      }
    }
  };

  async function* watch<T extends Resource>(kind: Kind<T>, options: Parameters<Client["watch"]>[1]): AsyncGenerator<WatchEvent<T>> {
    const { sent, matches } = selection(kind, options);
    for await (const event of inner.watch(wire(kind), { ...options, labelSelector: undefined, ...sent } as typeof options)) {
      if (event.type === "BOOKMARK") {
        yield event;
        continue;
      }
      const object = decode(kind, event.object);
      // Marked: gone for everybody else. Its removal was told with the mark.
      if (isMarked(object) && event.type === "DELETED") continue;
      yield { type: isMarked(object) || !matches(object) ? "DELETED" : event.type, object };
    }
  }

  return {
    ...inner,
    served: async (kind) => wire(kind),
    get: read,
    list: async (kind, options = {}) => {
      const { sent, matches } = selection(kind, options);
      const page = await inner.list(wire(kind), sent);
      const items = page.items.map((o) => decode(kind, o)).filter((o) => !isMarked(o) && matches(o));
      return { ...page, apiVersion: apiVersionOf(kind), kind: `${kind.kind}List`, items };
    },
    create,
    update,
    updateStatus,
    patch,
    delete: remove,
    watch,
  };
}
