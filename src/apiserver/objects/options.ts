// What the query and the body of a write ask for beside the object: dry run, field validation, preconditions. Texts of the errors as Kubernetes'.
import { isObject } from "../../api/json.ts";
import type { Kind } from "../../api/kind.ts";
import { badRequest, invalid } from "../../api/status.ts";
import { messageOf } from "../../base/errors.ts";
import { decodeDeleteOptions } from "../wire/body.ts";
import type { ApiRequest } from "../wire/request.ts";
import type { DeleteOptions, Propagation } from "./deletion.ts";
import type { FieldValidation } from "./prepare.ts";
import type { WriteOptions } from "./registry.ts";

/** What the query of a write says. Throws ApiError 422. */
export function writeOptions(request: ApiRequest, kind: Pick<Kind, "builtIn">, options: string): WriteOptions {
  const dryRun = request.query.getAll("dryRun");
  if (dryRun.some((d) => d !== "All"))
    throw invalidOption(options, "dryRun", `Unsupported value: ${JSON.stringify(dryRun)}: supported values: "All"`);
  const validation = request.query.get("fieldValidation") ?? "";
  if (validation !== "" && validation !== "Strict" && validation !== "Warn" && validation !== "Ignore")
    throw invalidOption(options, "fieldValidation", `Unsupported value: ${JSON.stringify(validation)}: supported values: "Ignore", "Warn", "Strict"`);
  return { user: request.user, dryRun: dryRun.length > 0, validation: validation === "" ? usualValidation(kind) : validation };
}

// A setting that nobody reads is a setting that somebody believes in: our kinds refuse what they do not know unless asked otherwise. Others' objects
// of the core kinds come from many writers and carry more than we declare.
const usualValidation = (kind: Pick<Kind, "builtIn">): FieldValidation => (kind.builtIn ? "Warn" : "Strict");

export const invalidOption = (options: string, field: string, message: string): Error =>
  invalid({ group: "meta.k8s.io", kind: options }, "", [
    { field, reason: message.startsWith("Forbidden") ? "FieldValueForbidden" : "FieldValueNotSupported", message },
  ]);

const isPropagation = (value: unknown): value is Propagation => value === "Background" || value === "Foreground" || value === "Orphan";

/** `propagationPolicy`, or the flag that came before it. Throws ApiError 422. */
function propagationOf(policy: unknown, orphanDependents: unknown): { propagationPolicy?: Propagation } {
  const orphans = typeof orphanDependents === "boolean";
  if (policy === undefined || policy === null) return orphans ? { propagationPolicy: orphanDependents ? "Orphan" : "Background" } : {};
  if (!isPropagation(policy))
    throw invalidOption(
      "DeleteOptions",
      "propagationPolicy",
      `Unsupported value: ${JSON.stringify(policy)}: supported values: "Foreground", "Background", "Orphan", "nil"`,
    );
  if (orphans) throw invalidOption("DeleteOptions", "propagationPolicy", "Forbidden: orphanDependents and propagationPolicy cannot be both set");
  return { propagationPolicy: policy };
}

/** Whole seconds, or nothing. Throws ApiError 400. */
function secondsOf(value: unknown): { gracePeriodSeconds?: number } {
  if (value === undefined || value === null) return {};
  if (typeof value !== "number" || !Number.isSafeInteger(value))
    throw badRequest(`error decoding DeleteOptions: gracePeriodSeconds: ${JSON.stringify(value)} is not a whole number`);
  return { gracePeriodSeconds: value };
}
const secondsIn = (text: string | null): unknown => (text === null || text === "" ? undefined : /^-?[0-9]{1,15}$/.test(text) ? Number(text) : text);

/** What the query and the body of a delete say. Throws ApiError. */
export async function deleteOptions(request: ApiRequest, kind: Kind): Promise<WriteOptions & DeleteOptions> {
  const usual = writeOptions(request, kind, "DeleteOptions");
  const bytes = await request.body();
  if (bytes.length === 0)
    return {
      ...usual,
      ...propagationOf(request.query.get("propagationPolicy"), undefined),
      ...secondsOf(secondsIn(request.query.get("gracePeriodSeconds"))),
    };
  let value: unknown;
  try {
    value = await decodeDeleteOptions(bytes, request.headers["content-type"]);
  } catch (thrown) {
    throw badRequest(`error decoding DeleteOptions: ${messageOf(thrown)}`);
  }
  if (!isObject(value)) throw badRequest("error decoding DeleteOptions: it is not an object");
  const { preconditions, propagationPolicy, orphanDependents, dryRun, gracePeriodSeconds } = value;
  const propagation = propagationOf(propagationPolicy, orphanDependents);
  if (dryRun !== undefined && dryRun !== null && !(Array.isArray(dryRun) && dryRun.every((d) => d === "All")))
    throw invalidOption("DeleteOptions", "dryRun", `Unsupported value: ${JSON.stringify(dryRun)}: supported values: "All"`);
  const conditions = isObject(preconditions) ? preconditions : {};
  return {
    ...usual,
    ...propagation,
    ...secondsOf(gracePeriodSeconds),
    dryRun: usual.dryRun || (Array.isArray(dryRun) && dryRun.length > 0),
    ...(typeof conditions.uid === "string" ? { uid: conditions.uid } : {}),
    ...(typeof conditions.resourceVersion === "string" ? { resourceVersion: conditions.resourceVersion } : {}),
  };
}
