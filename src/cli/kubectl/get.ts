// kubectl get: the server's tables, or the objects themselves; -w follows.
import type { Kind } from "../../api/kind.ts";
import type { Resource, ResourceList } from "../../api/meta.ts";
import { TortieError } from "../../base/errors.ts";
import { pathOf } from "../../client/path.ts";
import type { RestClient } from "../../client/rest.ts";
import { sorted, yamlOf } from "../calicoctl/yaml.ts";
import { refusalText } from "./refusal.ts";
import { type Target, targetsOf, titleOf } from "./resolve.ts";
import { type Table, TablePrinter } from "./table.ts";

const TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";
const FORMATS = ["wide", "yaml", "json", "name"];

export type GetFlags = {
  output?: string;
  allNamespaces?: boolean;
  watch?: boolean;
  watchOnly?: boolean;
  selector?: string;
  fieldSelector?: string;
  headers?: boolean;
  showManagedFields?: boolean;
};
type Context = { client: RestClient; namespace: string; flags: GetFlags; prefixed: boolean };

const out = (text: string): void => void process.stdout.write(text);

const scopeOf = (c: Context, kind: Kind): { namespace?: string } => (kind.namespaced && !c.flags.allNamespaces ? { namespace: c.namespace } : {});
const queryOf = (c: Context): { labelSelector: string | undefined; fieldSelector: string | undefined } => ({
  labelSelector: c.flags.selector,
  fieldSelector: c.flags.fieldSelector,
});

function bare(object: Resource, flags: GetFlags): Resource {
  if (flags.showManagedFields || object.metadata.managedFields === undefined) return object;
  const { managedFields: _, ...metadata } = object.metadata;
  return { ...object, metadata };
}

/** kubectl indents JSON by four. */
function textOf(object: Resource | Record<string, unknown>, output: string, document = false): string {
  return output === "yaml" ? `${document ? "---\n" : ""}${yamlOf(object)}` : `${JSON.stringify(sorted(object), null, 4)}\n`;
}

function print(objects: readonly Resource[], single: boolean, c: Context, kinds: ReadonlyMap<Resource, Kind>): void {
  const output = c.flags.output!;
  const shown = objects.map((o) => bare(o, c.flags));
  if (output === "name") return objects.forEach((o) => out(`${titleOf(kinds.get(o)!, o.metadata.name)}\n`));
  out(textOf(single ? shown[0]! : { apiVersion: "v1", items: shown, kind: "List", metadata: { resourceVersion: "" } }, output));
}

async function objectsOf(c: Context, target: Target): Promise<{ objects: Resource[]; revision: string }> {
  const { kind, name } = target;
  if (name !== undefined) {
    const object = await c.client.get(kind, name, scopeOf(c, kind));
    return { objects: [object], revision: object.metadata.resourceVersion ?? "" };
  }
  const { labelSelector, fieldSelector } = queryOf(c);
  const list: ResourceList = await c.client.list(kind, {
    ...scopeOf(c, kind),
    ...(labelSelector ? { labelSelector } : {}),
    ...(fieldSelector ? { fieldSelector } : {}),
  });
  return { objects: list.items, revision: list.metadata.resourceVersion ?? "" };
}

async function tableOf(c: Context, { kind, name }: Target, printer: TablePrinter): Promise<{ rows: number; revision: string }> {
  const path = pathOf(await c.client.served(kind), { ...scopeOf(c, kind), ...(name === undefined ? {} : { name }) });
  let rows = 0;
  let at: string | undefined;
  for (;;) {
    const query = name === undefined ? { ...queryOf(c), limit: 500, continue: at } : {};
    const table = await c.client.raw<Table>("GET", path, { query, accept: TABLE });
    rows += table.rows?.length ?? 0;
    out(printer.print(table));
    at = table.metadata?.continue || undefined;
    if (at === undefined) return { rows, revision: table.metadata?.resourceVersion ?? table.rows?.[0]?.object?.metadata?.resourceVersion ?? "" };
  }
}

