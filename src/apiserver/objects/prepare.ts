// From what a writer sent to what is stored: structure, the metadata that only the server sets, defaults, rules. Nothing here reads or writes the store.
// Order and texts follow the API server of Kubernetes: https://kubernetes.io/docs/reference/using-api/api-concepts/
import { isObject, type JsonObject, type JsonValue, sameJson } from "../../api/json.ts";
import type { Kind } from "../../api/kind.ts";
import type { FieldError, ObjectMeta, Resource } from "../../api/meta.ts";
import { isBareFinalizer, validateMetadata } from "../../api/names.ts";
import { badRequest, conflict, invalid } from "../../api/status.ts";
import { checkStructure } from "../../api/structure.ts";

export type FieldValidation = "Strict" | "Warn" | "Ignore";

/** What the writer sent, checked against the structure of its kind, and what it should be told. */
export type Accepted<T extends Resource = Resource> = { readonly object: T; readonly warnings: readonly string[] };

const isEmpty = (value: JsonValue | undefined, list: boolean): boolean =>
  (list ? Array.isArray(value) : isObject(value)) && Object.keys(value as object).length === 0;

/** Throws ApiError: 400 for unknown or repeated fields under Strict, 422 for wrong types and ranges. */
export function accept(
  kind: Pick<Kind, "group" | "version" | "kind" | "schema">,
  sent: JsonObject,
  duplicates: readonly string[],
  validation: FieldValidation,
): Accepted {
  const metadata = isObject(sent.metadata) ? { ...sent.metadata } : sent.metadata === undefined || sent.metadata === null ? {} : sent.metadata;
  // Not kept: who owns which field is tracked only by server-side apply.
  if (isObject(metadata)) {
    delete metadata.managedFields;
    delete metadata.selfLink;
    // An empty one is none: the object stays the same when its last label goes.
    for (const field of ["labels", "annotations"]) if (isEmpty(metadata[field], false)) delete metadata[field];
    for (const field of ["finalizers", "ownerReferences"]) if (isEmpty(metadata[field], true)) delete metadata[field];
  }
  const { errors, unknown, pruned } = checkStructure(kind.schema, { ...sent, metadata });
  const problems = [...duplicates.map((d) => `duplicate field ${JSON.stringify(d)}`), ...unknown.map((u) => `unknown field ${JSON.stringify(u)}`)];
  if (validation === "Strict" && problems.length > 0)
    throw badRequest(
      `${kind.kind} in version ${JSON.stringify(kind.version)} cannot be handled as a ${kind.kind}: strict decoding error: ${problems.join(", ")}`,
    );
  const name = isObject(metadata) && typeof metadata.name === "string" ? metadata.name : "";
  if (errors.length > 0) throw invalid(kind, name, errors);
  const object = pruned as Resource;
  return { object: { ...object, metadata: { ...object.metadata, name } }, warnings: validation === "Warn" ? problems : [] };
}

const nameForm = (kind: Kind): "label" | "subdomain" => (kind.plural === "namespaces" ? "label" : "subdomain");

function checked(kind: Kind, object: Resource, old?: Resource): Resource {
  const errors: FieldError[] = validateMetadata(object.metadata, nameForm(kind));
  for (const [i, finalizer] of (object.metadata.finalizers ?? []).entries())
    if (kind.builtIn && isBareFinalizer(finalizer))
      errors.push({
        field: `metadata.finalizers[${i}]`,
        reason: "FieldValueInvalid",
        message: `Invalid value: ${JSON.stringify(finalizer)}: name is neither a standard finalizer name nor is it fully qualified`,
      });
  if (errors.length === 0) errors.push(...kind.validate(object, old));
  if (errors.length > 0) throw invalid(kind, object.metadata.name, errors);
  return object;
}

function freshFinalizers(object: Resource, old: Resource | undefined): string[] {
  const known = new Set(old?.metadata.finalizers);
  return (object.metadata.finalizers ?? []).filter((f) => !known.has(f));
}

/** What the writer of `object` should know of its new finalizers. */
export const finalizerWarnings = (kind: Kind, object: Resource, old: Resource | undefined): string[] =>
  freshFinalizers(object, old)
    .filter((f) => !kind.builtIn && isBareFinalizer(f))
    .map(
      (f) =>
        `metadata.finalizers: ${JSON.stringify(f)}: prefer a domain-qualified finalizer name to avoid accidental conflicts with other finalizer writers`,
    );

/** The namespace of the path and of the body must be one. Throws ApiError. */
export function placed(kind: Kind, object: Resource, namespace: string): Resource {
  const { namespace: given, ...metadata } = object.metadata;
  if (!kind.namespaced) return { ...object, metadata };
  if (given !== undefined && given !== "" && given !== namespace)
    throw badRequest("the namespace of the provided object does not match the namespace sent on the request");
  return { ...object, metadata: { ...metadata, namespace } };
}

export type Birth = { readonly uid: string; /** RFC 3339, whole seconds. */ readonly now: string };

