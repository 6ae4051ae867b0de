// Metadata of a Calico object in a custom resource of crd.projectcalico.org/v1: what Calico's users write is kept as JSON in an annotation, because the
// object's own metadata belongs to Kubernetes. Selectors of the API server therefore do not see users' labels.
import { isObject } from "../../api/json.ts";
import type { ObjectMeta, OwnerReference } from "../../api/meta.ts";
import { mirroredUid } from "./uid.ts";

export const METADATA_ANNOTATION = "projectcalico.org/metadata";
const V1 = "crd.projectcalico.org/v1";
const V3 = "projectcalico.org/v3";
/** Labels and annotations that Calico itself reads from the object of Kubernetes. */
const isCalicos = (key: string): boolean => key.includes("projectcalico.org/") || key.includes("operator.tigera.io/");

type Texts = Record<string, string>;
const some = (texts: Texts): Texts | undefined => (Object.keys(texts).length > 0 ? texts : undefined);
const present = <T extends object>(o: T): T => Object.fromEntries(Object.entries(o).filter(([, v]) => v !== undefined && v !== null)) as T;
const calicos = (texts: Texts | undefined): Texts => Object.fromEntries(Object.entries(texts ?? {}).filter(([k]) => isCalicos(k)));

const translated = (owners: OwnerReference[] | undefined, from: string, to: string): OwnerReference[] | undefined =>
  owners?.map((o) => (o.apiVersion === from ? { ...o, apiVersion: to, uid: mirroredUid(o.uid) } : o));

/** The metadata to send for an object whose v3 metadata is `meta`. */
export function toV1Metadata(meta: ObjectMeta): ObjectMeta {
  const { name, namespace, resourceVersion, uid, generation: _g, managedFields: _m, generateName, ...rest } = meta;
  const kept = present({ ...rest, ownerReferences: translated(meta.ownerReferences, V3, V1) });
  return present({
    name,
    generateName,
    namespace,
    resourceVersion,
    uid: uid && mirroredUid(uid),
    // Kubernetes acts on these only where they are its own.
    finalizers: meta.finalizers,
    labels: some(calicos(meta.labels)),
    annotations: { ...calicos(meta.annotations), [METADATA_ANNOTATION]: JSON.stringify(kept) },
  } as ObjectMeta);
}

function stored(text: string | undefined): Partial<ObjectMeta> {
  try {
    const value: unknown = JSON.parse(text ?? "{}");
    return isObject(value) ? (present(value) as Partial<ObjectMeta>) : {};
  } catch {
    return {};
  }
}

/** The v3 metadata of an object that came with `meta`. Without the annotation it is the object's own. */
export function fromV1Metadata(meta: ObjectMeta): ObjectMeta {
  const { [METADATA_ANNOTATION]: text, ...annotations } = meta.annotations ?? {};
  const kept = stored(text);
  const owners = text === undefined ? meta.ownerReferences : (kept.ownerReferences ?? meta.ownerReferences);
  return present({
    ...meta,
    ...kept,
    name: meta.name,
    namespace: meta.namespace,
    resourceVersion: meta.resourceVersion,
    uid: meta.uid && mirroredUid(meta.uid),
    generation: meta.generation,
    finalizers: meta.finalizers,
    deletionTimestamp: meta.deletionTimestamp,
    ownerReferences: translated(owners, V1, V3),
    labels: some({ ...meta.labels, ...kept.labels }),
    annotations: some({ ...annotations, ...kept.annotations }),
  } as ObjectMeta);
}
