// Objects by the value of a label: built for a label when it is asked about first, then kept with each change.
import type { Resource } from "../api/meta.ts";

export class LabelIndex<T extends Resource> {
  readonly #byLabel = new Map<string, Map<string, Map<string, T>>>();

  /** The objects of `all` (by their keys) whose label is `value`. */
  get(label: string, value: string, all: ReadonlyMap<string, T>): readonly T[] {
    let values = this.#byLabel.get(label);
    if (!values) {
      this.#byLabel.set(label, (values = new Map()));
      for (const [key, object] of all) put(values, label, key, object);
    }
    return [...(values.get(value)?.values() ?? [])];
  }

  /** The object of `key` was `before` and is `after`. */
  change(key: string, before: T | undefined, after: T | undefined): void {
    for (const [label, values] of this.#byLabel) {
      const [was, is] = [before, after].map((o) => o?.metadata.labels?.[label]);
      if (was !== undefined && was !== is) {
        const objects = values.get(was);
        objects?.delete(key);
        if (objects?.size === 0) values.delete(was);
      }
      if (after) put(values, label, key, after);
    }
  }

  /** All may be different: what is asked about next is built anew. */
  clear(): void {
    this.#byLabel.clear();
  }
}

function put<T extends Resource>(values: Map<string, Map<string, T>>, label: string, key: string, object: T): void {
  const value = object.metadata.labels?.[label];
  if (value === undefined) return;
  let objects = values.get(value);
  if (!objects) values.set(value, (objects = new Map()));
  objects.set(key, object);
}