/** The object as it is first stored. `object.metadata.name` is set already. Throws ApiError. */
export function prepareCreate(kind: Kind, object: Resource, birth: Birth): Resource {
  if (object.metadata.resourceVersion !== undefined && object.metadata.resourceVersion !== "")
    throw badRequest("resourceVersion should not be set on objects to be created");
  const { resourceVersion: _rv, deletionTimestamp: _dt, deletionGracePeriodSeconds: _dg, generation: _g, ...kept } = object.metadata;
  const metadata: ObjectMeta = { ...kept, uid: birth.uid, creationTimestamp: birth.now, ...(kind.generation === false ? {} : { generation: 1 }) };
  const whole = { ...object, metadata } as Resource & { status?: unknown };
  if (kind.hasStatus && !kind.keepsStatusOnCreate) delete whole.status;
  const made = kind.defaults(whole);
  return checked(kind, kind.lifecycle ? kind.lifecycle.created(made) : made);
}

/** What the writer sees as the newest version must be it. Throws ApiError 409, 422. */
export function checkVersion(kind: Kind, old: Resource, sent: ObjectMeta): void {
  const { name } = old.metadata;
  if (sent.uid !== undefined && sent.uid !== "" && sent.uid !== old.metadata.uid)
    throw conflict(kind, name, `Precondition failed: UID in precondition: ${sent.uid}, UID in object meta: ${old.metadata.uid ?? ""}`);
  if (sent.resourceVersion === undefined || sent.resourceVersion === "" || sent.resourceVersion === "0") {
    if (kind.builtIn && !kind.versionedUpdate) return;
    throw invalid({ group: kind.group, kind: kind.plural }, name, [
      { field: "metadata.resourceVersion", reason: "FieldValueInvalid", message: "Invalid value: 0: must be specified for an update" },
    ]);
  }
  if (sent.resourceVersion !== old.metadata.resourceVersion) throw conflict(kind, name);
}

const withoutMetadata = (kind: Kind, object: Resource): Record<string, unknown> => {
  const { metadata: _m, ...rest } = object as Resource & { status?: unknown };
  if (kind.hasStatus) delete rest.status;
  return rest;
};

/** `old` with what this door may change taken from `sent`. */
function merge(kind: Kind, old: Resource, sent: Resource, subresource: string): Resource {
  if (subresource === "status") return withStatusOf(kind, statusBase(kind, old, sent), sent);
  if (subresource === "approval") return withConditionsOf(old, sent);
  if (subresource === "finalize" && kind.lifecycle) return kind.lifecycle.finalized(old, sent);
  return withStatusOf(kind, kind.lifecycle ? kind.lifecycle.updated(sent, old) : sent, old);
}

/** The object as it is stored after an update of `old`, through the main path or a subresource. Throws ApiError. */
export function prepareUpdate(kind: Kind, old: Resource, sent: Resource, subresource: string): Resource {
  const named = { ...sent, metadata: { ...sent.metadata, name: old.metadata.name } };
  const merged = kind.defaults(merge(kind, old, named, subresource));
  const { uid, creationTimestamp, generation = 1, deletionTimestamp, deletionGracePeriodSeconds, resourceVersion, namespace } = old.metadata;
  const {
    uid: _u,
    creationTimestamp: _c,
    generation: _n,
    resourceVersion: _r,
    deletionTimestamp: _d,
    deletionGracePeriodSeconds: _g,
    ...kept
  } = merged.metadata;
  const metadata: ObjectMeta = {
    ...kept,
    ...(namespace === undefined ? {} : { namespace }),
    ...(uid === undefined ? {} : { uid }),
    ...(creationTimestamp === undefined ? {} : { creationTimestamp }),
    ...(resourceVersion === undefined ? {} : { resourceVersion }),
    ...(deletionTimestamp === undefined ? {} : { deletionTimestamp }),
    ...(deletionGracePeriodSeconds === undefined ? {} : { deletionGracePeriodSeconds }),
    ...(kind.generation === false
      ? {}
      : { generation: sameJson(withoutMetadata(kind, merged), withoutMetadata(kind, old)) ? generation : generation + 1 }),
  };
  const object = { ...merged, metadata };
  const fresh = freshFinalizers(object, old);
  if (deletionTimestamp !== undefined && fresh.length > 0)
    throw invalid(kind, metadata.name, [
      {
        field: "metadata.finalizers",
        reason: "FieldValueForbidden",
        message: `Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers []string{${fresh.map((f) => JSON.stringify(f)).join(", ")}}`,
      },
    ]);
  return checked(kind, object, old);
}

// For the core kinds /status also carries labels and annotations: Calico writes its node fields so.
function statusBase(kind: Kind, old: Resource, sent: Resource): Resource {
  if (!kind.builtIn) return old;
  const { labels: _l, annotations: _a, ...metadata } = old.metadata;
  const { labels, annotations } = sent.metadata;
  return { ...old, metadata: { ...metadata, ...(labels ? { labels } : {}), ...(annotations ? { annotations } : {}) } };
}

/** `body` with the status of `source`. */
function withStatusOf(kind: Kind, body: Resource, source: Resource): Resource {
  if (!kind.hasStatus) return body;
  const { status: _s, ...rest } = body as Resource & { status?: unknown };
  const { status } = source as Resource & { status?: unknown };
  return { ...rest, ...(status === undefined ? {} : { status }) };
}

/** `old` with the conditions that were sent: an approval decides and changes nothing else. */
function withConditionsOf(old: Resource, sent: Resource): Resource {
  const [before, after] = [old, sent].map((o) => (o as { status?: { conditions?: unknown } }).status);
  return { ...old, status: { ...before, ...(after?.conditions === undefined ? {} : { conditions: after.conditions }) } } as Resource;
}
