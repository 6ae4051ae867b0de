// All objects of a kind, held in memory by whoever decides by them, up to date before the write that changed them is answered.
import type { Kind } from "../../api/kind.ts";
import type { Resource } from "../../api/meta.ts";
import { prefixOf, type Registry } from "./registry.ts";

/** Gives `listener` all objects of a kind now, and again after each change; the result ends it. */
export async function follow<T extends Resource>(registry: Registry, kind: Kind<T>, listener: (objects: readonly T[]) => void): Promise<() => void> {
  const plain = kind as unknown as Kind;
  const prefix = prefixOf(plain);
  const { items, revision } = await registry.store.range(prefix);
  const known = new Map(items.map((s) => [s.key, registry.decode(plain, s.value, s.revision) as T]));
  const tell = (): void => listener([...known.values()]);
  tell();
  return registry.store.watch(prefix, revision, (changes) => {
    for (const { key, value, revision: at } of changes)
      if (value === undefined) known.delete(key);
      else known.set(key, registry.decode(plain, value, at) as T);
    tell();
  });
}
