// Requests to answers: authorization, discovery, and the verbs of the API. Knows nothing of sockets; http.ts carries it.
import { isObject, type JsonObject } from "../api/json.ts";
import type { Kind } from "../api/kind.ts";
import { NAMESPACE } from "../api/namespace.ts";
import { badRequest, forbidden, invalid, methodNotAllowed, notFound, unauthorized } from "../api/status.ts";
import { messageOf } from "../base/errors.ts";
import type { Log } from "../base/log.ts";
import { refuseImpersonation } from "./identity/impersonation.ts";
import { answer, answerError, answerList, answerObject, NO_SUCH_PAGE, statusOf } from "./wire/answer.ts";
import type { AuditLine } from "./identity/audit.ts";
import { authorize, authorizePath } from "./identity/authorize.ts";
import { decodeDeleteOptions, decodeObject } from "./wire/body.ts";
import { Discovery } from "./documents/discovery.ts";
import { list } from "./objects/list.ts";
import { OpenApi } from "./documents/openapi.ts";
import { readPatch } from "./wire/patch.ts";
import type { FieldValidation } from "./objects/prepare.ts";
import type { DeleteOptions, Registry, WriteOptions } from "./objects/registry.ts";
import { type ApiRequest, type ApiResponse, parsePath, type ResourcePath, type Target, type Verb, verbOf } from "./wire/request.ts";
import { watch } from "./objects/watch.ts";

export type HandlerOptions = {
  readonly kinds: readonly Kind[];
  readonly registry: Registry;
  /** Version that /version reports, such as v1.36.0+tortie-0.1.0: kubectl warns when it is far from its own. */
  readonly gitVersion: string;
  readonly now: () => number;
  readonly random: () => number;
  readonly log: Log;
  /** One line for each write and each refusal. */
  readonly audit: (line: AuditLine) => void;
};
const KEPT_NAMESPACES = ["default", "kube-system", "kube-node-lease"];
const HEALTH = new Set(["healthz", "livez", "readyz"]);

export class Handler {
  readonly #options: HandlerOptions;
  readonly #discovery: Discovery;
  readonly #openapi: OpenApi;

  constructor(options: HandlerOptions) {
    this.#options = options;
    this.#discovery = new Discovery(options.kinds);
    this.#openapi = new OpenApi(options.kinds, options.gitVersion);
  }

