// This program, with the Node that runs it, as files for a guest: `node /tortie/dist/cli/main.js` works there as it does here.
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, realpathSync } from "node:fs";
import type { Contents } from "./archive.ts";

const root = new URL("../..", import.meta.url).pathname;

type Package = { readonly dependencies?: object; readonly optionalDependencies?: object };

/** Packages that `folder` needs to run, by name, as far as they are installed. The store's is left out: the API server stays outside. */
function packages(folder: string, found: Map<string, string>): Map<string, string> {
  const { dependencies = {}, optionalDependencies = {} } = JSON.parse(readFileSync(`${folder}/package.json`, "utf8")) as Package;
  for (const name of Object.keys({ ...dependencies, ...optionalDependencies })) {
    const path = `${root}node_modules/${name}`;
    if (name === "lmdb" || found.has(name) || !existsSync(path)) continue;
    found.set(name, path);
    packages(path, found);
  }
  return found;
}

/** What a guest must hold. `foreign`: of a guest with another processor, the folder with a Node and the addon for it (scripts/guest); its libraries are there. */
export function programFiles(foreign?: string): Contents {
  const files = new Map([
    ["/tortie/package.json", `${root}package.json`],
    ["/tortie/dist", `${root}dist`],
  ]);
  for (const [name, path] of packages(root, new Map())) files.set(`/tortie/node_modules/${name}`, path);
  if (foreign !== undefined)
    return files.set("/usr/bin/node", `${foreign}/node/bin/node`).set("/tortie/node_modules/@koromix/koffi-linux-arm64", `${foreign}/koffi`);
  files.set("/usr/bin/node", realpathSync(process.execPath));
  for (const [, library] of execFileSync("ldd", [process.execPath], { encoding: "utf8" }).matchAll(/(\/\S+) \(0x/g)) files.set(library!, library!);
  return files;
}

/** Sources, types and maps stay here. */
export const wantedFile = (path: string): boolean => !/\.(d\.[cm]?ts|map|md|[cm]?ts|h|cc|c|cpp)$/.test(path);
