// Objects over the store: keys, decoding, and the writes with their retries. The object in the store has no resourceVersion: that is its revision.
import { isObject, type JsonObject } from "../../api/json.ts";
import { apiVersionOf, type Kind } from "../../api/kind.ts";
import type { Resource } from "../../api/meta.ts";
import { NAMESPACE } from "../../api/namespace.ts";
import { generatedName } from "../../api/names.ts";
import { alreadyExists, badRequest, conflict, deleted, invalid, notFound, type Status, unavailable } from "../../api/status.ts";
import { sameObject } from "../../api/structure.ts";
import { type Condition, type Stored, type Store, StoreError, type Transaction } from "../../store/store.ts";
import { admit, type Attempt, type Operation } from "../identity/admission.ts";
import { type Claims, claimsFor, NO_CLAIMS } from "./claims.ts";
import { checkPreconditions, type DeleteOptions, isOver, marked } from "./deletion.ts";
import { openNamespace } from "./namespaces.ts";
import { accept, type Accepted, checkVersion, type FieldValidation, finalizerWarnings, placed, prepareCreate, prepareUpdate } from "./prepare.ts";
import { decodeStored, encodeStored } from "./stored.ts";
import type { Patch } from "../wire/patch.ts";
import type { Target, User } from "../wire/request.ts";

export type WriteOptions = { readonly user: User; readonly dryRun: boolean; readonly validation: FieldValidation };
export type Written = { readonly object: Resource; readonly warnings: readonly string[] };

/** Tries of a patch or a delete whose object keeps changing under it. */
const TRIES = 5;

/** Before the keys of all objects. */
export const ROOT = "/registry/";
export function prefixOf(kind: Kind, namespace = ""): string {
  const { group, plural } = kind.storedAs?.kind ?? kind;
  return `${ROOT}${group === "" ? "core" : group}/${plural}/${namespace === "" ? "" : `${namespace}/`}`;
}
export const keyOf = (kind: Kind, namespace: string, name: string): string => `${prefixOf(kind, kind.namespaced ? namespace : "")}${name}`;

/** What stands at `key`, if it is an object of one of `kinds`. */
export function placeOf(kinds: readonly Kind[], key: string): { kind: Kind; namespace: string; name: string } | undefined {
  const [group, plural, ...rest] = key.slice(ROOT.length).split("/");
  const kind = kinds.find((k) => k.plural === plural && (k.group || "core") === group);
  if (!kind || rest.length !== (kind.namespaced ? 2 : 1)) return undefined;
  return { kind, namespace: kind.namespaced ? rest[0]! : "", name: rest.at(-1)! };
}

export const targetAt = (kind: Kind, namespace: string, name: string): Target => ({ kind, namespace, name, subresource: "", rest: "" });

export type RegistryOptions = {
  readonly store: Store;
  /** ms since 1970. */
  readonly now: () => number;
  /** Gives fresh identities. */
  readonly uid: () => string;
  /** Whole numbers below its argument. */
  readonly random: (below: number) => number;
  /** What is stored in place of the object of an admitted write: some kinds have parts that only the server may say. Throws ApiError. */
  readonly complete?: (attempt: Attempt, user: User) => Resource;
  /** What must hold, and is written, beside the object that is created. Throws ApiError. */
  readonly beside?: (registry: Registry, kind: Kind, made: Resource, user: User) => Promise<Claims>;
};

export class Registry {
  readonly store: Store;
  readonly #now: () => number;
  readonly #uid: () => string;
  readonly #random: (below: number) => number;
  readonly #complete: RegistryOptions["complete"];
  readonly #beside: RegistryOptions["beside"];
  /** Of this turn of the event loop: a change goes to all watchers in one, and what is read again later is rarely the same. */
  readonly #decoded = new Map<Uint8Array, Resource>();

  constructor(options: RegistryOptions) {
    this.store = options.store;
    this.#now = options.now;
    this.#uid = options.uid;
    this.#random = options.random;
    this.#complete = options.complete;
    this.#beside = options.beside;
  }

  /** The present, RFC 3339 with whole seconds. */
  time(): string {
    return `${new Date(this.#now()).toISOString().slice(0, 19)}Z`;
  }

