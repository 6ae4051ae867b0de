// get: what is there, by name, by type or as in a file.
import { messageOf, TortieError } from "../../base/errors.ts";
import type { Backend } from "./backend.ts";
import { forPrinting, parseOutput, render, type Result } from "./output.ts";
import { type FileOptions, itemsOfFile, itemsOfNames } from "./write.ts";
import { singleKind } from "./report.ts";
import { typeOf } from "./types.ts";
import type { Item } from "./input.ts";

export type GetFlags = FileOptions & { output?: string; allNamespaces?: boolean; export?: boolean };

function typeForGet(word: string): ReturnType<typeof typeOf> {
  try {
    return typeOf(word);
  } catch (thrown) {
    throw new TortieError(`failed to get resources: ${messageOf(thrown)}`, { hint: (thrown as TortieError).hint });
  }
}

export async function get(words: readonly string[], flags: GetFlags, connect: () => Promise<Backend>): Promise<number> {
  const output = parseOutput(flags.output);
  const { namespace, allNamespaces = false } = flags;
  if (namespace !== undefined && allNamespaces) throw new TortieError("cannot use both --namespace and --all-namespaces flags at the same time");
  const [kind, ...names] = words;
  if (names.includes("")) throw new TortieError("resource name may not be empty");
  if (allNamespaces && names.length > 0) throw new TortieError("cannot use --all-namespace flag for getting a single resource");
  if (kind === undefined && flags.filename === undefined)
    throw new TortieError("Cannot get resources: neither a kind nor -f FILE is given", { hint: "For example: tortie get nodes -o wide" });
  if (kind !== undefined && flags.filename !== undefined) throw new TortieError("Cannot get resources: a kind and -f FILE exclude each other");

  const type = kind === undefined ? undefined : typeForGet(kind);
  if (type && !type.kind.namespaced && (allNamespaces || namespace !== undefined)) throw new TortieError(`${type.kind.kind} is not namespaced`);
  const items: Item[] = type === undefined ? itemsOfFile(flags) : itemsOfNames(kind!, names, namespace);
  if (type === undefined && items.length === 0) {
    process.stdout.write("No resources specified\n");
    return 0;
  }
  const exported = flags.export === true && items.length > 0;
  const backend = await connect();
  const results: Result[] = [];
  const errors: string[] = [];
  if (type && items.length === 0) {
    const list = await backend.list(type, type.kind.namespaced && !allNamespaces ? (namespace ?? "default") : undefined);
    results.push({ type, list: { ...list, items: list.items.map((o) => forPrinting(o, false)) } });
  }
  for (const item of items) {
    try {
      const object = await backend.get(item.type, item.object.metadata.name, item.object.metadata.namespace);
      results.push({ type: item.type, object: forPrinting(object, exported) });
    } catch (thrown) {
      errors.push(messageOf(thrown));
    }
  }
  if (typeof output === "object" && singleKind(items) === undefined && type === undefined)
    throw new TortieError("Cannot print custom columns of several kinds at once");
  if (results.length > 0) process.stdout.write(render(results, output, allNamespaces || namespace !== undefined));
  for (const e of errors) process.stderr.write(`${e}\n`);
  return errors.length > 0 ? 1 : 0;
}
