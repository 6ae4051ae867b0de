// Checks the direction of imports (DESIGN.md, Folders): a folder imports only from folders listed before it.
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";

export const ORDER: readonly string[] = [
  "base",
  "wireguard",
  "packet",
  "offload",
  "api",
  "uapi",
  "capture",
  "store",
  "sys",
  "client",
  "crypto",
  "runtime",
  "apiserver",
  "agent",
  "lab",
  "cli",
];

/** One line for each import in `text` (of src/`file`) that goes against the order. */
export function violations(file: string, text: string): string[] {
  const from = file.split("/")[0]!;
  const found: string[] = [];
  for (const m of text.matchAll(/(?:from|import)\s*\(?\s*"(\.{1,2}\/[^"]+)"/g)) {
    const to = normalize(join(dirname(file), m[1]!)).split("/")[0]!;
    if (to !== from && !(ORDER.indexOf(to) < ORDER.indexOf(from) && ORDER.includes(to)))
      found.push(`src/${file}: ${from} must not import from ${to} (${m[1]})`);
  }
  return found;
}

if (process.argv[1] === import.meta.filename) {
  // Tests are not shipped: those of the protocol, say, need an implementation of its crypto interface.
  const sources = readdirSync("src", { recursive: true, encoding: "utf8" }).filter((f) => f.endsWith(".ts") && !/\.(test|cases)\.ts$/.test(f));
  const bad = sources.flatMap((f) => violations(f, readFileSync(`src/${f}`, "utf8")));
  for (const line of bad) process.stderr.write(`${line}\n`);
  process.exitCode = bad.length > 0 ? 1 : 0;
}