  /** The object in a value of the store, as it was at `revision`. Shared: do not change it. */
  decode(kind: Kind, value: Uint8Array, revision: number): Resource {
    if (kind.storedAs) return kind.storedAs.read(this.decode(kind.storedAs.kind, value, revision));
    let object = this.#decoded.get(value);
    if (!object) {
      if (this.#decoded.size === 0) queueMicrotask(() => this.#decoded.clear());
      object = decodeStored(kind, value, revision);
      this.#decoded.set(value, object);
    }
    return object.metadata.resourceVersion === String(revision) ? object : withVersion(object, revision);
  }

  async find(kind: Kind, namespace: string, name: string): Promise<Resource | undefined> {
    const stored = await this.store.get(keyOf(kind, namespace, name));
    return stored && this.decode(kind, stored.value, stored.revision);
  }

  /** Throws ApiError 404. */
  async get(kind: Kind, namespace: string, name: string): Promise<Resource> {
    const object = await this.find(kind, namespace, name);
    if (!object) throw notFound(kind, name);
    return object;
  }

  async create(target: Target, sent: JsonObject, duplicates: readonly string[], options: WriteOptions): Promise<Written> {
    const { kind, namespace } = target;
    const { object, warnings } = accept(kind, sent, duplicates, options.validation);
    const at = placed(kind, object, namespace);
    for (let attempt = 0; ; attempt++) {
      const name = at.metadata.name !== "" ? at.metadata.name : at.metadata.generateName ? generatedName(at.metadata.generateName, this.#random) : "";
      const prepared = prepareCreate(kind, { ...at, metadata: { ...at.metadata, name } }, { uid: this.#uid(), now: this.time() });
      const made = this.#admitted("create", target, options, prepared, undefined);
      const open = kind.namespaced ? [await this.#inNamespace(kind, made)] : [];
      const key = keyOf(kind, namespace, name);
      const exists = await this.store.get(key);
      if (!exists) {
        const claims = [await claimsFor(this.store, kind, undefined, made), (await this.#beside?.(this, kind, made, options.user)) ?? NO_CLAIMS];
        const written = { object: made, warnings: [...warnings, ...finalizerWarnings(kind, made, undefined)] };
        if (options.dryRun) return written;
        const done = await this.#commit({
          conditions: [{ key, revision: 0 }, ...open, ...claims.flatMap((c) => c.conditions)],
          writes: [{ key, value: encode(kind, made) }, ...claims.flatMap((c) => c.writes)],
        });
        if (done.done) return { ...written, object: withVersion(made, done.revision) };
        // Somebody took the key, or changed the namespace or what is claimed, in this moment: the next round says so.
        if (done.key !== key && attempt >= TRIES) throw conflict(kind, name);
        if (done.key !== key) continue;
      }
      if (at.metadata.name !== "" || attempt >= 8) throw alreadyExists(kind, name);
    }
  }

  /** Holds while the namespace of `object` is there and takes new ones. Throws ApiError: 404, 403. */
  async #inNamespace(kind: Kind, object: Resource): Promise<Condition> {
    const { namespace = "", name, generateName = "" } = object.metadata;
    const open = openNamespace(kind, name || generateName, namespace, await this.find(NAMESPACE, "", namespace));
    return { key: keyOf(NAMESPACE, "", namespace), revision: Number(open.metadata.resourceVersion) };
  }

  async update(target: Target, sent: JsonObject, duplicates: readonly string[], options: WriteOptions): Promise<Written> {
    const accepted = accept(target.kind, sent, duplicates, options.validation);
    return this.#change(target, options, () => accepted, "update");
  }

  async patch(target: Target, patch: Patch, options: WriteOptions): Promise<Written> {
    const { kind } = target;
    return this.#change(
      target,
      options,
      (old) => accept(kind, sameType(kind, patch.apply(old as JsonObject)), patch.duplicates, options.validation),
      "patch",
    );
  }

  async #change(target: Target, options: WriteOptions, change: (old: Resource) => Accepted, how: "update" | "patch"): Promise<Written> {
    const { kind, namespace, name, subresource } = target;
    for (let attempt = 0; ; attempt++) {
      const old = await this.get(kind, namespace, name);
      const { object, warnings: told } = change(old);
      const sent = placed(kind, object, namespace);
      const versioned = sent.metadata.resourceVersion !== undefined && sent.metadata.resourceVersion !== "";
      if (sent.metadata.name !== "" && sent.metadata.name !== name)
        throw badRequest(`the name of the object (${sent.metadata.name}) does not match the name on the URL (${name})`);
      // A patch that does not name a version is about whatever is there.
      if (how === "update" || versioned) checkVersion(kind, old, sent.metadata);
      const made = this.#admitted("update", target, options, prepareUpdate(kind, old, sent, subresource), old);
      const warnings = [...told, ...finalizerWarnings(kind, made, old)];
      if (sameObject(made as unknown as JsonObject, old as unknown as JsonObject)) return { object: old, warnings };
      const claims = await claimsFor(this.store, kind, old, made);
      if (options.dryRun) return { object: made, warnings };
      const key = keyOf(kind, namespace, name);
      const gone = isOver(kind, made);
      const released = gone ? await claimsFor(this.store, kind, old, undefined) : claims;
      const done = await this.#commit({
        conditions: [{ key, revision: Number(old.metadata.resourceVersion) }, ...released.conditions],
        writes: [{ key, value: gone ? undefined : encode(kind, made) }, ...released.writes],
      });
      // What this removed has no version any more but its last.
      if (done.done) return { object: gone ? made : withVersion(made, done.revision), warnings };
      const retry = how === "patch" ? attempt < TRIES : done.key !== key || (kind.builtIn && !kind.versionedUpdate && !versioned);
      if (!retry || attempt >= TRIES) throw conflict(kind, name);
    }
  }

