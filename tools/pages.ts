// Reference pages of the kinds, in Markdown, from their schemas.
import { isCustom } from "../src/api/crd.ts";
import { limitsOf, typeName, wordsOf } from "../src/api/explain.ts";
import { apiVersionOf, type Kind, resourceOf } from "../src/api/kind.ts";
import type { Schema } from "../src/api/schema.ts";

const cell = (text: string): string => text.replaceAll("|", "\\|").replaceAll("\n", " ");
const row = (...cells: string[]): string => `| ${cells.map(cell).join(" | ")} |\n`;
const code = (text: string): string => `\`${text}\``;
const WRITTEN = "<!-- Written from the kind's schema by tools/reference.ts: change that, not this. -->\n";

export function kindPage(kind: Kind): string {
  const names = [kind.plural, kind.singular, ...kind.shortNames].map(code).join(", ");
  const columns = kind.columns.length > 0 ? kind.columns.map((c) => (c.priority > 0 ? `${c.name} (wide)` : c.name)).join(", ") : "Age";
  const facts: [string, string][] = [
    ["apiVersion", code(apiVersionOf(kind))],
    ["kind", code(kind.kind)],
    ["names", names],
    ["scope", kind.namespaced ? "a namespace" : "the cluster"],
    ["status", kind.hasStatus ? `written through ${code("/status")}` : "none"],
    ["patches", kind.builtIn ? "JSON, merge, strategic" : "JSON, merge"],
    ["field selectors", ["metadata.name", ...(kind.namespaced ? ["metadata.namespace"] : []), ...(kind.selectable ?? [])].map(code).join(", ")],
    ["columns", columns],
    ...(isCustom(kind) ? [["definition", `[crds/${resourceOf(kind)}.yaml](crds/${resourceOf(kind)}.yaml)`] as [string, string]] : []),
  ];
  return (
    `${WRITTEN}# ${kind.kind}\n\n${kind.schema.description}\n\n` +
    `| | |\n| --- | --- |\n${facts.map(([k, v]) => row(k, v)).join("")}\n` +
    `## Fields\n\nBeside \`apiVersion\`, \`kind\` and [metadata](README.md#metadata).\n\n${fieldTable(kind.schema, ["apiVersion", "kind", "metadata"])}\n` +
    `\`tortie explain ${resourceOf(kind)}\` and \`kubectl explain ${resourceOf(kind)}\` show the same.\n`
  );
}

/** A row for each field below `schema`, but for those of its own that are left out. */
export function fieldTable(schema: Schema, without: readonly string[] = []): string {
  const rows: string[] = [];
  const walk = (s: Schema, path: string): void => {
    if (s.items) walk(s.items, `${path}[]`);
    else if (s.additionalProperties) walk(s.additionalProperties, `${path}.*`);
    for (const [name, field] of Object.entries(s.properties ?? {})) {
      if (path === "" && without.includes(name)) continue;
      const at = path === "" ? name : `${path}.${name}`;
      const type = `${typeName(field)}${s.required?.includes(name) ? ", required" : ""}`;
      const choice =
        wordsOf(field).length > 0
          ? [
              `one of ${wordsOf(field)
                .map((w) => code(w === "" ? '""' : w))
                .join(", ")}`,
            ]
          : [];
      const limits = [...choice, ...limitsOf(field)];
      rows.push(row(code(at), type, [field.description ?? "", limits.length > 0 ? `(${limits.join("; ")})` : ""].filter((t) => t !== "").join(" ")));
      walk(field, at);
    }
  };
  walk(schema, "");
  return rows.length === 0 ? "None.\n" : `| field | type | |\n| --- | --- | --- |\n${rows.join("")}`;
}

export function indexPage(kinds: readonly Kind[]): string {
  const groups = [...new Set(kinds.map(apiVersionOf))];
  const table = (apiVersion: string): string =>
    `## ${apiVersion}\n\n| kind | names | what |\n| --- | --- | --- |\n${kinds
      .filter((k) => apiVersionOf(k) === apiVersion)
      .map((k) => row(`[${k.kind}](${resourceOf(k)}.md)`, [k.plural, ...k.shortNames].map(code).join(", "), k.schema.description ?? ""))
      .join("")}`;
  const metadata = kinds[0]!.schema.properties!.metadata!;
  return (
    `${WRITTEN}# The API's kinds\n\n` +
    `What \`tortie server\` serves. Kinds that are not Kubernetes' own can be brought to a real cluster with \`kubectl apply -f docs/reference/crds\`; rules beyond the schema\n` +
    `(such as pools that must be masked) and defaults are this server's alone.\n\n` +
    `${groups.map(table).join("\n")}\n## metadata\n\nEvery object has it.\n\n${fieldTable(metadata)}`
  );
}
