// Requests to answers: who may, then documents or the verbs of the API. Knows nothing of sockets; http.ts carries it.
import { isObject } from "../api/json.ts";
import type { Kind } from "../api/kind.ts";
import { badRequest, methodNotAllowed, notFound, unauthorized } from "../api/status.ts";
import { messageOf } from "../base/errors.ts";
import type { Log } from "../base/log.ts";
import { refuseImpersonation } from "./identity/impersonation.ts";
import { decodeObject } from "./wire/body.ts";
import { answer, answerError, NO_SUCH_PAGE, statusOf } from "./wire/answer.ts";
import type { AuditLine } from "./identity/audit.ts";
import { authorize, authorizePath } from "./identity/authorize.ts";
import { type Review, REVIEWS } from "./identity/reviews.ts";
import { UNAUTHENTICATED } from "./identity/roles.ts";
import { CUSTOM_RESOURCE_DEFINITION } from "../api/crd.ts";
import { Definitions, isDefinition } from "./documents/definitions.ts";
import { Discovery } from "./documents/discovery.ts";
import { OpenApi } from "./documents/openapi.ts";
import { act, type VerbContext } from "./objects/verbs.ts";
import { compressed } from "./wire/gzip.ts";
import { type ApiRequest, type ApiResponse, parsePath, type ResourcePath, type Target, type Verb, verbOf } from "./wire/request.ts";

export type HandlerOptions = VerbContext & {
  readonly kinds: readonly Kind[];
  /** Version that /version reports, such as v1.36.0+tortie-0.1.0: kubectl warns when it is far from its own. */
  readonly gitVersion: string;
  readonly log: Log;
  /** One line for each write and each refusal. */
  readonly audit: (line: AuditLine) => void;
};
const HEALTH = new Set(["healthz", "livez", "readyz"]);

export class Handler {
  readonly #options: HandlerOptions;
  readonly #discovery: Discovery;
  readonly #openapi: OpenApi;
  readonly #definitions: Definitions;

  constructor(options: HandlerOptions) {
    this.#options = options;
    this.#discovery = new Discovery([...options.kinds, CUSTOM_RESOURCE_DEFINITION, ...REVIEWS]);
    this.#openapi = new OpenApi([...options.kinds, CUSTOM_RESOURCE_DEFINITION], options.gitVersion);
    this.#definitions = new Definitions(options.kinds, options.now);
  }

  /** Never throws: what goes wrong is a Status. */
  async handle(request: ApiRequest): Promise<ApiResponse> {
    let response: ApiResponse;
    let failed: unknown;
    try {
      response = await compressed(request, await this.#route(request));
    } catch (thrown) {
      failed = thrown;
      response = answerError(thrown, request);
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
    const review = REVIEWS.find((r) => r.group === path.group && r.version === path.version && r.plural === path.plural);
    if (review && path.name === "") return this.#review(verb, review, request);
    if (isDefinition(path)) return this.#definitions.answer(verb, path, request);
    const kind = this.#options.kinds.find((k) => k.group === path.group && k.version === path.version && k.plural === path.plural);
    if (!kind || path.rest !== "") return NO_SUCH_PAGE;
    const { subresource } = path;
    if (subresource !== "" && !(subresource === "status" && kind.hasStatus) && !(subresource === "finalize" && kind.lifecycle)) {
      if (path.plural === "pods" && subresource === "exec") throw badRequest("Upgrade request required");
      throw notFound(kind, path.name);
    }
    if (kind.namespaced ? path.namespace === "" && path.name !== "" : path.namespace !== "") return NO_SUCH_PAGE;
    const target: Target = { kind, namespace: path.namespace, name: path.name, subresource, rest: path.rest };
    return act(verb, target, request, this.#options);
  }

  async #review(verb: Verb, review: Review, request: ApiRequest): Promise<ApiResponse> {
    if (verb !== "create") throw methodNotAllowed();
    const { object } = await decodeObject(review, await request.body(), request.headers["content-type"]);
    const spec = isObject(object.spec) ? object.spec : {};
    return answer(request, 201, { ...object, metadata: { creationTimestamp: null }, spec, status: review.status(request.user, spec) });
  }

  #authorize(request: ApiRequest, verb: Verb, path: ResourcePath): void {
    const { group, plural: resource, subresource, namespace, name } = path;
    if (request.user.groups.includes(UNAUTHENTICATED)) throw unauthorized();
    const refused = authorize(request.user, { verb, group, resource, subresource, namespace, name });
    if (refused) throw refused;
  }

  async #document(request: ApiRequest): Promise<ApiResponse> {
    const refused = authorizePath(request.user, request.method, request.path);
    if (refused) throw request.user.groups.includes(UNAUTHENTICATED) ? unauthorized() : refused;
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
}
