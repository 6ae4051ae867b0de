// Field selectors, as in ?fieldSelector=: f=v, f==v, f!=v, a comma means "and"; backslash escapes comma, backslash and equals sign.
// Every kind has metadata.name and metadata.namespace; the core kinds have a few more (Kind.selectable), as the API server of Kubernetes.
import { SelectorError } from "./labelselector.ts";
import type { Kind } from "./kind.ts";
import type { Resource } from "./meta.ts";

export type FieldTerm = { field: string; value: string; equal: boolean };
export type FieldSelector = { readonly terms: readonly FieldTerm[]; readonly matches: (object: Resource) => boolean };

function split(text: string): string[] {
  const out = [""];
  for (let i = 0; i < text.length; i++) {
    if (text[i] === "\\") out[out.length - 1] += text[i]! + (text[++i] ?? "");
    else if (text[i] === ",") out.push("");
    else out[out.length - 1] += text[i]!;
  }
  return out.filter((t) => t !== "");
}

function unescape(text: string): string {
  if (/\\(?![\\,=])|(?<!\\)(?:\\\\)*[=]/.test(text)) throw new SelectorError(`invalid field selector: invalid value ${JSON.stringify(text)}`);
  return text.replace(/\\([\\,=])/g, "$1");
}

function term(text: string): FieldTerm {
  const m = /^([^!=]+?)(!=|==|=)(.*)$/s.exec(text);
  if (!m) throw new SelectorError(`invalid selector: '${text}'; can't understand '${text}'`);
  return { field: m[1]!.trim(), equal: m[2] !== "!=", value: unescape(m[3]!) };
}

function valueOf(object: Resource, field: string): string {
  // An event's source is its program, whichever of the two fields says it.
  if (field === "source") return valueOf(object, "source.component") || valueOf(object, "reportingComponent");
  let at: unknown = object;
  for (const part of field.split(".")) at = typeof at === "object" && at !== null ? (at as Record<string, unknown>)[part] : undefined;
  // Absent compares as the zero value of its type.
  if (at === undefined && (field === "spec.unschedulable" || field === "spec.hostNetwork")) return "false";
  return typeof at === "string" || typeof at === "number" || typeof at === "boolean" ? String(at) : "";
}

/** Throws SelectorError, also for a field that `kind` cannot be selected by. */
export function parseFieldSelector(text: string, kind: Pick<Kind, "selectable">): FieldSelector {
  const terms = split(text).map(term);
  for (const { field } of terms) {
    const known = field === "metadata.name" || field === "metadata.namespace" || kind.selectable?.includes(field);
    if (!known) throw new SelectorError(`field label not supported: ${field}`);
  }
  return { terms, matches: (object) => terms.every((t) => (valueOf(object, t.field) === t.value) === t.equal) };
}
