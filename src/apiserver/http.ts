// Carries the handler over Node's HTTP: reads requests, writes answers and endless streams. Bodies are read only for those who may send them.
import { randomUUID } from "node:crypto";
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { answerError } from "./wire/answer.ts";
import type { Handler } from "./handler.ts";
import { readBody } from "./wire/readbody.ts";
import type { ApiRequest, ApiResponse, User } from "./wire/request.ts";

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

/** The endless answers and the connections of a server, to be ended when it stops. */
export class Connections {
  readonly #open = new Set<() => void>();
  /** Also those that never got as far as a request: Node closes only those that it knows as HTTP. */
  readonly #sockets = new Set<Socket>();
  hold(socket: Socket): void {
    this.#sockets.add(socket);
    socket.once("close", () => this.#sockets.delete(socket));
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
  server.maxConnections = 8192;
  server.on("connection", (socket: Socket) => {
    connections.hold(socket);
    socket.setNoDelay(true);
  });
  server.on("clientError", (_error, socket) => {
    if (socket.writable) socket.end("HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
    else socket.destroy();
  });
  server.on("request", (message: IncomingMessage, response: ServerResponse) => {
    const gone = new AbortController();
    response.on("close", () => gone.abort());
    let read: Promise<Uint8Array> | undefined;
    const request: ApiRequest = {
      method: message.method ?? "GET",
      ...targetOf(message),
      headers: headersOf(message),
      user: authenticate(message),
      source: message.socket.remoteAddress ?? "unix",
      body: () => (read ??= readBody(message, announcedBy(message), gone.signal)),
      signal: gone.signal,
    };
    const auditId = randomUUID();
    void handler
      .handle(request)
      .catch((thrown: unknown) => answerError(thrown))
      .then((answer) => send(message, response, answer, auditId, connections));
  });
}

function send(message: IncomingMessage, response: ServerResponse, answer: ApiResponse, auditId: string, connections: Connections): void {
  if (response.destroyed) {
    if (typeof answer.body === "function") answer.body({ write: () => {}, waiting: 0, end: () => {} })();
    return;
  }
  const headers: Record<string, string> = { "audit-id": auditId, "cache-control": "no-cache, private", ...answer.headers };
  // A body that nobody read would be taken for the next request.
  if (!message.complete && message.method !== "GET") headers.connection = "close";
  if (typeof answer.body !== "function") {
    const bytes = Buffer.from(answer.body);
    response.writeHead(answer.code, { ...headers, "content-length": String(bytes.length) });
    response.end(message.method === "HEAD" ? undefined : bytes);
    return;
  }
  response.writeHead(answer.code, headers);
  // Watchers wait for the headers before anything happens.
  response.flushHeaders();
  if (message.method === "HEAD") return void response.end();
  const stop = answer.body({
    write: (chunk) => void response.write(chunk),
    get waiting() {
      return response.writableLength;
    },
    end: () => void response.end(),
  });
  const forget = connections.add(() => {
    stop();
    response.end();
  });
  response.on("close", () => {
    stop();
    forget();
  });
}
