// OpenAPI v3 documents, one a group and version, built from the kinds' own schemas: what kubectl ≥ 1.29 validates, explains and patches by.
// There is no OpenAPI v2 (only a protobuf of it would be understood by the kubectls that want it). Each document is built when first asked for.
// https://kubernetes.io/docs/concepts/overview/kubernetes-api/#openapi-v3
import { apiVersionOf } from "../../api/kind.ts";
import { OBJECT_META, type Schema } from "../../api/schema.ts";
import { NO_SUCH_PAGE } from "../wire/answer.ts";
import type { ApiRequest, ApiResponse } from "../wire/request.ts";
import { type Served, verbsOf } from "./discovery.ts";
import { document, hashOf } from "./document.ts";
import { DELETE_OPTIONS, LIST_META, PATCH, STATUS } from "./meta.ts";
import { INT_OR_STRING, INT_OR_STRING_SCHEMA, published } from "./published.ts";

const META = "io.k8s.apimachinery.pkg.apis.meta.v1";
const JSON_TYPE = "application/json";
const OBJECTS = [JSON_TYPE, "application/yaml"];
const PATCHES = ["application/json-patch+json", "application/merge-patch+json"];
const STRATEGIC_PATCH = "application/strategic-merge-patch+json";

type Parameter = {
  readonly name: string;
  readonly in: "query" | "path";
  readonly required?: true;
  readonly description: string;
  readonly schema: Schema;
};
const query = (name: string, type: "string" | "integer" | "boolean", description: string): Parameter => ({
  name,
  in: "query",
  description,
  schema: { type },
});
const path = (name: string, description: string): Parameter => ({ name, in: "path", required: true, description, schema: { type: "string" } });

const WRITE = [
  query("dryRun", "string", "All: process everything, store nothing."),
  query("fieldManager", "string", "Who writes."),
  query("fieldValidation", "string", "Unknown and repeated fields: Strict refuses them, Warn names them, Ignore drops them."),
];
const FORCE = query("force", "boolean", "Only for patches of server-side apply.");
const PRETTY = query("pretty", "string", "true: indented.");
const LIST = [
  query("allowWatchBookmarks", "boolean", "Send bookmarks in a watch."),
  query("continue", "string", "Where the page before ended."),
  query("fieldSelector", "string", "Only objects with these fields."),
  query("labelSelector", "string", "Only objects with these labels."),
  query("limit", "integer", "Most objects of a page."),
  query("resourceVersion", "string", "The version to list, or to watch from."),
  query("resourceVersionMatch", "string", "Exact or NotOlderThan."),
  query("sendInitialEvents", "boolean", "Begin a watch with what is there."),
  query("timeoutSeconds", "integer", "Seconds after which a watch ends."),
  query("watch", "boolean", "Follow changes."),
];
const DELETE = [
  WRITE[0]!,
  query("gracePeriodSeconds", "integer", "Seconds that a pod is given to end, instead of its own; 0: it goes at once."),
  query("propagationPolicy", "string", "Background, Foreground or Orphan."),
];

/** The name by which Kubernetes' own documents call the kind: clients know some of them. */
function componentOf({ group, version, kind, builtIn }: Served): string {
  const [first = ""] = group.split(".");
  const own = group === "" ? "core" : first;
  const package_ = group === "apiextensions.k8s.io" ? "io.k8s.apiextensions-apiserver.pkg.apis" : "io.k8s.api";
  return `${builtIn ? `${package_}.${own}` : group.split(".").toReversed().join(".")}.${version}.${kind}`;
}
const refTo = (component: string): object => ({ $ref: `#/components/schemas/${component}` });

type Document = { readonly body: string; readonly hash: string };

export class OpenApi {
  readonly #kinds: readonly Served[];
  readonly #version: string;
  readonly #documents = new Map<string, Document>();
  #index: Document | undefined;

  constructor(kinds: readonly Served[], version: string) {
    this.#kinds = kinds;
    this.#version = version;
  }

