// create, apply, replace, delete, validate.
import { messageOf, TortieError } from "../../base/errors.ts";
import type { Backend } from "./backend.ts";
import { checkChange, checkDocument } from "./check.ts";
import { fileError, inNamespace, type Item, readItems } from "./input.ts";
import { type Failure, report, reportDeletion } from "./report.ts";
import { typeOf } from "./types.ts";

export type FileOptions = { filename?: string; recursive?: boolean; skipEmpty?: boolean; namespace?: string };
export type WriteFlags = FileOptions & { skipExists?: boolean; skipNotExists?: boolean };
export type WriteVerb = "create" | "apply" | "replace" | "delete" | "validate";

const PAST: Readonly<Record<WriteVerb, string>> = {
  create: "created",
  apply: "applied",
  replace: "replaced",
  delete: "deleted",
  validate: "validated",
};

/** The resources of -f; every fault of a file is told before anything is written. */
export const itemsOfFile = (options: FileOptions): Item[] =>
  readItems(
    options.filename!,
    { recursive: options.recursive ?? false, skipEmpty: options.skipEmpty ?? false, namespace: options.namespace },
    ({ type, object }) => {
      try {
        checkDocument(type, object);
      } catch (thrown) {
        throw fileError(messageOf(thrown));
      }
    },
  );

/** The resources that KIND NAME… names. */
export function itemsOfNames(kind: string, names: readonly string[], namespace: string | undefined): Item[] {
  const type = typeOf(kind);
  return names.map((name) => inNamespace({ type, object: { apiVersion: "", kind: type.kind.kind, metadata: { name } } }, namespace));
}

const already = (error: unknown): boolean => messageOf(error).startsWith("resource already exists:");
const missing = (error: unknown): boolean => messageOf(error).startsWith("resource does not exist:");

async function act(verb: WriteVerb, { type, object }: Item, backend: Backend | undefined): Promise<unknown> {
  if (verb === "validate") return checkChange(type, object);
  if (verb === "create") return backend!.create(type, object);
  if (verb === "apply") return backend!.apply(type, object);
  if (verb === "replace") return backend!.update(type, object);
  return backend!.delete(type, object);
}

/** Acts on all items in order, going on after failures, and reports. `connect` is called only when there is something to do. */
export async function writeItems(verb: WriteVerb, items: readonly Item[], flags: WriteFlags, connect: () => Promise<Backend>): Promise<number> {
  if (items.length === 0) {
    process.stdout.write("No resources specified\n");
    return 0;
  }
  for (const item of items) if (item.object.metadata.name === "") throw new TortieError("resource name may not be empty");
  const backend = verb === "validate" ? undefined : await connect();
  const done: Item[] = [];
  const failures: Failure[] = [];
  for (const item of items) {
    try {
      await act(verb, item, backend);
      done.push(item);
    } catch (error) {
      if ((flags.skipExists && already(error)) || (flags.skipNotExists && missing(error))) done.push(item);
      else failures.push({ item, error });
    }
  }
  const outcome = { items, done, failures };
  return verb === "delete" ? reportDeletion(outcome) : report(outcome, { verb, past: PAST[verb] });
}
