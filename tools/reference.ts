// What is written from the kinds' schemas: reference pages and definitions (docs/reference), and the check that the TypeScript types say the same
// (src/api/types.cases.ts). `npx tsx tools/reference.ts` writes it anew after a change of a kind.
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { stringify } from "yaml";
import { customResourceDefinition, isCustom } from "../src/api/crd.ts";
import { resourceOf } from "../src/api/kind.ts";
import { KINDS } from "../src/api/kinds.ts";
import { indexPage, kindPage } from "./pages.ts";
import { typeChecks } from "./types.ts";

export const ROOT: string = join(import.meta.dirname, "..");
/** Nothing else may be in here. */
export const DIRECTORY = "docs/reference";
const TYPES = "src/api/types.cases.ts";

/** Paths below ROOT, and what must stand there. */
export async function files(): Promise<Map<string, string>> {
  const made = new Map<string, string>([[`${DIRECTORY}/README.md`, indexPage(KINDS)]]);
  for (const kind of KINDS) {
    made.set(`${DIRECTORY}/${resourceOf(kind)}.md`, kindPage(kind));
    if (isCustom(kind))
      made.set(`${DIRECTORY}/crds/${resourceOf(kind)}.yaml`, stringify(customResourceDefinition(kind), { aliasDuplicateObjects: false }));
  }
  made.set(TYPES, await typeChecks(KINDS));
  return made;
}

/** Files that stand in DIRECTORY, below ROOT. */
export const present = (): string[] =>
  readdirSync(join(ROOT, DIRECTORY), { recursive: true, withFileTypes: true })
    .filter((e) => e.isFile())
    .map((e) => join(e.parentPath, e.name).slice(ROOT.length + 1));

export const read = (path: string): string | undefined => {
  try {
    return readFileSync(join(ROOT, path), "utf8");
  } catch {
    return undefined;
  }
};

if (process.argv[1] === import.meta.filename) {
  const made = await files();
  mkdirSync(join(ROOT, DIRECTORY), { recursive: true });
  for (const path of present()) if (!made.has(path)) rmSync(join(ROOT, path));
  for (const [path, text] of made) {
    mkdirSync(dirname(join(ROOT, path)), { recursive: true });
    writeFileSync(join(ROOT, path), text);
  }
}
