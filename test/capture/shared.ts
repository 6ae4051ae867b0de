// Captures that other people made are not in this repository. Where they lie beside it, tests use them; elsewhere they are skipped, aloud.
import { describe } from "vitest";
import { hasShared } from "./corpus.ts";

export { shared, sharedPath } from "./corpus.ts";

/** describe() for tests on other people's captures. */
export function describeShared(title: string, body: () => void): void {
  if (hasShared()) return void describe(title, body);
  describe.skip(`${title} [skipped: other people's captures are not here: ../shared/captures beside the repository]`, body);
}
