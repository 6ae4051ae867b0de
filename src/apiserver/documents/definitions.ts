// The definitions of the kinds that could be custom resources, to be read: kubectl asks for them when it does not find a kind elsewhere. They change only
// with the program, and are read as all objects are, from a store of their own.
import { CUSTOM_RESOURCE_DEFINITION, customResourceDefinition, type CustomResourceDefinition, isCustom } from "../../api/crd.ts";
import type { Kind } from "../../api/kind.ts";
import { methodNotAllowed } from "../../api/status.ts";
import { memoryStore } from "../../store/memory.ts";
import { keyOf, Registry } from "../objects/registry.ts";
import { encodeStored } from "../objects/stored.ts";
import { act, type VerbContext } from "../objects/verbs.ts";
import type { ApiRequest, ApiResponse, ResourcePath, Verb } from "../wire/request.ts";
import { verbsOf } from "./discovery.ts";

const KIND = CUSTOM_RESOURCE_DEFINITION;

export const isDefinition = (path: ResourcePath): boolean =>
  path.group === KIND.group && path.version === KIND.version && path.plural === KIND.plural && path.namespace === "" && path.subresource === "";

export class Definitions {
  readonly #kinds: readonly Kind[];
  readonly #context: Omit<VerbContext, "registry">;
  readonly #since: string;
  #registry: Promise<Registry> | undefined;

  constructor(kinds: readonly Kind[], context: Omit<VerbContext, "registry">) {
    this.#kinds = kinds.filter(isCustom);
    this.#context = context;
    this.#since = `${new Date(context.now()).toISOString().slice(0, 19)}Z`;
  }

  /** Throws ApiError. */
  async answer(verb: Verb, path: ResourcePath, request: ApiRequest): Promise<ApiResponse> {
    if (!verbsOf(KIND).includes(verb)) throw methodNotAllowed(KIND);
    const registry = await (this.#registry ??= this.#filled());
    return act(verb, { kind: KIND, namespace: "", name: path.name, subresource: "", rest: "" }, request, { ...this.#context, registry });
  }

  async #filled(): Promise<Registry> {
    const { now } = this.#context;
    const store = memoryStore(now);
    const writes = this.#kinds
      .map((k) => served(customResourceDefinition(k), this.#since))
      .map((d) => ({ key: keyOf(KIND, "", d.metadata.name), value: encodeStored(d) }));
    await store.commit({ conditions: [], writes });
    const never = (): never => {
      throw new Error("definitions are not written");
    };
    return new Registry({ store, now, uid: never, random: never });
  }
}

const condition = (type: string, since: string): object => ({
  type,
  status: "True",
  reason: "BuiltIn",
  message: "served by this program",
  lastTransitionTime: since,
});

const served = (definition: CustomResourceDefinition, since: string): CustomResourceDefinition => ({
  ...definition,
  metadata: { ...definition.metadata, creationTimestamp: since, generation: 1 },
  status: {
    acceptedNames: definition.spec.names,
    storedVersions: definition.spec.versions.map((v) => v.name),
    conditions: [condition("NamesAccepted", since), condition("Established", since)],
  },
});
