// What carries requests to an API server, handed to the client: node:https and unix sockets in Node (node.ts), fetch in a browser.

export type HttpRequest = {
  readonly method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  /** Path and query, beginning with "/". */
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
  readonly signal?: AbortSignal | undefined;
  /** How long the head of the answer may take, in ms. @default 30000 */
  readonly timeoutMs?: number;
};

export type HttpAnswer = {
  readonly status: number;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  /** Ends when the body is complete; throws TortieError when the connection broke before. Leaving the loop closes the connection. */
  readonly body: AsyncIterable<Uint8Array>;
};

/** A WebSocket as far as exec needs it. Messages are binary. */
export interface MessageSocket {
  send(message: Uint8Array): void;
  /** Bytes handed to send() that are not on the wire yet. */
  readonly buffered: number;
  /** `message` may return a promise: no further message is read until it is settled. Set once, before the first turn of the event loop ends. */
  listen(handlers: { message: (data: Uint8Array) => void | Promise<void>; close: (code: number, reason: string) => void }): void;
  close(): void;
}

export interface Transport {
  /** "https://192.168.10.1:6443" or "unix:/run/tortie.sock": for messages. */
  readonly where: string;
  /** Throws TortieError when the server cannot be reached; any HTTP status is an answer. */
  request(request: HttpRequest): Promise<HttpAnswer>;
  /** Opens a WebSocket with one subprotocol. Throws ApiError when the server refuses with a Status, else TortieError. */
  webSocket(path: string, protocol: string, signal?: AbortSignal): Promise<MessageSocket>;
  close(): Promise<void>;
}
