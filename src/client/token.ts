// A token in a file, which rotates (a service account's does each hour): read again each minute. While it cannot be read, the last one is kept.
import { readFileSync } from "node:fs";
import { messageOf, TortieError } from "../base/errors.ts";

const AGE_MS = 60_000;

/**
 * The file's token; `first` until it could be read once. Throws TortieError when it could not, and there is no `first`. `clock` gives ms that only grow.
 */
export function tokenIn(path: string, first?: string, clock: () => number = () => performance.now()): () => string {
  let token = first;
  let readAt = -Infinity;
  return () => {
    if (clock() - readAt <= AGE_MS && token !== undefined) return token;
    try {
      const text = readFileSync(path, "utf8").trim();
      // A file that is being written is empty for a moment.
      if (text !== "" || token === undefined) token = text;
      readAt = clock();
    } catch (cause) {
      if (token === undefined) throw new TortieError(`Cannot read the token in "${path}": ${messageOf(cause)}`, { cause });
    }
    return token;
  };
}
