// Events of a watch as lines of JSON, in the form that was asked for. A change goes to all of its watchers in one turn of the event loop: its line is made
// once for all who want the same form, and nothing of it stays behind.
import { apiVersionOf, type Kind } from "../../api/kind.ts";
import type { Resource } from "../../api/meta.ts";
import type { Stored } from "../../store/store.ts";
import type { Form } from "../wire/accept.ts";
import { bookmarkRow, columnDefinitions, type IncludeObject, partial, rowOf, table } from "../wire/table.ts";
import type { Registry } from "./registry.ts";
import { storedText } from "./stored.ts";

export type EventType = "ADDED" | "MODIFIED" | "DELETED";
type Version = Pick<Stored, "value" | "revision">;

/** Lines by the value that they show. */
const lines = new Map<Uint8Array, Map<string, Uint8Array>>();

function linesOf(value: Uint8Array): Map<string, Uint8Array> {
  let found = lines.get(value);
  if (!found) {
    if (lines.size === 0) queueMicrotask(() => lines.clear());
    lines.set(value, (found = new Map()));
  }
  return found;
}

export class Encoder {
  readonly #registry: Registry;
  readonly #kind: Kind;
  readonly #form: Form;
  readonly #include: IncludeObject;
  readonly #now: () => number;
  /** What the line depends on beside its event. */
  readonly #name: string;
  #first = true;

  constructor(registry: Registry, kind: Kind, form: Form, include: IncludeObject, now: () => number) {
    this.#registry = registry;
    this.#kind = kind;
    this.#form = form;
    this.#include = include;
    this.#now = now;
    this.#name = `${apiVersionOf(kind)} ${form.as} ${form.version} ${include}`;
  }

  /** The object of `version` as an event. Shared: do not change it. */
  event(type: EventType, version: Version): Uint8Array {
    const known = linesOf(version.value);
    const name = `${this.#first ? "first " : ""}${type} ${version.revision} ${this.#name}`;
    let line = known.get(name);
    if (!line) known.set(name, (line = this.#line(type, version)));
    this.#first = false;
    return line;
  }

  #line(type: EventType, version: Version): Uint8Array {
    if (this.#form.as === "Object") return storedText(this.#registry, this.#kind, version, `{"type":"${type}","object":`, "}\n");
    const object = this.#registry.decode(this.#kind, version.value, version.revision);
    if (this.#form.as === "PartialObjectMetadata") return wrapped(type, partial(object, this.#form.version));
    const row = rowOf(this.#kind, object, { now: this.#now(), include: this.#include, version: this.#form.version });
    return this.#row(type, object, row);
  }

  /** `object` has nothing but what a bookmark says. */
  bookmark(object: Resource): Uint8Array {
    const { as, version } = this.#form;
    const line =
      as === "Object"
        ? wrapped("BOOKMARK", object)
        : as === "PartialObjectMetadata"
          ? wrapped("BOOKMARK", partial(object, version))
          : this.#row("BOOKMARK", object, bookmarkRow(this.#kind, object, version));
    this.#first = false;
    return line;
  }

  // Columns are said once.
  #row(type: string, object: Resource, row: object): Uint8Array {
    const definitions = this.#first ? columnDefinitions(this.#kind) : null;
    return wrapped(type, table(this.#form.version, { resourceVersion: object.metadata.resourceVersion }, definitions, [row]));
  }
}

const wrapped = (type: string, object: object): Uint8Array => Buffer.from(`{"type":"${type}","object":${JSON.stringify(object)}}\n`);