  /** Undefined when the path is not one of OpenAPI v3. */
  answer(request: ApiRequest): ApiResponse | undefined {
    const at = request.path.replace(/\/$/, "");
    const changing = { "cache-control": "no-cache, private" };
    if (at === "/openapi/v3") return document(request, JSON_TYPE, (this.#index ??= this.#buildIndex()), changing);
    if (!at.startsWith("/openapi/v3/")) return undefined;
    const found = this.#document(at.slice("/openapi/v3/".length));
    if (!found) return NO_SUCH_PAGE;
    const asked = request.query.get("hash");
    if (asked !== null && asked !== found.hash) return { code: 301, headers: { location: `${at}?hash=${found.hash}` }, body: "" };
    // Its address names its content.
    return document(request, JSON_TYPE, found, asked === null ? changing : { "cache-control": "public, max-age=31536000, immutable" });
  }

  #buildIndex(): Document {
    const names = [...new Set(this.#kinds.map((k) => (k.group === "" ? `api/${k.version}` : `apis/${k.group}/${k.version}`)))];
    return hashed({ paths: Object.fromEntries(names.map((n) => [n, { serverRelativeURL: `/openapi/v3/${n}?hash=${this.#document(n)!.hash}` }])) });
  }

  #document(name: string): Document | undefined {
    const known = this.#documents.get(name);
    if (known) return known;
    const apiVersion = name.replace(/^apis?\//, "");
    const kinds = this.#kinds.filter((k) => apiVersionOf(k) === apiVersion && name.startsWith(k.group === "" ? "api/" : "apis/"));
    if (kinds.length === 0) return undefined;
    const made = hashed(openApiOf(apiVersion, kinds, this.#version));
    this.#documents.set(name, made);
    return made;
  }
}

function hashed(value: object): Document {
  const body = JSON.stringify(value);
  return { body, hash: hashOf(body) };
}

/** The document of the kinds of one group and version. `version` is the program's. */
function openApiOf(apiVersion: string, kinds: readonly Served[], version: string): object {
  const shared = { ObjectMeta: OBJECT_META, ListMeta: LIST_META, Status: STATUS, DeleteOptions: DELETE_OPTIONS, Patch: PATCH };
  return {
    openapi: "3.0.0",
    info: { title: `Tortie ${apiVersion}`, version },
    paths: Object.assign({}, ...kinds.map(pathsOf)) as object,
    components: {
      schemas: {
        ...Object.fromEntries(Object.entries(shared).map(([name, schema]) => [`${META}.${name}`, published(schema)])),
        [INT_OR_STRING]: INT_OR_STRING_SCHEMA,
        ...Object.fromEntries(
          kinds.flatMap((k) => [
            [componentOf(k), component(k)],
            ...(verbsOf(k).includes("list") ? [[`${componentOf(k)}List`, listComponent(k)] as const] : []),
          ]),
        ),
      },
    },
  };
}

const gvkOf = ({ group, version }: Served, kind: string): object => ({ group, version, kind });
const metadata = (name: string, description: string): object => ({ description, allOf: [refTo(`${META}.${name}`)] });

function component(kind: Served): object {
  const { properties, ...rest } = published(kind.schema) as Schema;
  return {
    ...rest,
    properties: { ...properties, metadata: metadata("ObjectMeta", OBJECT_META.description!) },
    "x-kubernetes-group-version-kind": [gvkOf(kind, kind.kind)],
  };
}

function listComponent(kind: Served): object {
  const { apiVersion, kind: name } = kind.schema.properties!;
  return {
    type: "object",
    description: `A list of ${kind.plural}.`,
    required: ["items"],
    properties: {
      apiVersion,
      kind: name,
      metadata: metadata("ListMeta", LIST_META.description!),
      items: { type: "array", description: "The objects.", items: refTo(componentOf(kind)) },
    },
    "x-kubernetes-group-version-kind": [gvkOf(kind, `${kind.kind}List`)],
  };
}

function pathsOf(kind: Served): Record<string, object> {
  const base = `/${kind.group === "" ? `api/${kind.version}` : `apis/${kind.group}/${kind.version}`}`;
  const within = kind.namespaced ? [path("namespace", "The namespace.")] : [];
  const collection = `${base}${kind.namespaced ? "/namespaces/{namespace}" : ""}/${kind.plural}`;
  const named = path("name", `Name of the ${kind.kind}.`);
  const own = componentOf(kind);
  const verbs = new Set<string>(verbsOf(kind));
  const content = (types: readonly string[], schema: object): object => ({ content: Object.fromEntries(types.map((t) => [t, { schema }])) });
  const operation = (verb: string, action: string, id: string, answer: string, parameters: Parameter[], body?: object): object =>
    verbs.has(verb)
      ? {
          [{ list: "get", create: "post", update: "put", deletecollection: "delete" }[verb] ?? verb]: {
            operationId: `${id}${kind.kind}`,
            description: `${action} ${kind.plural}`,
            "x-kubernetes-action": action,
            "x-kubernetes-group-version-kind": gvkOf(kind, kind.kind),
            parameters,
            ...(body ? { requestBody: body } : {}),
            responses: {
              [action === "post" ? "201" : "200"]: { description: "OK", ...content(OBJECTS, refTo(answer)) },
              "401": { description: "Unauthorized" },
            },
          },
        }
      : {};
  const whole = content(OBJECTS, refTo(own));
  const patches = content([...PATCHES, ...(kind.builtIn ? [STRATEGIC_PATCH] : [])], refTo(`${META}.Patch`));
  const options = content(OBJECTS, refTo(`${META}.DeleteOptions`));
  const changes = (id: string): object => ({
    ...operation("get", "get", `read${id}`, own, []),
    ...operation("update", "put", `replace${id}`, own, WRITE, whole),
    ...operation("patch", "patch", `patch${id}`, own, [...WRITE, FORCE], patches),
  });
  return {
    ...(kind.namespaced ? { [`${base}/${kind.plural}`]: { parameters: [PRETTY], ...operation("list", "list", "listAll", `${own}List`, LIST) } } : {}),
    [collection]: {
      parameters: [...within, PRETTY],
      ...operation("list", "list", "list", `${own}List`, LIST),
      ...operation("create", "post", "create", own, WRITE, whole),
      ...operation("deletecollection", "deletecollection", "deleteCollectionOf", `${own}List`, [...LIST, ...DELETE], options),
    },
    ...(verbs.has("get")
      ? {
          [`${collection}/{name}`]: {
            parameters: [...within, named, PRETTY],
            ...changes(""),
            ...operation("delete", "delete", "delete", `${META}.Status`, DELETE, options),
          },
        }
      : {}),
    ...(kind.hasStatus && verbs.has("update")
      ? { [`${collection}/{name}/status`]: { parameters: [...within, named, PRETTY], ...changes("StatusOf") } }
      : {}),
  };
}
