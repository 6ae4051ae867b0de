// The client of a Kubernetes-style API. This entry needs no Node: hand in a Transport. For Node: connectWith, connectTo, connectToSocket in ./node.ts.
export type { Client, Informer, ListOptions, PatchType, WatchOptions, WriteOptions } from "./types.ts";
export type { HttpAnswer, HttpRequest, MessageSocket, Transport } from "./transport.ts";
export { type RawRequest, type RestClient, restClient } from "./rest.ts";
export { ApiError, isAlreadyExists, isApiError, isConflict, isExpired, isNotFound, type Status, type StatusCause } from "./error.ts";
export { type ChangeType, informer, INFORMER_BACKOFF, type InformerOptions } from "./informer.ts";
export { exec, type ExecOptions, type TerminalSize } from "./exec.ts";
export { pathOf, type Query, queryOf } from "./path.ts";
