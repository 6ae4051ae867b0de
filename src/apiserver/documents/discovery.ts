// What the server has: aggregated discovery (v2, v2beta1) and the older documents, by Accept. https://kubernetes.io/docs/concepts/overview/kubernetes-api/
// Built once from the kinds; never depends on the store.
import { CUSTOM_RESOURCE_DEFINITION } from "../../api/crd.ts";
import { apiVersionOf, type Kind } from "../../api/kind.ts";
import { notAcceptable } from "../../api/status.ts";
import type { Review } from "../identity/reviews.ts";
import { discoveryFormOf } from "../wire/accept.ts";
import { NO_SUCH_PAGE } from "../wire/answer.ts";
import type { ApiRequest, ApiResponse } from "../wire/request.ts";
import { document } from "./document.ts";

/** What the server has: kinds that are kept, and reviews that are only answered. */
export type Served = Kind | Review;

const VERBS = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];
const STATUS_VERBS = ["get", "patch", "update"];
/** What ends by and by is not deleted in heaps. */
const ONE_BY_ONE = VERBS.filter((verb) => verb !== "deletecollection");
const READ_VERBS = ["get", "list", "watch"];
const isReview = (kind: Served): kind is Review => "shown" in kind;

export function verbsOf(kind: Served): readonly string[] {
  if (isReview(kind)) return ["create"];
  return kind === CUSTOM_RESOURCE_DEFINITION ? READ_VERBS : kind.lifecycle ? ONE_BY_ONE : VERBS;
}

type Subresource = { name: string; kind: { group: string; version: string; kind: string }; verbs: string[] };

function subresourcesOf(kind: Served): Subresource[] {
  const own = { group: kind.group, version: kind.version, kind: kind.kind };
  return [
    ...["status", ...((!isReview(kind) && kind.subresources) || [])]
      .filter((name) => name !== "status" || kind.hasStatus)
      .map((name) => ({ name, kind: own, verbs: STATUS_VERBS })),
    ...(!isReview(kind) && kind.lifecycle ? [{ name: "finalize", kind: own, verbs: ["update"] }] : []),
    ...(kind.group === "" && kind.plural === "pods"
      ? [
          { name: "exec", kind: { group: "", version: "v1", kind: "PodExecOptions" }, verbs: ["create", "get"] },
          { name: "log", kind: own, verbs: ["get"] },
        ]
      : []),
  ];
}

function aggregatedResource(kind: Served): object {
  return {
    resource: kind.plural,
    responseKind: { group: kind.group, version: kind.version, kind: kind.kind },
    scope: kind.namespaced ? "Namespaced" : "Cluster",
    singularResource: kind.singular,
    verbs: verbsOf(kind),
    ...(kind.shortNames.length > 0 ? { shortNames: kind.shortNames } : {}),
    ...(kind.categories.length > 0 ? { categories: kind.categories } : {}),
    ...(subresourcesOf(kind).length > 0
      ? { subresources: subresourcesOf(kind).map((s) => ({ subresource: s.name, responseKind: s.kind, verbs: s.verbs })) }
      : {}),
  };
}

function legacyResources(kind: Served): object[] {
  return [
    {
      name: kind.plural,
      singularName: kind.singular,
      namespaced: kind.namespaced,
      kind: kind.kind,
      verbs: verbsOf(kind),
      ...(kind.shortNames.length > 0 ? { shortNames: kind.shortNames } : {}),
      ...(kind.categories.length > 0 ? { categories: kind.categories } : {}),
    },
    ...subresourcesOf(kind).map((s) => ({
      name: `${kind.plural}/${s.name}`,
      singularName: "",
      namespaced: kind.namespaced,
      kind: s.kind.kind,
      ...(s.kind.kind === kind.kind ? {} : { version: s.kind.version }),
      verbs: s.verbs,
    })),
  ];
}

const groupDocument = (group: string, versions: string[]): object => ({
  name: group,
  versions: versions.map((version) => ({ groupVersion: `${group}/${version}`, version })),
  preferredVersion: { groupVersion: `${group}/${versions[0]}`, version: versions[0] },
});

const answerWith = (request: ApiRequest, contentType: string, value: object): ApiResponse =>
  document(request, contentType, { body: JSON.stringify(value) }, { vary: "Accept" });

export class Discovery {
  readonly #kinds: readonly Served[];

  constructor(kinds: readonly Served[]) {
    this.#kinds = kinds;
  }

  /** Undefined when the path is not one of discovery. Throws ApiError 406. */
  answer(request: ApiRequest): ApiResponse | undefined {
    const path = request.path.replace(/\/$/, "");
    const parts = path.split("/").slice(1);
    if (path === "/api" || path === "/apis") {
      const form = discoveryFormOf(request.headers.accept);
      if (!form) throw notAcceptable(["application/json"]);
      if (form !== "legacy") return answerWith(request, form.contentType, this.#aggregated(path === "/api", form.version));
      return answerWith(request, "application/json", path === "/api" ? this.#core(request) : this.#groups());
    }
    if (parts[0] === "apis" && parts.length === 2) {
      const versions = this.#versions(parts[1]!);
      return versions.length === 0
        ? NO_SUCH_PAGE
        : answerWith(request, "application/json", { kind: "APIGroup", apiVersion: "v1", ...groupDocument(parts[1]!, versions) });
    }
    const groupVersion =
      parts[0] === "api" && parts.length === 2 ? parts[1]! : parts[0] === "apis" && parts.length === 3 ? `${parts[1]}/${parts[2]}` : undefined;
    if (groupVersion === undefined) return undefined;
    const kinds = this.#kinds.filter((k) => apiVersionOf(k) === groupVersion);
    if (kinds.length === 0) return NO_SUCH_PAGE;
    return answerWith(request, "application/json", {
      kind: "APIResourceList",
      apiVersion: "v1",
      groupVersion,
      resources: kinds.flatMap(legacyResources),
    });
  }

  #versions(group: string): string[] {
    return [...new Set(this.#kinds.filter((k) => k.group === group && group !== "").map((k) => k.version))];
  }
  #groupNames(): string[] {
    return [...new Set(this.#kinds.map((k) => k.group))];
  }

  #aggregated(core: boolean, version: string): object {
    const items = this.#groupNames()
      .filter((g) => (g === "") === core)
      .map((group) => ({
        metadata: { ...(group === "" ? {} : { name: group }), creationTimestamp: null },
        versions: [...new Set(this.#kinds.filter((k) => k.group === group).map((k) => k.version))].map((v) => ({
          version: v,
          resources: this.#kinds.filter((k) => k.group === group && k.version === v).map(aggregatedResource),
          freshness: "Current",
        })),
      }));
    return { kind: "APIGroupDiscoveryList", apiVersion: `apidiscovery.k8s.io/${version}`, metadata: {}, items };
  }

  #core(request: ApiRequest): object {
    return {
      kind: "APIVersions",
      versions: ["v1"],
      serverAddressByClientCIDRs: [{ clientCIDR: "0.0.0.0/0", serverAddress: request.headers.host ?? "" }],
    };
  }

  #groups(): object {
    return {
      kind: "APIGroupList",
      apiVersion: "v1",
      groups: this.#groupNames()
        .filter((g) => g !== "")
        .map((g) => groupDocument(g, this.#versions(g))),
    };
  }
}
