// What may be a name, a label, an annotation. https://kubernetes.io/docs/concepts/overview/working-with-objects/names/ and …/labels/
import type { FieldError, ObjectMeta, OwnerReference } from "./meta.ts";

const LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?";
const DNS_LABEL = new RegExp(`^${LABEL}$`);
const DNS_SUBDOMAIN = new RegExp(`^${LABEL}(\\.${LABEL})*$`);
const QUALIFIED = /^([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$/;
const MAX_ANNOTATIONS = 256 * 1024;

const LABEL_TEXT =
  "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const SUBDOMAIN_TEXT =
  "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const QUALIFIED_TEXT =
  "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const VALUE_TEXT =
  "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";

/** Why `name` cannot be a DNS-1123 label (≤ 63) or subdomain (≤ 253); undefined when it can. */
export function nameProblem(name: string, form: "label" | "subdomain"): string | undefined {
  const [max, re, text] = form === "label" ? ([63, DNS_LABEL, LABEL_TEXT] as const) : ([253, DNS_SUBDOMAIN, SUBDOMAIN_TEXT] as const);
  if (name.length > max) return `must be no more than ${max} characters`;
  return re.test(name) ? undefined : text;
}

/** Why `key` cannot be the key of a label, annotation or finalizer: [prefix/]name. */
export function keyProblem(key: string): string | undefined {
  const parts = key.split("/");
  if (parts.length > 2)
    return `a qualified name ${QUALIFIED_TEXT.slice("name part ".length)} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')`;
  const name = parts.at(-1)!;
  if (parts.length === 2) {
    if (parts[0] === "") return "prefix part must be non-empty";
    const problem = nameProblem(parts[0]!, "subdomain");
    if (problem !== undefined) return `prefix part ${problem}`;
  }
  if (name === "") return "name part must be non-empty";
  if (name.length > 63) return "name part must be no more than 63 characters";
  return QUALIFIED.test(name) ? undefined : QUALIFIED_TEXT;
}

const invalid = (field: string, value: unknown, message: string): FieldError => ({
  field,
  reason: "FieldValueInvalid",
  message: `Invalid value: ${JSON.stringify(value)}: ${message}`,
});

/** What is told of one object: a body of many faults is not answered with a larger one. */
const MAX_REPORTED = 50;

/** Rules of metadata that its schema cannot say. `form` is what the kind's names look like. */
export function validateMetadata(meta: ObjectMeta, form: "label" | "subdomain"): FieldError[] {
  const errors: FieldError[] = [];
  if (meta.name === "")
    errors.push({ field: "metadata.name", reason: "FieldValueRequired", message: "Required value: name or generateName is required" });
  else {
    const problem = nameProblem(meta.name, form);
    if (problem !== undefined) errors.push(invalid("metadata.name", meta.name, problem));
  }
  for (const [key, value] of Object.entries(meta.labels ?? {})) {
    if (errors.length >= MAX_REPORTED) break;
    const problem = keyProblem(key);
    if (problem !== undefined) errors.push(invalid("metadata.labels", key, problem));
    if (value.length > 63) errors.push(invalid("metadata.labels", value, "must be no more than 63 characters"));
    else if (value !== "" && !QUALIFIED.test(value)) errors.push(invalid("metadata.labels", value, VALUE_TEXT));
  }
  let size = 0;
  for (const [key, value] of Object.entries(meta.annotations ?? {})) {
    const problem = errors.length < MAX_REPORTED ? keyProblem(key.toLowerCase()) : undefined;
    if (problem !== undefined) errors.push(invalid("metadata.annotations", key, problem));
    size += key.length + value.length;
  }
  if (size > MAX_ANNOTATIONS)
    errors.push({ field: "metadata.annotations", reason: "FieldValueTooLong", message: `Too long: may not be more than ${MAX_ANNOTATIONS} bytes` });
  for (const finalizer of meta.finalizers ?? []) {
    if (errors.length >= MAX_REPORTED) break;
    const problem = keyProblem(finalizer);
    if (problem !== undefined) errors.push(invalid("metadata.finalizers", finalizer, problem));
  }
  errors.push(...ownerProblems(meta.ownerReferences ?? []));
  return errors;
}

function ownerProblems(owners: readonly OwnerReference[]): FieldError[] {
  const field = "metadata.ownerReferences";
  const errors: FieldError[] = [];
  for (const owner of owners)
    for (const part of ["apiVersion", "kind", "name", "uid"] as const)
      if (owner[part] === "") errors.push(invalid(`${field}.${part}`, "", "must not be empty"));
  const controllers = owners.filter((o) => o.controller).map((o) => o.name);
  if (controllers.length > 1)
    errors.push(
      invalid(
        field,
        owners,
        `Only one reference can have Controller set to true. Found "true" in references for ${controllers.slice(0, 2).join(" and ")}`,
      ),
    );
  return errors;
}

const STANDARD_FINALIZERS = new Set(["kubernetes", "orphan", "foregroundDeletion"]);
/** A finalizer that several programs could mean: its name has no domain. Core kinds refuse it, others warn of it. */
export const isBareFinalizer = (finalizer: string): boolean => !finalizer.includes("/") && !STANDARD_FINALIZERS.has(finalizer);

const NAME_ALPHABET = "bcdfghjklmnpqrstvwxz2456789";

/** `base` (cut to 58) with five random characters; `random` gives whole numbers below its argument. */
export function generatedName(base: string, random: (below: number) => number): string {
  let out = base.slice(0, 58);
  for (let i = 0; i < 5; i++) out += NAME_ALPHABET[random(NAME_ALPHABET.length)]!;
  return out;
}
