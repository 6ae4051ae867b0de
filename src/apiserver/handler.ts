// Requests to answers: who may, then documents or the verbs of the API. Knows nothing of sockets; http.ts carries it.
import type { JsonObject } from "../api/json.ts";
import type { Kind } from "../api/kind.ts";
import { badRequest, methodNotAllowed, notFound, tooManyRequests, unauthorized, unavailable } from "../api/status.ts";
import { messageOf } from "../base/errors.ts";
import { StoreError } from "../store/store.ts";
import type { Log } from "../base/log.ts";
import { refuseImpersonation } from "./identity/impersonation.ts";
import { decodeObject } from "./wire/body.ts";
import { answer, answerError, NO_SUCH_PAGE, statusOf } from "./wire/answer.ts";
import type { AuditLine } from "./identity/audit.ts";
import { allowing, allowingPath } from "./identity/authorize.ts";
import { forbiddenText } from "./identity/forbidden.ts";
import type { Limits } from "./identity/limits.ts";
import { type Review, type ReviewContext, REVIEWS } from "./identity/reviews.ts";
import { type Role, UNAUTHENTICATED } from "./identity/roles.ts";
import { CUSTOM_RESOURCE_DEFINITION } from "../api/crd.ts";
import { Definitions, isDefinition } from "./documents/definitions.ts";
import { Discovery } from "./documents/discovery.ts";
import { OpenApi } from "./documents/openapi.ts";
import { podLog } from "./nodes/podlog.ts";
import type { Streams } from "./nodes/streams.ts";
import { writeOptions } from "./objects/options.ts";
import { accept } from "./objects/prepare.ts";
import { act, type VerbContext } from "./objects/verbs.ts";
import { compressed } from "./wire/gzip.ts";
import { type ApiRequest, type ApiResponse, parsePath, type ResourcePath, type Target, type Verb, verbOf } from "./wire/request.ts";

export type HandlerOptions = VerbContext & {
  readonly kinds: readonly Kind[];
  /** Version that /version reports, such as v1.36.0+tortie-0.1.0: kubectl warns when it is far from its own. */
  readonly gitVersion: string;
  /** To the agents, who read the logs of pods; without them there are none. */
  readonly streams?: Streams;
  readonly log: Log;
  /** Writes down one request. */
  readonly audit: (line: AuditLine) => void;
  /** Why writes must wait until the audit log is well again, or undefined. */
  readonly auditFailure?: () => string | undefined;
  readonly limits?: Pick<Limits, "take" | "watch">;
  /** What reviews of tokens ask. */
  readonly credentials: ReviewContext;
};
/** What is found out about a request on its way, for the audit log. */
type Trail = { readonly received: number; verb: string; role?: Role };
const HEALTH = new Set(["healthz", "livez", "readyz"]);
const READS = new Set<Verb>(["get", "list", "watch"]);

export class Handler {
  readonly #options: HandlerOptions;
  readonly #discovery: Discovery;
  readonly #openapi: OpenApi;
  readonly #definitions: Definitions;

  constructor(options: HandlerOptions) {
    this.#options = options;
    const served = [...options.kinds, CUSTOM_RESOURCE_DEFINITION, ...REVIEWS];
    this.#discovery = new Discovery(served);
    this.#openapi = new OpenApi(served, options.gitVersion);
    this.#definitions = new Definitions(options.kinds, options);
  }

  /** Never throws: what goes wrong is a Status. */
  async handle(request: ApiRequest): Promise<ApiResponse> {
    const { limits, log, now } = this.#options;
    const trail: Trail = { received: now(), verb: request.method.toLowerCase() };
    const room = limits?.take(request.user, request.source) ?? "yes";
    // Whoever sends too much would fill the audit log too: of a row of refusals the first stands for all.
    if (room === "no") return answerError(tooManyRequests());
    try {
      if (room === "first no") throw tooManyRequests();
      return this.#followed(request, trail, await compressed(request, await this.#route(request, trail)));
    } catch (thrown) {
      const response = answerError(thrown, request);
      if (response.code >= 500) log.error("request failed", { method: request.method, path: request.path, error: messageOf(thrown) });
      const { reason = "", message = "" } = statusOf(thrown);
      this.#audit(request, trail, { code: response.code, reason, message: request.user.refused ?? message });
      return response;
    }
  }

