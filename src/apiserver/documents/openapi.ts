// OpenAPI v3 documents, one a group and version, built from the kinds' own schemas: what kubectl ≥ 1.29 validates, explains and patches by.
// There is no OpenAPI v2 (only a protobuf of it would be understood by the kubectls that want it). Each document is built when first asked for.
import { createHash } from "node:crypto";
import { apiVersionOf, type Kind } from "../../api/kind.ts";
import { OBJECT_META, type Schema } from "../../api/schema.ts";
import { NO_SUCH_PAGE } from "../wire/answer.ts";
import type { ApiRequest, ApiResponse } from "../wire/request.ts";

const META = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";
const WRITE_PARAMETERS = ["dryRun", "fieldManager", "fieldValidation"].map((name) => ({ name, in: "query", schema: { type: "string" } }));
const FORCE = { name: "force", in: "query", schema: { type: "boolean" } };

const componentOf = (kind: Kind): string =>
  kind.group === "" ? `io.k8s.api.core.${kind.version}.${kind.kind}` : `${kind.group.split(".").toReversed().join(".")}.${kind.version}.${kind.kind}`;

type Document = { readonly body: string; readonly hash: string };

export class OpenApi {
  readonly #kinds: readonly Kind[];
  readonly #version: string;
  readonly #documents = new Map<string, Document>();

  constructor(kinds: readonly Kind[], version: string) {
    this.#kinds = kinds;
    this.#version = version;
  }

  /** Undefined when the path is not one of OpenAPI v3. */
  answer(request: ApiRequest): ApiResponse | undefined {
    const path = request.path.replace(/\/$/, "");
    if (path === "/openapi/v3") return { code: 200, headers: { "content-type": "application/json" }, body: JSON.stringify(this.#index()) };
    if (!path.startsWith("/openapi/v3/")) return undefined;
    const found = this.#document(path.slice("/openapi/v3/".length));
    if (!found) return NO_SUCH_PAGE;
    const asked = request.query.get("hash");
    if (asked !== null && asked !== found.hash) return { code: 301, headers: { location: `${path}?hash=${found.hash}` }, body: "" };
    const cached = asked === null ? "no-cache, private" : "public, immutable";
    return { code: 200, headers: { "content-type": "application/json", etag: `"${found.hash}"`, "cache-control": cached }, body: found.body };
  }

  #index(): object {
    const names = [...new Set(this.#kinds.map((k) => (k.group === "" ? `api/${k.version}` : `apis/${k.group}/${k.version}`)))];
    return { paths: Object.fromEntries(names.map((n) => [n, { serverRelativeURL: `/openapi/v3/${n}?hash=${this.#document(n)!.hash}` }])) };
  }

  #document(name: string): Document | undefined {
    const known = this.#documents.get(name);
    if (known) return known;
    const apiVersion = name.replace(/^apis?\//, "");
    const kinds = this.#kinds.filter((k) => apiVersionOf(k) === apiVersion && name.startsWith(k.group === "" ? "api/" : "apis/"));
    if (kinds.length === 0) return undefined;
    const body = JSON.stringify(this.#build(apiVersion, kinds));
    const made = { body, hash: createHash("sha512").update(body).digest("hex").toUpperCase() };
    this.#documents.set(name, made);
    return made;
  }

  #build(apiVersion: string, kinds: readonly Kind[]): object {
    return {
      openapi: "3.0.0",
      info: { title: `Tortie ${apiVersion}`, version: this.#version },
      paths: Object.assign({}, ...kinds.map(pathsOf)) as object,
      components: { schemas: { [META]: OBJECT_META, ...Object.fromEntries(kinds.map((k) => [componentOf(k), component(k)])) } },
    };
  }
}

function component(kind: Kind): object {
  const properties: Record<string, Schema | object> = { ...kind.schema.properties };
  properties.metadata = { description: OBJECT_META.description, allOf: [{ $ref: `#/components/schemas/${META}` }] };
  return { ...kind.schema, properties, "x-kubernetes-group-version-kind": [{ group: kind.group, kind: kind.kind, version: kind.version }] };
}

function pathsOf(kind: Kind): Record<string, object> {
  const base = `/${kind.group === "" ? `api/${kind.version}` : `apis/${kind.group}/${kind.version}`}`;
  const collection = `${base}${kind.namespaced ? "/namespaces/{namespace}" : ""}/${kind.plural}`;
  const gvk = { group: kind.group, version: kind.version, kind: kind.kind };
  const ok = { "200": { description: "OK", content: { "application/json": { schema: { $ref: `#/components/schemas/${componentOf(kind)}` } } } } };
  const operation = (action: string, parameters: object[], id: string): object => ({
    operationId: `${id}${kind.kind}`,
    "x-kubernetes-action": action,
    "x-kubernetes-group-version-kind": gvk,
    parameters,
    responses: ok,
  });
  const one = {
    get: operation("get", [], "read"),
    put: operation("put", WRITE_PARAMETERS, "replace"),
    patch: operation("patch", [...WRITE_PARAMETERS, FORCE], "patch"),
    delete: operation("delete", WRITE_PARAMETERS.slice(0, 1), "delete"),
  };
  return {
    [collection]: { get: operation("list", [], "list"), post: operation("post", WRITE_PARAMETERS, "create") },
    [`${collection}/{name}`]: one,
    ...(kind.hasStatus ? { [`${collection}/{name}/status`]: { get: one.get, put: one.put, patch: one.patch } } : {}),
  };
}
