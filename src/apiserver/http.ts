// Carries the handler over Node's HTTP: reads requests, writes answers and endless streams. Bodies are read only for those who may send them.
import { randomUUID } from "node:crypto";
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { tooManyRequests } from "../api/status.ts";
import { answerError } from "./wire/answer.ts";
import type { Handler } from "./handler.ts";
import { readBody } from "./wire/readbody.ts";
import type { ApiRequest, ApiResponse, Sink, User } from "./wire/request.ts";

/** Values of a header that came once; Node joins the others. */
export const headersOf = (message: IncomingMessage): Record<string, string | undefined> =>
  Object.fromEntries(Object.entries(message.headers).map(([k, v]) => [k, Array.isArray(v) ? v.join(", ") : v]));

/** Path and query; a malformed target is the root. */
export function targetOf(message: IncomingMessage): { path: string; query: URLSearchParams } {
  const text = message.url ?? "/";
  const at = text.indexOf("?");
  return { path: at < 0 ? text : text.slice(0, at), query: new URLSearchParams(at < 0 ? "" : text.slice(at + 1)) };
}

const announcedBy = (message: IncomingMessage): number | undefined => {
  const { "content-length": length } = message.headers;
  return length === undefined ? undefined : Number(length);
};

/** Connections that a door has at most. */
const MOST_CONNECTIONS = 8192;
/** An answer, or what waits of a watch, that nobody takes a byte of for so long is given up with its connection. */
const STALLED_MS = 60_000;
/** Bytes of all answers that are not taken yet; larger ones than SMALL are refused beyond it. */
const ALL_ANSWERS: number = 256 * 1024 * 1024;
const SMALL = 65_536;
let untaken = 0;
/** Why a request is aborted: it is answered, or its asker went away. Without it the reason is an exception with a stack. */
const OVER = "over";

/** A request as it came over HTTP. What few ask for is made when it is asked for: a signal costs as much as the checks of a small object. */
class Incoming implements ApiRequest {
  readonly #message: IncomingMessage;
  readonly #response: ServerResponse;
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: ApiRequest["headers"];
  readonly user: User;
  readonly id: string = randomUUID();
  readonly source: string;
  #read: Promise<Uint8Array> | undefined;
  #gone: AbortController | undefined;