async function follow(c: Context, { kind, name }: Target, revision: string, printer: TablePrinter | undefined): Promise<void> {
  const { labelSelector, fieldSelector: fields } = queryOf(c);
  const fieldSelector = name === undefined ? fields : `metadata.name=${name}`;
  if (printer) {
    const query = { labelSelector, fieldSelector, resourceVersion: revision, watch: true };
    const path = pathOf(await c.client.served(kind), scopeOf(c, kind));
    for await (const { object } of c.client.rawWatch<Table>(path, { query, accept: TABLE })) out(printer.print(object));
    return;
  }
  const selection = { ...(labelSelector ? { labelSelector } : {}), ...(fieldSelector ? { fieldSelector } : {}) };
  for await (const { object } of c.client.watch(kind, { ...scopeOf(c, kind), ...selection, resourceVersion: revision })) {
    if (c.flags.output === "name") out(`${titleOf(kind, object.metadata.name)}\n`);
    else out(textOf(bare(object, c.flags), c.flags.output!, true));
  }
}

export async function get(client: RestClient, words: readonly string[], flags: GetFlags, namespace: string): Promise<number> {
  const { output } = flags;
  if (output !== undefined && !FORMATS.includes(output))
    throw new TortieError(`error: unable to match a printer suitable for the output format "${output}"`, {
      hint: `Ours has ${FORMATS.join(", ")}; the real kubectl has more: apt-get install kubernetes-client.`,
    });
  const targets = targetsOf(words);
  if (flags.allNamespaces && targets.some((t) => t.name !== undefined))
    throw new TortieError("error: a resource cannot be retrieved by name across all namespaces");
  const watching = flags.watch || flags.watchOnly;
  if (watching && targets.length > 1) throw new TortieError("error: you may only specify a single resource type");
  const c: Context = { client, namespace, flags, prefixed: new Set(targets.map((t) => t.kind)).size > 1 };
  return output === undefined || output === "wide" ? tables(c, targets, watching ?? false) : objects(c, targets, watching ?? false);
}

async function objects(c: Context, targets: readonly Target[], watching: boolean): Promise<number> {
  const all: Resource[] = [];
  const kinds = new Map<Resource, Kind>();
  let revision = "";
  let failed = 0;
  for (const target of targets) {
    try {
      const found = await objectsOf(c, target);
      revision = found.revision;
      for (const o of found.objects) kinds.set(o, target.kind);
      all.push(...found.objects);
    } catch (thrown) {
      failed = 1;
      process.stderr.write(`${refusalText(thrown)}\n`);
    }
  }
  const single = targets.length === 1 && targets[0]!.name !== undefined;
  if ((!single || all.length > 0) && !c.flags.watchOnly) print(all, single, c, kinds);
  if (watching && failed === 0) await follow(c, targets[0]!, revision, undefined);
  return failed;
}

async function tables(c: Context, targets: readonly Target[], watching: boolean): Promise<number> {
  const printers = new Map<Kind, TablePrinter>();
  let rows = 0;
  let failed = 0;
  let revision = "";
  for (const target of targets) {
    const { kind } = target;
    let printer = printers.get(kind);
    if (!printer) {
      if (rows > 0) out("\n");
      const options = {
        wide: c.flags.output === "wide",
        namespace: (c.flags.allNamespaces ?? false) && kind.namespaced,
        headers: c.flags.headers !== false,
      };
      printers.set(kind, (printer = new TablePrinter({ ...options, ...(c.prefixed ? { prefix: titleOf(kind, "") } : {}) })));
    }
    try {
      const printed = await tableOf(c, target, printer);
      rows += printed.rows;
      revision = printed.revision;
    } catch (thrown) {
      failed = 1;
      process.stderr.write(`${refusalText(thrown)}\n`);
    }
  }
  if (watching && failed === 0) await follow(c, targets[0]!, revision, printers.get(targets[0]!.kind));
  else if (rows === 0 && failed === 0) {
    const inNamespace = !c.flags.allNamespaces && targets.some((t) => t.kind.namespaced);
    process.stderr.write(inNamespace ? `No resources found in ${c.namespace} namespace.\n` : "No resources found\n");
  }
  return failed;
}
