// A store in memory behind Client, with the server's rules that IPAM leans on: unique names, and updates refused when the revision is old. Every call
// gives way to others first, in an order drawn from `random`, so that properties meet the races.
import { apiVersionOf, type Kind } from "../../api/kind.ts";
import type { Resource } from "../../api/meta.ts";
import { apiErrorOf } from "../../client/error.ts";
import type { Client } from "../../client/types.ts";

const refuse = (code: number, reason: string): never => {
  throw apiErrorOf(code, JSON.stringify({ kind: "Status", code, reason, message: reason }));
};

export function memoryClient(options: { turns?: () => number } = {}): Client & { all<T extends Resource>(kind: Kind<T>): T[] } {
  const objects = new Map<string, Resource>();
  let revision = 0;
  const key = (k: Kind<never> | Kind, name: string): string => `${k.plural}/${name}`;
  const giveWay = async (): Promise<void> => {
    for (let n = options.turns?.() ?? 0; n > 0; n--) await Promise.resolve();
  };
  const store = <T extends Resource>(kind: Kind<T>, object: T): T => {
    const stored = structuredClone(object);
    stored.apiVersion = apiVersionOf(kind);
    stored.metadata.resourceVersion = String(++revision);
    objects.set(key(kind as never, object.metadata.name), stored);
    return structuredClone(stored);
  };
  const find = <T extends Resource>(kind: Kind<T>, name: string): T =>
    structuredClone((objects.get(key(kind as never, name)) as T | undefined) ?? refuse(404, "NotFound"));
  const all = <T extends Resource>(kind: Kind<T>): T[] =>
    [...objects].filter(([k]) => k.startsWith(`${kind.plural}/`)).map(([, o]) => structuredClone(o) as T);
  return {
    all,
    async get(kind, name) {
      await giveWay();
      return find(kind, name);
    },
    async list(kind) {
      await giveWay();
      return { apiVersion: apiVersionOf(kind), kind: `${kind.kind}List`, metadata: { resourceVersion: String(revision) }, items: all(kind) };
    },
    async create(kind, object) {
      await giveWay();
      if (objects.has(key(kind as never, object.metadata.name))) refuse(409, "AlreadyExists");
      const errors = kind.validate(object);
      if (errors.length > 0) refuse(422, JSON.stringify(errors));
      return store(kind, object);
    },
    async update(kind, object) {
      await giveWay();
      const old = find(kind, object.metadata.name);
      if (old.metadata.resourceVersion !== object.metadata.resourceVersion) refuse(409, "Conflict");
      const errors = kind.validate(object, old);
      if (errors.length > 0) refuse(422, JSON.stringify(errors));
      return store(kind, object);
    },
    updateStatus: (kind, object) => Promise.resolve(store(kind, object)),
    patch: () => refuse(405, "MethodNotAllowed"),
    async delete(kind, name, { resourceVersion } = {}) {
      await giveWay();
      const old = find(kind, name);
      if (resourceVersion !== undefined && old.metadata.resourceVersion !== resourceVersion) refuse(409, "Conflict");
      objects.delete(key(kind as never, name));
    },
    watch: () => refuse(405, "MethodNotAllowed"),
    close: () => Promise.resolve(),
  };
}
