// Objects over the store: keys, decoding, and the writes with their retries. The object in the store has no resourceVersion: that is its revision.
import { isObject, type JsonObject } from "../../api/json.ts";
import { apiVersionOf, type Kind } from "../../api/kind.ts";
import type { ObjectMeta, Resource } from "../../api/meta.ts";
import { generatedName } from "../../api/names.ts";
import {
  alreadyExists,
  type ApiError,
  badRequest,
  conflict,
  deleted,
  internalError,
  invalid,
  notFound,
  type Status,
  unavailable,
} from "../../api/status.ts";
import { sameObject } from "../../api/structure.ts";
import { fromUtf8, utf8 } from "../../base/bytes.ts";
import type { Stored, Store, Transaction } from "../../store/store.ts";
import { admitNode, type Operation } from "../identity/admission.ts";
import { isAdmin, nodeOf } from "../identity/roles.ts";
import { claimsFor } from "./claims.ts";
import { accept, type Accepted, checkVersion, type FieldValidation, placed, prepareCreate, prepareUpdate } from "./prepare.ts";
import type { Patch } from "../wire/patch.ts";
import type { Target, User } from "../wire/request.ts";

export type WriteOptions = { readonly user: User; readonly dryRun: boolean; readonly validation: FieldValidation };
export type Written = { readonly object: Resource; readonly warnings: readonly string[] };
export type DeleteOptions = { readonly uid?: string; readonly resourceVersion?: string; readonly propagationPolicy?: string };

/** Tries of a patch or a delete whose object keeps changing under it. */
const TRIES = 5;

export const prefixOf = (kind: Kind, namespace = ""): string =>
  `/registry/${kind.group === "" ? "core" : kind.group}/${kind.plural}/${namespace === "" ? "" : `${namespace}/`}`;
const keyOf = (kind: Kind, namespace: string, name: string): string => `${prefixOf(kind, kind.namespaced ? namespace : "")}${name}`;

export class Registry {
  readonly store: Store;
  readonly #now: () => number;
  readonly #uid: () => string;
  readonly #random: (below: number) => number;
  readonly #decoded = new WeakMap<Uint8Array, Resource>();

  /** `now` in ms since 1970; `uid` gives fresh identities; `random` whole numbers below its argument. */
  constructor(options: { store: Store; now: () => number; uid: () => string; random: (below: number) => number }) {
    this.store = options.store;
    this.#now = options.now;
    this.#uid = options.uid;
    this.#random = options.random;
  }

