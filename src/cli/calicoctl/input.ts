// Resources from files: -f FILE | - | DIR, several documents, lists, arrays; JSON is YAML. Everything is read before the first write.
import { readdirSync, readFileSync, readSync, statSync } from "node:fs";
import { join } from "node:path";
import { isAlias, parseAllDocuments, visit } from "yaml";
import type { Resource } from "../../api/meta.ts";
import { messageOf, TortieError } from "../../base/errors.ts";
import { type ResourceType, typeOfDocument } from "./types.ts";

export type Item = { readonly type: ResourceType; readonly object: Resource };
/** Of one file, or of standard input. */
const INPUT_LIMIT = 10 << 20;

/** Every error here is one of the file: calicoctl puts these words in front. */
export const fileError = (why: string): TortieError => new TortieError(`failed to execute command: ${why}`);

function filesOf(path: string, recursive: boolean): string[] {
  if (path === "-") return [path];
  let names: string[];
  try {
    if (!statSync(path).isDirectory()) return [path];
    names = readdirSync(path, { recursive, encoding: "utf8" });
  } catch (thrown) {
    throw fileError((thrown as NodeJS.ErrnoException).code === "ENOENT" ? `open ${path}: no such file or directory` : messageOf(thrown));
  }
  return names
    .filter((n) => /\.(ya?ml|json)$/.test(n))
    .sort()
    .map((n) => join(path, n));
}

/** All of standard input, which may be a pipe that another program made non-blocking: then "nothing yet" is no error. */
function readStdin(): string {
  const chunks: Buffer[] = [];
  let total = 0;
  for (;;) {
    const chunk = Buffer.alloc(64 << 10);
    try {
      const length = readSync(0, chunk);
      if (length === 0) return Buffer.concat(chunks).toString("utf8");
      chunks.push(chunk.subarray(0, length));
      total += length;
      if (total > INPUT_LIMIT) throw new TortieError(`standard input exceeds ${INPUT_LIMIT} bytes`);
    } catch (thrown) {
      const { code } = thrown as NodeJS.ErrnoException;
      if (code === "EOF") return Buffer.concat(chunks).toString("utf8");
      if (code !== "EAGAIN") throw thrown;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10);
    }
  }
}

function read(path: string): string {
  try {
    return path === "-" ? readStdin() : readFileSync(path, "utf8");
  } catch (thrown) {
    throw fileError(messageOf(thrown));
  }
}

/** The values of all documents in `text`; aliases are refused, because a few of them make gigabytes. */
function valuesOf(text: string, where: string): unknown[] {
  if (text.length > INPUT_LIMIT) throw fileError(`${where} exceeds ${INPUT_LIMIT} bytes`);
  return parseAllDocuments(text, { uniqueKeys: true, prettyErrors: true, logLevel: "silent" }).map((document) => {
    const [error] = document.errors;
    // The parser calls itself for each level, until it cannot.
    if (error?.message.startsWith("Maximum call stack")) throw fileError(`${where}: it is nested too deep`);
    if (error) throw fileError(`${where}: ${error.message.split("\n", 1)[0]!.replace(/:$/, "")}`);
    visit(document, (_, node) => {
      if (isAlias(node)) throw fileError(`${where}: YAML aliases are not supported`);
    });
    return document.toJS() as unknown;
  });
}

/** The values of all documents in `path`: a file, - for standard input, a directory. */
export const readDocuments = (path: string, recursive: boolean): unknown[] => filesOf(path, recursive).flatMap((file) => valuesOf(read(file), file));

const isMap = (v: unknown): v is Record<string, unknown> => typeof v === "object" && v !== null && !Array.isArray(v);

const word = (v: unknown): string => (typeof v === "string" ? v : v === undefined ? "" : JSON.stringify(v));

/** The resources of one document: one, a list, or an array of either. */
function itemsOf(value: unknown): Item[] {
  if (value === null || value === undefined) return [];
  if (Array.isArray(value)) return value.flatMap(itemsOf);
  if (!isMap(value)) throw fileError("a document is not a resource: it must be a mapping with apiVersion, kind and metadata");
  const found = typeOfDocument(value.apiVersion, value.kind);
  if (!found) throw fileError(`unknown resource type (${word(value.kind)}) and/or version (${word(value.apiVersion)})`);
  if (found.list) {
    const items = value.items ?? [];
    if (!Array.isArray(items)) throw fileError(`items of a ${word(value.kind)} must be a list`);
    return items.flatMap((i: unknown) => itemsOf(isMap(i) ? { apiVersion: value.apiVersion, kind: found.type.kind.kind, ...i } : i));
  }
  const metadata = value.metadata ?? {};
  if (!isMap(metadata)) throw fileError("metadata must be a mapping");
  const name = metadata.name ?? "";
  if (typeof name !== "string") throw fileError(`metadata.name must be a string, not ${JSON.stringify(name)}`);
  return [{ type: found.type, object: { ...value, metadata: { ...metadata, name } } as Resource }];
}

/** The resources of all documents in `text`, which came from `where`. */
export const itemsOfText = (text: string, where: string): Item[] => valuesOf(text, where).flatMap(itemsOf);

/**
 * The resources that `-f path` names, in order, checked by `check` (throws) one by one. A namespaced one without namespace is in `namespace`, or default.
 * An empty result throws unless `skipEmpty`.
 */
export function readItems(
  path: string,
  options: { recursive: boolean; skipEmpty: boolean; namespace: string | undefined },
  check: (item: Item) => void = () => {},
): Item[] {
  const items = readDocuments(path, options.recursive).flatMap(itemsOf);
  if (items.length === 0 && !options.skipEmpty) {
    const isDirectory = path !== "-" && statSync(path).isDirectory();
    throw new TortieError(isDirectory ? `no resources specified in directory ${path}` : `no resources specified in file ${path}`);
  }
  return items.map((item) => {
    check(item);
    return inNamespace(item, options.namespace);
  });
}

/** `item` in the namespace that -n gives, or its own, or default. */
export function inNamespace(item: Item, namespace: string | undefined): Item {
  const { type, object } = item;
  const own = object.metadata.namespace;
  if (!type.kind.namespaced) {
    if (own !== undefined || namespace !== undefined)
      throw new TortieError(`namespace should not be specified for a non-namespaced resource. ${type.kind.kind} is not a namespaced resource`);
    return item;
  }
  if (own !== undefined && namespace !== undefined && own !== namespace)
    throw new TortieError(`resource namespace does not match client namespace. ${own} != ${namespace}`);
  return { type, object: { ...object, metadata: { ...object.metadata, namespace: own ?? namespace ?? "default" } } };
}
