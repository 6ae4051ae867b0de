// Wycheproof's vectors (test/vectors/README.md says whose they are and where they must lie). They are not in this repository: where they are absent, the
// tests on them are skipped, aloud.
import { existsSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { describe } from "vitest";

export type AeadGroup = {
  ivSize: number;
  tests: { tcId: number; key: string; iv: string; aad: string; msg: string; ct: string; tag: string; result: string; flags: string[] }[];
};
export type CurveGroup = { tests: { tcId: number; public: string; private: string; shared: string; flags: string[] }[] };

const places = [new URL("../../../shared/vectors/", import.meta.url).pathname, process.env.VECTORS ?? join(homedir(), ".cache/tortie-vectors")];
const directory = places.map((p) => join(p, "wycheproof")).find((p) => existsSync(join(p, "x25519_test.json")));

/** describe() for tests on these vectors. */
export function describeWycheproof(title: string, body: () => void): void {
  if (directory !== undefined) return void describe(title, body);
  describe.skip(`${title} [skipped: Wycheproof's vectors are not here; scripts/vectors brings them]`, body);
}

export const wycheproof = <G>(name: "x25519" | "chacha20_poly1305" | "xchacha20_poly1305"): G[] =>
  (JSON.parse(readFileSync(join(directory!, `${name}_test.json`), "utf8")) as { testGroups: G[] }).testGroups;
