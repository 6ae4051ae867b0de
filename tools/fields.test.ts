// docs/inspect.md lists every field, and none that is not.
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { PROTOCOLS } from "../src/capture/fields/registry.ts";
import type { Row } from "../src/capture/fields/row.ts";

const namesOf = (rows: readonly Row[]): string[] => rows.flatMap((r) => [...(r.name === "" ? [] : [r.name]), ...namesOf(r.rows ?? [])]);

test("docs/inspect.md lists the fields of each protocol", () => {
  const text = readFileSync(new URL("../docs/inspect.md", import.meta.url), "utf8");
  const listed = new Map<string, string[]>();
  for (const [, protocol, names] of text.matchAll(/^\| `([a-z0-9_]+)` +\| ([a-z_.].*?) +\|$/gm))
    listed.set(
      protocol!,
      names!.split(" ").map((n) => (n.startsWith(".") ? protocol + n : n)),
    );
  for (const p of PROTOCOLS) expect([p.name, listed.get(p.name) ?? []]).toEqual([p.name, [...new Set(namesOf(p.rows))]]);
});