  /** `response`, written down: an endless one when it begins and when it ends. */
  #followed(request: ApiRequest, trail: Trail, response: ApiResponse): ApiResponse {
    const { body, code } = response;
    if (typeof body !== "function") {
      this.#audit(request, trail, { code, ...(response.made === undefined ? {} : { name: response.made }) });
      return response;
    }
    const release = this.#options.limits?.watch(request.user, request.source);
    this.#audit(request, trail, { code, stage: "ResponseStarted" });
    let over = false;
    return {
      ...response,
      body: (sink) => {
        const stop = body(sink);
        return () => {
          stop();
          if (over) return;
          over = true;
          release?.();
          this.#audit(request, trail, { code });
        };
      },
    };
  }

  #audit(request: ApiRequest, { received, verb, role }: Trail, outcome: Pick<AuditLine, "code" | "reason" | "message" | "stage" | "name">): void {
    const { user, query, headers } = request;
    const agent = headers["user-agent"];
    this.#options.audit({
      verb,
      path: request.path,
      user: user.name,
      groups: user.groups,
      ...(user.extra ? { extra: user.extra } : {}),
      id: request.id,
      ...(query.size > 0 ? { query: `?${query.toString()}` } : {}),
      source: request.source,
      ...(agent === undefined ? {} : { agent }),
      ...(role ? { role: role.name } : {}),
      received,
      ...outcome,
    });
  }

  async #route(request: ApiRequest, trail: Trail): Promise<ApiResponse> {
    if (request.user.refused !== undefined) throw unauthorized();
    refuseImpersonation(request.user, request.headers);
    const path = parsePath(request.path);
    if (!path) return this.#document(request, trail);
    const verb = verbOf(request.method, path, request.query);
    if (!verb) throw methodNotAllowed();
    trail.verb = verb;
    trail.role = this.#authorize(request, verb, path);
    const broken = READS.has(verb) ? undefined : this.#options.auditFailure?.();
    if (broken !== undefined) throw unavailable(`the audit log cannot be written, so nothing is changed: ${broken}`);
    const review = REVIEWS.find((r) => r.group === path.group && r.version === path.version && r.plural === path.plural);
    if (review && path.name === "") return this.#review(verb, review, request);
    if (isDefinition(path)) return this.#definitions.answer(verb, path, request);
    const kind = this.#options.kinds.find((k) => k.group === path.group && k.version === path.version && k.plural === path.plural);
    if (!kind || path.rest !== "") return NO_SUCH_PAGE;
    const { subresource } = path;
    const { registry, streams } = this.#options;
    if (streams && path.group === "" && path.plural === "pods" && subresource === "log" && verb === "get")
      return podLog(request, path, { registry, streams });
    const served =
      (subresource === "status" && kind.hasStatus) || (subresource === "finalize" && kind.lifecycle) || kind.subresources?.includes(subresource);
    if (subresource !== "" && !served) {
      if (path.plural === "pods" && subresource === "exec") throw badRequest("Upgrade request required");
      throw notFound(kind, path.name);
    }
    if (subresource !== "" && !["get", "update", "patch"].includes(verb)) throw methodNotAllowed(kind);
    if (kind.namespaced ? path.namespace === "" && path.name !== "" : path.namespace !== "") return NO_SUCH_PAGE;
    const target: Target = { kind, namespace: path.namespace, name: path.name, subresource, rest: path.rest };
    return act(verb, target, request, this.#options);
  }

  async #review(verb: Verb, review: Review, request: ApiRequest): Promise<ApiResponse> {
    if (verb !== "create") throw methodNotAllowed();
    const { validation } = writeOptions(request, review, "CreateOptions");
    const sent = await decodeObject(review, await request.body(), request.headers["content-type"]);
    // The answer is ours; Go's clients send an empty one along.
    const { status: _, ...question } = sent.object;
    const { object, warnings } = accept(review, question, sent.duplicates, validation);
    const { spec: asked } = object as { spec?: JsonObject };
    const status = review.status(request.user, asked ?? {}, this.#options.credentials);
    const shown = asked === undefined ? {} : { spec: review.shown(asked) };
    return answer(request, 201, { ...object, metadata: { creationTimestamp: null }, ...shown, status }, warnings);
  }

  /** The role that allows it. Throws ApiError 401, 403. */
  #authorize({ user }: ApiRequest, verb: Verb, path: ResourcePath): Role {
    const { group, plural: resource, subresource, namespace, name } = path;
    if (user.groups.includes(UNAUTHENTICATED)) throw unauthorized();
    const role = allowing(user, { verb, group, resource, subresource });
    if (!role) throw forbiddenText(user, { verb, group, resource, subresource, namespace, name });
    return role;
  }

  async #document(request: ApiRequest, trail: Trail): Promise<ApiResponse> {
    const { user, method, path } = request;
    const role = allowingPath(user, method, path);
    if (!role) throw user.groups.includes(UNAUTHENTICATED) ? unauthorized() : forbiddenText(user, { verb: method.toLowerCase(), path });
    trail.role = role;
    if (method !== "GET" && method !== "HEAD") return NO_SUCH_PAGE;
    const first = path.split("/")[1] ?? "";
    if (HEALTH.has(first)) return this.#health(request, first);
    if (path === "/version") return answer(request, 200, this.#version());
    return this.#discovery.answer(request) ?? this.#openapi.answer(request) ?? NO_SUCH_PAGE;
  }

  /** Who asks for /livez wants to know whether a new start would help: what passes by itself is told by the others only. */
  #health(request: ApiRequest, name: string): ApiResponse {
    const { failure: trouble } = this.#options.registry.store;
    const halted = trouble instanceof StoreError && trouble.reason === "halted";
    const failure = name === "livez" && !halted ? undefined : trouble;
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
