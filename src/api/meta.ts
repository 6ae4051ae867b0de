// What every resource has: Kubernetes' own metadata. https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/object-meta/

export type OwnerReference = { apiVersion: string; kind: string; name: string; uid: string; controller?: boolean; blockOwnerDeletion?: boolean };

export type ObjectMeta = {
  name: string;
  generateName?: string;
  namespace?: string;
  uid?: string;
  /** Opaque: the store's revision as a decimal text. */
  resourceVersion?: string;
  generation?: number;
  creationTimestamp?: string;
  deletionTimestamp?: string;
  deletionGracePeriodSeconds?: number;
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
  finalizers?: string[];
  ownerReferences?: OwnerReference[];
  managedFields?: Record<string, unknown>[];
};

export type Resource = { apiVersion: string; kind: string; metadata: ObjectMeta };
export type ResourceList<T extends Resource = Resource> = {
  apiVersion: string;
  kind: string;
  metadata: { resourceVersion?: string; continue?: string; remainingItemCount?: number };
  items: T[];
};
export type WatchEvent<T extends Resource = Resource> = { type: "ADDED" | "MODIFIED" | "DELETED" | "BOOKMARK"; object: T };

/** One reason why a field is refused. `field` is a path such as spec.wireguardListeningPort. */
export type FieldError = { field: string; reason: string; message: string };
