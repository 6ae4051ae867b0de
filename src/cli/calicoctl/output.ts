// What get prints: tables, YAML, JSON, names, and what a template makes of it.
import { readFileSync } from "node:fs";
import { apiVersionOf } from "../../api/kind.ts";
import type { Resource, ResourceList } from "../../api/meta.ts";
import { messageOf, TortieError } from "../../base/errors.ts";
import { tableOf } from "./table.ts";
import type { Value } from "./gotemplate/parse.ts";
import type { Cluster, Heading, ResourceType } from "./types.ts";
import { jsonOf, yamlOf } from "./yaml.ts";

/** One answer: an object that was named, or all of a type. */
export type Result = { readonly type: ResourceType } & ({ readonly object: Resource } | { readonly list: ResourceList });
export type Output = "ps" | "wide" | "yaml" | "json" | "name" | { columns: readonly string[] } | { template: string };

export function parseOutput(text: string | undefined): Output {
  if (text === undefined || text === "" || text === "ps") return "ps";
  if (text === "yml") return "yaml";
  if (text === "wide" || text === "yaml" || text === "json" || text === "name") return text;
  const [format, value] = [text.split("=", 1)[0]!, text.includes("=") ? text.slice(text.indexOf("=") + 1) : ""];
  if (format === "custom-columns") {
    if (value === "") throw new TortieError("need to specify at least one column");
    return { columns: value.split(",") };
  }
  if (format === "go-template") {
    if (value === "") throw new TortieError("need to specify a template");
    return { template: value };
  }
  if (format === "go-template-file") {
    if (value === "") throw new TortieError("need to specify a template file");
    return { template: readTemplate(value) };
  }
  throw new TortieError(`unrecognized output format '${text}'`);
}

function readTemplate(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (thrown) {
    throw new TortieError(`cannot read the template file ${path}: ${messageOf(thrown)}`, { cause: thrown });
  }
}

/** Without what belongs to the server's bookkeeping; with --export also without what belongs to this cluster. */
export function forPrinting(object: Resource, exported: boolean): Resource {
  const { managedFields: _m, generation: _g, ...metadata } = object.metadata;
  if (!exported) return { ...object, metadata };
  const {
    namespace: _n,
    uid: _u,
    resourceVersion: _r,
    creationTimestamp: _c,
    deletionTimestamp: _d,
    deletionGracePeriodSeconds: _s,
    ...kept
  } = metadata;
  return { ...object, metadata: kept };
}

const objectsOf = (result: Result): readonly Resource[] => ("list" in result ? result.list.items : [result.object]);

function headingsOf(type: ResourceType, output: Output): readonly Heading[] {
  if (output === "wide") return type.headings;
  if (typeof output !== "object" || !("columns" in output)) return type.headings.filter((h) => type.shown.includes(h.name));
  return output.columns.map((name) => {
    const found = type.headings.find((h) => h.name === name.toUpperCase());
    if (!found) throw new TortieError(`unknown heading ${name}, valid values are: ${type.headings.map((h) => h.name).join(", ")}`);
    return found;
  });
}

/** Asks for what is shown of the cluster, where it is shown. */
async function shownOf(results: readonly Result[], output: Output, asNumber: () => Promise<string>): Promise<Cluster> {
  const isShown =
    typeof output === "object" && "template" in output
      ? /\bconfig\b/.test(output.template)
      : results.some((r) => headingsOf(r.type, output).some((h) => h.name === "ASN"));
  return { asNumber: isShown ? await asNumber() : "" };
}

function table(result: Result, output: Output, withNamespace: boolean, cluster: Cluster): string {
  const headings = headingsOf(result.type, output);
  const namespace: readonly Heading[] =
    withNamespace && result.type.kind.namespaced ? [{ name: "NAMESPACE", value: (o) => o.metadata.namespace ?? "" }] : [];
  const all = [...namespace, ...headings];
  return tableOf([all.map((h) => h.name), ...objectsOf(result).map((o) => all.map((h) => h.value(o, cluster)))]);
}

const nameOf = (type: ResourceType, object: Resource): string =>
  `${type.kind.singular}${type.kind.group === "" ? "" : `.${type.kind.group}`}/${object.metadata.name}\n`;

export type RenderOptions = { readonly withNamespace: boolean; readonly asNumber: () => Promise<string> };

/** The text of all results in one format. `asNumber` is asked when it is shown: the number of nodes that have none of their own. */
export async function render(results: readonly Result[], output: Output, { withNamespace, asNumber }: RenderOptions): Promise<string> {
  if (output === "name") return results.flatMap((r) => objectsOf(r).map((o) => nameOf(r.type, o))).join("");
  const isTemplate = typeof output === "object" && "template" in output;
  if (output !== "yaml" && output !== "json" && !isTemplate) {
    const cluster = await shownOf(results, output, asNumber);
    return results.map((r) => table(r, output, withNamespace, cluster)).join("");
  }
  const values = results.map((r) =>
    "object" in r
      ? r.object
      : {
          apiVersion: apiVersionOf(r.type.kind),
          kind: `${r.type.kind.kind}List`,
          metadata: { resourceVersion: r.list.metadata.resourceVersion },
          items: r.list.items,
        },
  );
  if (isTemplate) {
    const { renderTemplate } = await import("./gotemplate/run.ts");
    const cluster = await shownOf(results, output, asNumber);
    return renderTemplate(output.template, JSON.parse(JSON.stringify(values)) as Value[], cluster);
  }
  const value = values.length === 1 ? values[0] : values;
  return output === "yaml" ? yamlOf(value) : `${jsonOf(value)}\n`;
}
