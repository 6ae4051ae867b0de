// Calico's resources of projectcalico.org/v3 as custom resources of crd.projectcalico.org/v1, and back: kind, metadata, and the two specs that differ.
import type { Kind } from "../../api/kind.ts";
import { apiVersionOf } from "../../api/kind.ts";
import type { Resource } from "../../api/meta.ts";
import { fromV1Metadata, toV1Metadata } from "./metadata.ts";

type Spec = Record<string, unknown>;
type WithSpec = Resource & { spec?: Spec };

/** Kinds of other names in v1; the rest have the same. */
const RENAMED: Readonly<Record<string, Pick<Kind, "kind" | "plural" | "singular">>> = {
  IPAMConfiguration: { kind: "IPAMConfig", plural: "ipamconfigs", singular: "ipamconfig" },
};

/** True for the kinds that are custom resources of v1 in layouts A and B. Our own kinds and those of Kubernetes are what they are. */
export const isCalicoKind = (kind: Pick<Kind, "group">): boolean => kind.group === "projectcalico.org";

/** The kind under which v1 has it. */
export const v1Kind = <T extends Resource>(kind: Kind<T>): Kind<T> => ({
  ...kind,
  group: "crd.projectcalico.org",
  version: "v1",
  ...RENAMED[kind.kind],
});

const changed = (object: Resource, spec: (s: Spec) => Spec): Resource => {
  const { spec: before } = object as WithSpec;
  return before === undefined ? object : ({ ...object, spec: spec(before) } as Resource);
};

/** "deleted" of a block's claim is a text in v1. */
function toV1Spec(object: Resource): Resource {
  if (object.kind !== "BlockAffinity") return object;
  return changed(object, (s) => ({ ...s, deleted: s.deleted === true ? "true" : "false" }));
}
function fromV1Spec(object: Resource): Resource {
  if (object.kind !== "BlockAffinity") return object;
  return changed(object, (s) => ({ ...s, type: s.type || "host", deleted: s.deleted === true || s.deleted === "true" }));
}

/** The v1 object to send for a v3 object. */
export function toV1<T extends Resource>(kind: Kind<T>, object: T): T {
  const wire = v1Kind(kind);
  const named = toV1Spec({ ...object, kind: kind.kind });
  return { ...named, apiVersion: apiVersionOf(wire), kind: wire.kind, metadata: toV1Metadata(object.metadata) } as T;
}

/** The v3 object that a v1 object means. */
export function fromV1<T extends Resource>(kind: Kind<T>, object: T): T {
  const named = { ...object, apiVersion: apiVersionOf(kind), kind: kind.kind, metadata: fromV1Metadata(object.metadata) };
  return fromV1Spec(named) as T;
}
