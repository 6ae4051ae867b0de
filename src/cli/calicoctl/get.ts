// get: what is there, by name, by type or as in a file.
import { messageOf, TortieError } from "../../base/errors.ts";
import type { Backend } from "./backend.ts";
import type { Item } from "./input.ts";
import { forPrinting, parseOutput, render, type Result } from "./output.ts";
import { type FileOptions, itemsOfFile, itemsOfNames } from "./write.ts";
import { singleKind } from "./report.ts";
import { type ResourceType, typeOf } from "./types.ts";

export type GetFlags = FileOptions & { output?: string; allNamespaces?: boolean; export?: boolean };

function typeForGet(word: string): ReturnType<typeof typeOf> {
  try {
    return typeOf(word);
  } catch (thrown) {
    throw new TortieError(`failed to get resources: ${messageOf(thrown)}`, { hint: (thrown as TortieError).hint });
  }
}

type Wanted = { type: ResourceType; items: undefined } | { type: undefined; items: readonly Item[] };

/** What the words and flags ask for: all of a type, or these items. Throws calicoctl's sentences. */
function wantedOf([kind, ...names]: readonly string[], flags: GetFlags): Wanted {
  const { namespace, allNamespaces = false } = flags;
  if (namespace !== undefined && allNamespaces) throw new TortieError("cannot use both --namespace and --all-namespaces flags at the same time");
  if (names.includes("")) throw new TortieError("resource name may not be empty");
  if (allNamespaces && names.length > 0) throw new TortieError("cannot use --all-namespace flag for getting a single resource");
  if (kind === undefined && flags.filename === undefined)
    throw new TortieError("Cannot get resources: neither a kind nor -f FILE is given", { hint: "For example: tortie get nodes -o wide" });
  if (kind !== undefined && flags.filename !== undefined) throw new TortieError("Cannot get resources: a kind and -f FILE exclude each other");
  if (kind === undefined) return { type: undefined, items: itemsOfFile(flags) };
  const type = typeForGet(kind);
  if (!type.kind.namespaced && (allNamespaces || namespace !== undefined)) throw new TortieError(`${type.kind.kind} is not namespaced`);
  return names.length === 0 ? { type, items: undefined } : { type: undefined, items: itemsOfNames(kind, names, namespace) };
}

async function all(backend: Backend, type: ResourceType, flags: GetFlags): Promise<Result> {
  const list = await backend.list(type, type.kind.namespaced && !flags.allNamespaces ? (flags.namespace ?? "default") : undefined);
  return { type, list: { ...list, items: list.items.map((o) => forPrinting(o, false)) } };
}

/** Those of `items` that are there, and why the others are not. */
async function each(backend: Backend, items: readonly Item[], exported: boolean): Promise<{ results: Result[]; errors: string[] }> {
  const results: Result[] = [];
  const errors: string[] = [];
  for (const { type, object } of items) {
    try {
      results.push({ type, object: forPrinting(await backend.get(type, object.metadata.name, object.metadata.namespace), exported) });
    } catch (thrown) {
      errors.push(messageOf(thrown));
    }
  }
  return { results, errors };
}

export async function get(words: readonly string[], flags: GetFlags, connect: () => Promise<Backend>): Promise<number> {
  const output = parseOutput(flags.output);
  const wanted = wantedOf(words, flags);
  if (wanted.items?.length === 0) {
    process.stdout.write("No resources specified\n");
    return 0;
  }
  if (typeof output === "object" && "columns" in output && wanted.items && singleKind(wanted.items) === undefined)
    throw new TortieError("Cannot print custom columns of several kinds at once");
  const backend = await connect();
  const { results, errors } = wanted.type
    ? { results: [await all(backend, wanted.type, flags)], errors: [] }
    : await each(backend, wanted.items, flags.export ?? false);
  const withNamespace = flags.allNamespaces === true || flags.namespace !== undefined;
  if (results.length > 0) process.stdout.write(await render(results, output, { withNamespace, asNumber: () => backend.asNumber() }));
  for (const e of errors) process.stderr.write(`${e}\n`);
  return errors.length > 0 ? 1 : 0;
}
