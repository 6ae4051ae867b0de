// The client of a Kubernetes-style API. This entry needs no Node: fetchTransport() for browsers, or a Transport of your own. For Node, with kubeconfigs and
// client certificates: ./node.ts.
export type { Client, Informer, InformerMetrics, ListOptions, PatchType, WatchOptions, WriteOptions } from "./types.ts";
export type { HttpAnswer, HttpRequest, MessageSocket, Transport } from "./transport.ts";
export { type RawRequest, type RestClient, restClient } from "./rest.ts";
export { ApiError, isAlreadyExists, isApiError, isConflict, isExpired, isNotFound, type Status, type StatusCause } from "./error.ts";
export { type ChangeType, informer, type InformerOptions } from "./informer.ts";
export { type FetchOptions, fetchTransport } from "./fetch.ts";
export { KUBECTL_RATE, type RateLimit, rateLimited } from "./ratelimit.ts";
export { captureOnNode, exec, type ExecOptions, runOnNode, type TerminalSize } from "./exec.ts";
export { pathOf, type Query, queryOf } from "./path.ts";
