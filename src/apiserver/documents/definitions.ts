// The definitions of the kinds that could be custom resources, to be read: kubectl asks for them when it does not find a kind elsewhere.
import { CUSTOM_RESOURCE_DEFINITION, customResourceDefinition, type CustomResourceDefinition, isCustom } from "../../api/crd.ts";
import type { Kind } from "../../api/kind.ts";
import { methodNotAllowed, notFound } from "../../api/status.ts";
import { selectionOf } from "../objects/select.ts";
import { answerList, answerObject } from "../wire/answer.ts";
import type { ApiRequest, ApiResponse, ResourcePath, Verb } from "../wire/request.ts";

const KIND = CUSTOM_RESOURCE_DEFINITION;
/** They change only with the program. */
const VERSION = "1";

export const isDefinition = (path: ResourcePath): boolean =>
  path.group === KIND.group && path.version === KIND.version && path.plural === KIND.plural && path.namespace === "" && path.subresource === "";

export class Definitions {
  readonly #kinds: readonly Kind[];
  readonly #now: () => number;
  readonly #since: string;
  #all: readonly CustomResourceDefinition[] | undefined;

  constructor(kinds: readonly Kind[], now: () => number) {
    this.#kinds = kinds.filter(isCustom);
    this.#now = now;
    this.#since = `${new Date(now()).toISOString().slice(0, 19)}Z`;
  }

  /** Throws ApiError. */
  answer(verb: Verb, path: ResourcePath, request: ApiRequest): Promise<ApiResponse> {
    this.#all ??= this.#kinds
      .map((k) => served(customResourceDefinition(k), this.#since))
      .toSorted((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
    if (verb === "get") {
      const found = this.#all.find((d) => d.metadata.name === path.name);
      if (!found) throw notFound(KIND, path.name);
      return answerObject(request, this.#now(), KIND, found);
    }
    if (verb !== "list") throw methodNotAllowed(KIND);
    const selection = selectionOf(KIND, request.query);
    const items = this.#all.filter((d) => selection.matches(d));
    return answerList(request, this.#now(), KIND, items, { resourceVersion: VERSION });
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
  metadata: { ...definition.metadata, creationTimestamp: since, resourceVersion: VERSION, generation: 1 },
  status: {
    acceptedNames: definition.spec.names,
    storedVersions: definition.spec.versions.map((v) => v.name),
    conditions: [condition("NamesAccepted", since), condition("Established", since)],
  },
});