  /** Deletes one object, or marks it when something holds it: then the result is the object. */
  async remove(target: Target, options: WriteOptions & DeleteOptions): Promise<Omit<Status, "code"> | Resource> {
    const { kind, namespace, name } = target;
    for (let attempt = 0; ; attempt++) {
      const old = await this.get(kind, namespace, name);
      checkPreconditions(kind, old, options);
      this.#admit("delete", target, options, undefined, old);
      const after = marked(kind, old, options, this.time());
      const gone = isOver(kind, after);
      if (!gone && sameObject(after as unknown as JsonObject, old as unknown as JsonObject)) return old;
      if (options.dryRun) return gone ? deleted(kind, old) : after;
      const key = keyOf(kind, namespace, name);
      const claims = gone ? await claimsFor(this.store, kind, old, undefined) : NO_CLAIMS;
      const done = await this.#commit({
        conditions: [{ key, revision: Number(old.metadata.resourceVersion) }, ...claims.conditions],
        writes: [{ key, value: gone ? undefined : encode(kind, after) }, ...claims.writes],
      });
      if (done.done) return gone ? deleted(kind, old) : withVersion(after, done.revision);
      if (attempt >= TRIES) throw conflict(kind, name);
    }
  }

  #admit(operation: Operation, target: Target, { user, dryRun }: WriteOptions, object: Resource | undefined, old: Resource | undefined): Attempt {
    const name = object?.metadata.name ?? target.name;
    const attempt = { operation, kind: target.kind, subresource: target.subresource, name, object, old, dryRun };
    const refused = admit(user, attempt);
    if (refused) throw refused;
    return attempt;
  }
  #admitted(operation: Operation, target: Target, options: WriteOptions, object: Resource, old: Resource | undefined): Resource {
    const attempt = this.#admit(operation, target, options, object, old);
    return this.#complete ? this.#complete(attempt, options.user) : object;
  }

  async #commit(transaction: Transaction): ReturnType<Store["commit"]> {
    try {
      return await this.store.commit(transaction);
    } catch (thrown) {
      if (thrown instanceof StoreError) throw thrown;
      throw unavailable(`the store does not take writes: ${thrown instanceof Error ? thrown.message : String(thrown)}`);
    }
  }
}

/** A change of the version alone; the rest is shared. */
export const withVersion = (object: Resource, revision: number): Resource => ({
  ...object,
  metadata: { ...object.metadata, resourceVersion: String(revision) },
});

/** An object as it stands in the store. */
export const encode = (kind: Kind, object: Resource): Uint8Array => encodeStored(kind.storedAs ? kind.storedAs.write(object) : object);

function sameType(kind: Kind, object: JsonObject): JsonObject {
  if (object.kind !== kind.kind || object.apiVersion !== apiVersionOf(kind))
    throw invalid(kind, isObject(object.metadata) && typeof object.metadata.name === "string" ? object.metadata.name : "", [
      {
        field: object.kind === kind.kind ? "apiVersion" : "kind",
        reason: "FieldValueInvalid",
        message: `Invalid value: ${JSON.stringify(object.kind === kind.kind ? (object.apiVersion ?? null) : (object.kind ?? null))}: cannot be changed`,
      },
    ]);
  return object;
}

/** The stored form of what a transaction or range gave; for lists. */
export const itemsOf = (registry: Registry, kind: Kind, items: readonly Stored[]): Resource[] =>
  items.map((s) => registry.decode(kind, s.value, s.revision));