  /** Never throws: what goes wrong is a Status. */
  async handle(request: ApiRequest): Promise<ApiResponse> {
    let response: ApiResponse;
    let failed: unknown;
    try {
      response = await this.#route(request);
    } catch (thrown) {
      failed = thrown;
      response = answerError(thrown);
      if (response.code >= 500) this.#options.log.error("request failed", { method: request.method, path: request.path, error: messageOf(thrown) });
    }
    const reading = request.method === "GET" || request.method === "HEAD";
    if (!reading || response.code === 401 || response.code === 403)
      this.#options.audit({
        verb: request.method,
        path: request.path,
        user: request.user.name,
        source: request.source,
        code: response.code,
        ...(failed === undefined ? {} : { message: statusOf(failed).message ?? "" }),
      });
    return response;
  }

  async #route(request: ApiRequest): Promise<ApiResponse> {
    refuseImpersonation(request.user, request.headers);
    const path = parsePath(request.path);
    if (!path) return this.#document(request);
    const verb = verbOf(request.method, path, request.query);
    if (!verb) throw methodNotAllowed();
    this.#authorize(request, verb, path);
    const kind = this.#options.kinds.find((k) => k.group === path.group && k.version === path.version && k.plural === path.plural);
    if (!kind || path.rest !== "") return NO_SUCH_PAGE;
    if (path.subresource !== "" && !(path.subresource === "status" && kind.hasStatus)) {
      if (path.plural === "pods" && path.subresource === "exec") throw badRequest("Upgrade request required");
      throw notFound(kind, path.name);
    }
    if (kind.namespaced ? path.namespace === "" && path.name !== "" : path.namespace !== "") return NO_SUCH_PAGE;
    const target: Target = { kind, namespace: path.namespace, name: path.name, subresource: path.subresource, rest: path.rest };
    return this.#verb(verb, target, request);
  }

  #authorize(request: ApiRequest, verb: Verb, path: ResourcePath): void {
    const { group, plural: resource, subresource, namespace, name } = path;
    if (request.user.groups.includes("system:unauthenticated")) throw unauthorized();
    const refused = authorize(request.user, { verb, group, resource, subresource, namespace, name });
    if (refused) throw refused;
  }

  async #document(request: ApiRequest): Promise<ApiResponse> {
    const refused = authorizePath(request.user, request.method, request.path);
    if (refused) throw request.user.groups.includes("system:unauthenticated") ? unauthorized() : refused;
    if (request.method !== "GET" && request.method !== "HEAD") return NO_SUCH_PAGE;
    const first = request.path.split("/")[1] ?? "";
    if (HEALTH.has(first)) return this.#health(request, first);
    if (request.path === "/version") return answer(request, 200, this.#version());
    return this.#discovery.answer(request) ?? this.#openapi.answer(request) ?? NO_SUCH_PAGE;
  }

  #health(request: ApiRequest, name: string): ApiResponse {
    const { failure } = this.#options.registry.store;
    const lines = [`[+]ping ok`, failure ? `[-]store failed: ${failure.message}` : `[+]store ok`];
    const code = failure ? 500 : 200;
    const body = request.query.has("verbose") || failure ? `${lines.join("\n")}\n${name} check ${failure ? "failed" : "passed"}\n` : "ok";
    return { code, headers: { "content-type": "text/plain; charset=utf-8" }, body };
  }

  #version(): object {
    const { gitVersion } = this.#options;
    const [, major = "1", minor = "0"] = /^v(\d+)\.(\d+)/.exec(gitVersion) ?? [];
    return {
      major,
      minor,
      gitVersion,
      gitCommit: "",
      gitTreeState: "",
      buildDate: "1970-01-01T00:00:00Z",
      goVersion: "",
      compiler: "tsc",
      platform: `${process.platform}/${process.arch === "x64" ? "amd64" : process.arch}`,
    };
  }

  async #verb(verb: Verb, target: Target, request: ApiRequest): Promise<ApiResponse> {
    const { registry, now, random } = this.#options;
    const { kind, namespace, name } = target;
    switch (verb) {
      case "get":
        return answerObject(request, now(), kind, await registry.get(kind, namespace, name));
      case "list": {
        const { items, metadata } = await list(registry, kind, namespace, request.query, request.signal);
        return answerList(request, now(), kind, items, metadata);
      }
      case "watch":
        return watch(registry, kind, namespace, request, { now, random });
      case "create": {
        if (name !== "") throw methodNotAllowed(kind);
        if (kind.namespaced && namespace === "") throw badRequest("an empty namespace may not be set during creation");
        const options = writeOptions(request, kind, "CreateOptions");
        const { object, duplicates } = await decodeObject(kind, await request.body(), request.headers["content-type"]);
        if (kind.namespaced) await this.#namespaceMustBe(namespace, kind, object);
        const written = await registry.create(target, object, duplicates, options);
        return answerObject(request, now(), kind, written.object, { code: 201, warnings: written.warnings });
      }
      case "update": {
        if (name === "") throw methodNotAllowed(kind);
        const options = writeOptions(request, kind, "UpdateOptions");
        const { object, duplicates } = await decodeObject(kind, await request.body(), request.headers["content-type"]);
        const written = await registry.update(target, object, duplicates, options);
        return answerObject(request, now(), kind, written.object, { warnings: written.warnings });
      }
      case "patch": {
        if (name === "") throw methodNotAllowed(kind);
        const options = writeOptions(request, kind, "PatchOptions");
        const patch = await readPatch(kind, await request.body(), request.headers["content-type"]);
        if (request.query.has("force")) throw invalidOption("PatchOptions", "force", "Forbidden: may not be specified for non-apply patch");
        const written = await registry.patch(target, patch, options);
        return answerObject(request, now(), kind, written.object, { warnings: written.warnings });
      }
      case "delete": {
        const options = await deleteOptions(request, kind);
        if (kind.plural === "namespaces") await this.#emptyNamespace(name, options);
        const gone = await registry.remove(target, options);
        return "status" in gone && gone.kind === "Status" ? answer(request, 200, gone) : answerObject(request, now(), kind, gone);
      }
      case "deletecollection": {
        const options = await deleteOptions(request, kind);
        if (kind.plural === "namespaces") throw methodNotAllowed(kind);
        const { items, metadata } = await list(registry, kind, namespace, request.query, request.signal);
        for (const object of items)
          await registry.remove({ ...target, namespace: object.metadata.namespace ?? "", name: object.metadata.name }, options);
        return answerList(request, now(), kind, items, { resourceVersion: metadata.resourceVersion });
      }
    }
  }

  async #namespaceMustBe(namespace: string, kind: Kind, object: JsonObject): Promise<void> {
    const found = await this.#options.registry.find(NAMESPACE, "", namespace);
    if (!found) throw notFound(NAMESPACE, namespace);
    if (found.metadata.deletionTimestamp === undefined) return;
    const name = isObject(object.metadata) && typeof object.metadata.name === "string" ? object.metadata.name : "";
    throw forbidden(kind, name, `unable to create new content in namespace ${namespace} because it is being terminated`);
  }

  /** What is in a namespace goes before it. */
  async #emptyNamespace(name: string, options: WriteOptions): Promise<void> {
    if (KEPT_NAMESPACES.includes(name)) throw forbidden(NAMESPACE, name, "this namespace may not be deleted");
    const { registry, kinds } = this.#options;
    if (options.dryRun || !(await registry.find(NAMESPACE, "", name))) return;
    for (const kind of kinds.filter((k) => k.namespaced)) {
      const { items } = await list(registry, kind, name, new URLSearchParams(), new AbortController().signal);
      for (const o of items)
        await registry.remove(
          { kind, namespace: name, name: o.metadata.name, subresource: "", rest: "" },
          { user: options.user, dryRun: false, validation: "Ignore" },
        );
    }
  }
}

