// What can be refused before the server is asked: fields that nobody declared, wrong types, values out of range, rules of the kind.
import type { JsonObject } from "../../api/json.ts";
import type { FieldError, Resource } from "../../api/meta.ts";
import { checkStructure } from "../../api/structure.ts";
import { invalidFields, unrecognised } from "./refusal.ts";
import type { ResourceType } from "./types.ts";

const asJson = (object: Resource): JsonObject => JSON.parse(JSON.stringify(object)) as JsonObject;

/** Throws when a document has undeclared fields or values of the wrong type: what calicoctl calls a file that cannot be read. */
export function checkDocument(type: ResourceType, object: Resource): void {
  const { errors, unknown } = checkStructure(type.kind.schema, asJson(object));
  if (unknown.length > 0) throw unrecognised(unknown);
  const wrong = errors.filter((e) => e.reason === "FieldValueTypeInvalid");
  if (wrong.length > 0) throw invalidFields(wrong, object);
}

/**
 * Throws when `object` may not replace `current`. What was there already and is not touched is no fault of the writer:
 * another version of Calico may know more fields than we do.
 */
export function checkChange(type: ResourceType, object: Resource, current?: Resource): void {
  const known = current && checkStructure(type.kind.schema, asJson(current));
  const { errors, unknown } = checkStructure(type.kind.schema, asJson(object));
  const added = unknown.filter((u) => !known?.unknown.includes(u));
  if (added.length > 0) throw unrecognised(added);
  const same = (a: FieldError, b: FieldError): boolean => a.field === b.field && a.message === b.message;
  const wrong = errors.filter((e) => !known?.errors.some((k) => same(k, e)));
  if (wrong.length > 0) throw invalidFields(wrong, object);
  if (errors.length > 0) return; // the kind's own rules expect what the structure promises
  const broken = type.kind.validate(object, current).filter((e) => !(current && type.kind.validate(current).some((k) => same(k, e))));
  if (broken.length > 0) throw invalidFields(broken, object);
}
