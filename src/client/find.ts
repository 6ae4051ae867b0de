import type { Kind } from "../api/kind.ts";
import type { Resource } from "../api/meta.ts";
import { isNotFound } from "./error.ts";
import type { Client } from "./types.ts";

/** The object of a cluster-scoped kind, or undefined when there is none. Other errors are thrown. */
export async function find<T extends Resource>(client: Client, kind: Kind<T>, name: string): Promise<T | undefined> {
  try {
    return await client.get(kind, name);
  } catch (thrown) {
    if (isNotFound(thrown)) return undefined;
    throw thrown;
  }
}
