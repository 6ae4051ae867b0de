// Captures that other people made are not in this repository. Where they lie beside it, tests use them; elsewhere they are skipped, aloud.
import { existsSync, readFileSync } from "node:fs";
import { describe } from "vitest";

const directory = new URL("../../../shared/captures/", import.meta.url);

/** describe() for tests on other people's captures. */
export function describeShared(title: string, body: () => void): void {
  if (existsSync(directory)) return void describe(title, body);
  describe.skip(`${title} [skipped: other people's captures are not here: ../shared/captures beside the repository]`, body);
}
export const sharedPath = (name: string): string => new URL(name, directory).pathname;
export const shared = (name: string): Uint8Array => new Uint8Array(readFileSync(new URL(name, directory)));