  constructor(message: IncomingMessage, response: ServerResponse, user: User) {
    this.#message = message;
    this.#response = response;
    this.method = message.method ?? "GET";
    ({ path: this.path, query: this.query } = targetOf(message));
    this.headers = headersOf(message);
    this.user = user;
    this.source = message.socket.remoteAddress ?? "unix";
  }
  body(): Promise<Uint8Array> {
    return (this.#read ??= readBody(this.#message, announcedBy(this.#message), this.#response));
  }
  get signal(): AbortSignal {
    if (this.#gone) return this.#gone.signal;
    const gone = (this.#gone = new AbortController());
    if (this.#response.destroyed) gone.abort(OVER);
    else this.#response.once("close", () => gone.abort(OVER));
    return gone.signal;
  }
}

/** Takes an endless answer that nobody gets, before it is ended. */
const NOBODY: Sink = { write: () => {}, waiting: 0, drain: () => {}, end: () => {} };

/** Takes an endless answer. */
class Stream implements Sink {
  readonly #response: ServerResponse;
  #stalled: NodeJS.Timeout | undefined;
  constructor(response: ServerResponse) {
    this.#response = response;
    response.once("close", () => clearTimeout(this.#stalled));
  }
  write(chunk: string | Uint8Array): void {
    this.#response.write(chunk);
  }
  get waiting(): number {
    return this.#response.writableLength;
  }
  drain(then: () => void): void {
    this.#stalled = setTimeout(() => this.#response.destroy(), STALLED_MS);
    this.#response.once("drain", () => {
      clearTimeout(this.#stalled);
      then();
    });
  }
  end(): void {
    this.#response.socket?.setTimeout(STALLED_MS);
    this.#response.end();
  }
}

/** The same for the connection that came in and for what TLS makes of it. */
const endOf = (socket: Socket): Socket | string => (socket.remotePort === undefined ? socket : `${socket.remoteAddress} ${socket.remotePort}`);

/** The endless answers and the connections of a server, to be ended when it stops. */
export class Connections {
  readonly #open = new Set<() => void>();
  /** Also those that never got as far as a request: Node closes only those that it knows as HTTP. */
  readonly #sockets = new Set<Socket>();
  /** Without a request under way, the longest first: they make room for newcomers. */
  readonly #idle = new Map<Socket | string, Socket>();
  /** A new connection; the one that has been idle longest goes where there are too many. */
  hold(socket: Socket): void {
    const end = endOf(socket);
    this.#sockets.add(socket);
    this.#idle.set(end, socket);
    socket.once("close", () => {
      this.#sockets.delete(socket);
      this.#idle.delete(end);
    });
    if (this.#sockets.size <= MOST_CONNECTIONS) return;
    const [longest] = this.#idle.values();
    longest?.destroy();
  }
  /** A request has come; the result says that its answer is over. */
  busy(socket: Socket): () => void {
    const end = endOf(socket);
    const held = this.#idle.get(end);
    this.#idle.delete(end);
    return () => {
      if (held && !held.destroyed) this.#idle.set(end, held);
    };
  }
  destroyAll(): void {
    for (const socket of this.#sockets) socket.destroy();
  }
  add(end: () => void): () => void {
    this.#open.add(end);
    return () => void this.#open.delete(end);
  }
  endAll(): void {
    for (const end of this.#open) end();
  }
}

export type Carrier = {
  readonly handler: Handler;
  readonly connections: Connections;
  readonly authenticate: (message: IncomingMessage) => User;
};

/** Makes `server` answer requests. */
export function serve(server: Server, { handler, connections, authenticate }: Carrier): void {
  // Requests must be whole within a minute; answers may take as long as they like.
  server.headersTimeout = 60_000;
  server.requestTimeout = 60_000;
  server.keepAliveTimeout = 95_000;
  server.on("connection", (socket: Socket) => {
    connections.hold(socket);
    socket.setNoDelay(true);
  });
  // A stream is under way until it closes.
  server.on("upgrade", (message: IncomingMessage) => void connections.busy(message.socket));
  server.on("clientError", (_error, socket) => {
    if (socket.writable) socket.end("HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
    else socket.destroy();
  });
  server.on("request", (message: IncomingMessage, response: ServerResponse) => {
    response.on("close", connections.busy(message.socket));
    const request = new Incoming(message, response, authenticate(message));
    void handler
      .handle(request)
      .catch((thrown: unknown) => answerError(thrown))
      .then((answer) => send(message, response, answer, request.id, connections));
  });
}

function send(message: IncomingMessage, response: ServerResponse, answer: ApiResponse, auditId: string, connections: Connections): void {
  if (response.destroyed) {
    if (typeof answer.body === "function") answer.body(NOBODY)();
    return;
  }
  const headers: Record<string, string> = { "audit-id": auditId, "cache-control": "no-cache, private", ...answer.headers };
  // A body that nobody read would be taken for the next request.
  if (!message.complete && message.method !== "GET") headers.connection = "close";
  if (typeof answer.body !== "function") {
    const bytes = typeof answer.body === "string" ? Buffer.from(answer.body) : answer.body;
    if (bytes.length > SMALL && untaken + bytes.length > ALL_ANSWERS)
      return send(message, response, answerError(tooManyRequests()), auditId, connections);
    untaken += bytes.length;
    response.once("close", () => (untaken -= bytes.length));
    response.writeHead(answer.code, { ...headers, "content-length": String(bytes.length) });
    // Node destroys it; the time starts anew with each part that is taken, and ends with the answer.
    message.socket.setTimeout(STALLED_MS);
    response.end(message.method === "HEAD" ? undefined : bytes);
    return;
  }
  response.writeHead(answer.code, headers);
  // Watchers wait for the headers before anything happens.
  response.flushHeaders();
  if (message.method === "HEAD") {
    // What it counted as is given back.
    answer.body(NOBODY)();
    return void response.end();
  }
  const stop = answer.body(new Stream(response));
  const forget = connections.add(() => {
    stop();
    response.end();
  });
  response.on("close", () => {
    stop();
    forget();
  });
}