  /** The object in a value of the store, as it was at `revision`. Shared: do not change it. */
  decode(kind: Kind, value: Uint8Array, revision: number): Resource {
    let object = this.#decoded.get(value);
    if (!object) {
      const stored = JSON.parse(fromUtf8(value)) as Resource;
      object = { ...stored, apiVersion: apiVersionOf(kind), kind: kind.kind, metadata: { ...stored.metadata, resourceVersion: String(revision) } };
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
      const made = prepareCreate(kind, { ...at, metadata: { ...at.metadata, name } }, { uid: this.#uid(), now: timestamp(this.#now()) });
      this.#admit("create", target, options.user, made, undefined);
      const key = keyOf(kind, namespace, name);
      const exists = await this.store.get(key);
      if (!exists) {
        const claims = await claimsFor(this.store, kind, undefined, made);
        if (options.dryRun) return { object: made, warnings };
        const done = await this.#commit({
          conditions: [{ key, revision: 0 }, ...claims.conditions],
          writes: [{ key, value: encode(made) }, ...claims.writes],
        });
        if (done.done) return { object: withVersion(made, done.revision), warnings };
        // Somebody took the key in this moment: the next round says so.
        if (done.key !== key && attempt < TRIES) continue;
      }
      if (at.metadata.name !== "" || attempt >= 8) throw alreadyExists(kind, name);
    }
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
      const { object, warnings } = change(old);
      const sent = placed(kind, object, namespace);
      const versioned = sent.metadata.resourceVersion !== undefined && sent.metadata.resourceVersion !== "";
      if (sent.metadata.name !== "" && sent.metadata.name !== name)
        throw badRequest(`the name of the object (${sent.metadata.name}) does not match the name on the URL (${name})`);
      // A patch that does not name a version is about whatever is there.
      if (how === "update" || versioned) checkVersion(kind, old, sent.metadata);
      const made = prepareUpdate(kind, old, sent, subresource);
      this.#admit("update", target, options.user, made, old);
      if (sameObject(made as unknown as JsonObject, old as unknown as JsonObject)) return { object: old, warnings };
      const claims = await claimsFor(this.store, kind, old, made);
      if (options.dryRun) return { object: made, warnings };
      const key = keyOf(kind, namespace, name);
      const gone = made.metadata.deletionTimestamp !== undefined && (made.metadata.finalizers ?? []).length === 0;
      const released = gone ? await claimsFor(this.store, kind, old, undefined) : claims;
      const done = await this.#commit({
        conditions: [{ key, revision: Number(old.metadata.resourceVersion) }, ...released.conditions],
        writes: [{ key, value: gone ? undefined : encode(made) }, ...released.writes],
      });
      if (done.done) return { object: withVersion(made, done.revision), warnings };
      const retry = how === "patch" ? attempt < TRIES : done.key !== key || (kind.builtIn && !kind.versionedUpdate && !versioned);
      if (!retry || attempt >= TRIES) throw conflict(kind, name);
    }
  }

  /** Deletes one object, or marks it when finalizers hold it: then the result is the object. */
  async remove(target: Target, options: WriteOptions & DeleteOptions): Promise<Status | Resource> {
    const { kind, namespace, name } = target;
    for (let attempt = 0; ; attempt++) {
      const old = await this.get(kind, namespace, name);
      const { uid, resourceVersion } = old.metadata;
      if (options.uid !== undefined && options.uid !== uid)
        throw conflict(
          kind,
          name,
          `the UID in the precondition (${options.uid}) does not match the UID in record (${uid ?? ""}). The object might have been deleted and then recreated`,
        );
      if (options.resourceVersion !== undefined && options.resourceVersion !== resourceVersion)
        throw conflict(
          kind,
          name,
          `the ResourceVersion in the precondition (${options.resourceVersion}) does not match the ResourceVersion in record (${resourceVersion ?? ""}). The object might have been modified`,
        );
      this.#admit("delete", target, options.user, undefined, old);
      const marked = (old.metadata.finalizers ?? []).length > 0;
      if (marked && old.metadata.deletionTimestamp !== undefined) return old;
      if (options.dryRun) return marked ? old : deleted(kind, old);
      const key = keyOf(kind, namespace, name);
      const after = marked ? withDeletion(old, timestamp(this.#now())) : undefined;
      const claims = after ? { conditions: [], writes: [] } : await claimsFor(this.store, kind, old, undefined);
      const done = await this.#commit({
        conditions: [{ key, revision: Number(resourceVersion) }, ...claims.conditions],
        writes: [{ key, value: after && encode(after) }, ...claims.writes],
      });
      if (done.done) return after ? withVersion(after, done.revision) : deleted(kind, old);
      if (attempt >= TRIES) throw conflict(kind, name);
    }
  }

  #admit(operation: Operation, target: Target, user: User, object: Resource | undefined, old: Resource | undefined): void {
    if (isAdmin(user)) return;
    const node = nodeOf(user);
    const name = object?.metadata.name ?? target.name;
    const refused: ApiError | undefined =
      node === undefined
        ? internalError("a user without a role was let in")
        : admitNode(node, { operation, kind: target.kind, subresource: target.subresource, name, object, old });
    if (refused) throw refused;
  }

  async #commit(transaction: Transaction): ReturnType<Store["commit"]> {
    try {
      return await this.store.commit(transaction);
    } catch (thrown) {
      throw unavailable(`the store does not take writes: ${thrown instanceof Error ? thrown.message : String(thrown)}`);
    }
  }
}

/** A change of the version alone; the rest is shared. */
export const withVersion = (object: Resource, revision: number): Resource => ({
  ...object,
  metadata: { ...object.metadata, resourceVersion: String(revision) },
});

function withDeletion(object: Resource, now: string): Resource {
  const metadata: ObjectMeta = {
    ...object.metadata,
    deletionTimestamp: now,
    deletionGracePeriodSeconds: 0,
    generation: (object.metadata.generation ?? 1) + 1,
  };
  return { ...object, metadata };
}

/** RFC 3339 with whole seconds. */
export const timestamp = (ms: number): string => `${new Date(ms).toISOString().slice(0, 19)}Z`;

function encode(object: Resource): Uint8Array {
  const { resourceVersion: _rv, ...metadata } = object.metadata;
  return utf8(JSON.stringify({ ...object, metadata }));
}

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