function writeOptions(request: ApiRequest, kind: Kind, options: string): WriteOptions {
  const dryRun = request.query.getAll("dryRun");
  if (dryRun.some((d) => d !== "All"))
    throw invalidOption(options, "dryRun", `Unsupported value: ${JSON.stringify(dryRun)}: supported values: "All"`);
  const validation = request.query.get("fieldValidation") ?? "";
  if (validation !== "" && validation !== "Strict" && validation !== "Warn" && validation !== "Ignore")
    throw invalidOption(options, "fieldValidation", `Unsupported value: ${JSON.stringify(validation)}: supported values: "Ignore", "Warn", "Strict"`);
  return { user: request.user, dryRun: dryRun.length > 0, validation: validation === "" ? usualValidation(kind) : validation };
}

// A setting that nobody reads is a setting that somebody believes in: our kinds refuse what they do not know unless asked otherwise. Others' objects
// of the core kinds come from many writers and carry more than we declare.
const usualValidation = (kind: Kind): FieldValidation => (kind.builtIn ? "Warn" : "Strict");

const invalidOption = (options: string, field: string, message: string): Error =>
  invalid({ group: "meta.k8s.io", kind: options }, "", [
    { field, reason: message.startsWith("Forbidden") ? "FieldValueForbidden" : "FieldValueNotSupported", message },
  ]);

const POLICIES = ["Background", "Foreground", "Orphan"];

async function deleteOptions(request: ApiRequest, kind: Kind): Promise<WriteOptions & DeleteOptions> {
  const usual = writeOptions(request, kind, "DeleteOptions");
  const bytes = await request.body();
  if (bytes.length === 0) return usual;
  let value: unknown;
  try {
    value = await decodeDeleteOptions(bytes, request.headers["content-type"]);
  } catch (thrown) {
    throw badRequest(`error decoding DeleteOptions: ${messageOf(thrown)}`);
  }
  if (!isObject(value)) throw badRequest("error decoding DeleteOptions: it is not an object");
  const { preconditions, propagationPolicy, dryRun } = value;
  if (
    propagationPolicy !== undefined &&
    propagationPolicy !== null &&
    !(typeof propagationPolicy === "string" && POLICIES.includes(propagationPolicy))
  )
    throw invalidOption(
      "DeleteOptions",
      "propagationPolicy",
      `Unsupported value: ${JSON.stringify(propagationPolicy)}: supported values: "Foreground", "Background", "Orphan", "nil"`,
    );
  if (dryRun !== undefined && !(Array.isArray(dryRun) && dryRun.every((d) => d === "All")))
    throw invalidOption("DeleteOptions", "dryRun", `Unsupported value: ${JSON.stringify(dryRun)}: supported values: "All"`);
  const conditions = isObject(preconditions) ? preconditions : {};
  return {
    ...usual,
    dryRun: usual.dryRun || (Array.isArray(dryRun) && dryRun.length > 0),
    ...(typeof conditions.uid === "string" ? { uid: conditions.uid } : {}),
    ...(typeof conditions.resourceVersion === "string" ? { resourceVersion: conditions.resourceVersion } : {}),
  };
}
