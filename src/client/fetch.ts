// The transport for browsers (and whatever else has fetch): the page's origin, or a server that allows the page's; a bearer token where one is needed.
// A browser shows no client certificate on demand: a proxy such as `kubectl proxy` has one, or a token.
import { TortieError } from "../base/errors.ts";
import { toBase64, utf8 } from "../base/bytes.ts";
import type { HttpRequest, MessageSocket, Transport } from "./transport.ts";

export type FetchOptions = {
  /** Where the API is. @default the page's origin */
  url?: string;
  /** Asked for each request: tokens rotate. */
  token?: () => string | undefined;
  /** @default the global one */
  fetch?: typeof fetch;
};

const HEAD_TIMEOUT_MS = 30_000;
/** Subprotocol by which a browser hands over a token, for it cannot set a header. https://github.com/kubernetes/kubernetes/pull/47740 */
const BEARER_PROTOCOL = "base64url.bearer.authorization.k8s.io.";

const words = (cause: unknown): string => (cause instanceof Error && cause.message !== "" ? cause.message : "the connection failed");

async function* bodyOf(stream: ReadableStream<Uint8Array> | null, where: string): AsyncGenerator<Uint8Array> {
  if (!stream) return;
  const reader = stream.getReader();
  let ended = false;
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) {
        ended = true;
        return;
      }
      yield value;
    }
  } catch (cause) {
    throw new TortieError(`Cannot go on reading from ${where}: ${words(cause)}`, { cause });
  } finally {
    // Not awaited: nobody may be there.
    if (!ended) void reader.cancel().catch(() => {});
  }
}

/** The transport to one API server. */
export function fetchTransport(options: FetchOptions = {}): Transport {
  const origin = (globalThis as { location?: { origin: string } }).location?.origin ?? "";
  const base = (options.url ?? origin).replace(/\/+$/, "");
  const send = options.fetch ?? globalThis.fetch.bind(globalThis);
  const open = new AbortController();

  async function request(r: HttpRequest): ReturnType<Transport["request"]> {
    const token = options.token?.();
    const over = new AbortController();
    const end = (): void => over.abort();
    const signals = [open.signal, ...(r.signal ? [r.signal] : [])];
    for (const s of signals) {
      if (s.aborted) end();
      s.addEventListener("abort", end, { once: true });
    }
    const timer = setTimeout(end, r.timeoutMs ?? HEAD_TIMEOUT_MS);
    const forget = (): void => {
      for (const s of signals) s.removeEventListener("abort", end);
    };
    try {
      const asked: RequestInit & { cache: "no-store" } = {
        method: r.method,
        headers: { ...r.headers, ...(token === undefined ? {} : { authorization: `Bearer ${token}` }) },
        signal: over.signal,
        // A browser's cache would answer a list with an old one.
        cache: "no-store",
        ...(r.body === undefined ? {} : { body: typeof r.body === "string" ? r.body : new Uint8Array(r.body) }),
      };
      const answer = await send(base + r.path, asked);
      const body = (async function* () {
        try {
          yield* bodyOf(answer.body, base);
        } finally {
          forget();
        }
      })();
      return { status: answer.status, headers: Object.fromEntries(answer.headers), body };
    } catch (cause) {
      forget();
      const why = r.signal?.aborted ? "it was given up" : over.signal.aborted ? "it does not answer" : words(cause);
      throw new TortieError(`Cannot reach the API server at ${base}: ${why}`, { cause });
    } finally {
      clearTimeout(timer);
    }
  }

  return {
    where: base,
    request,
    webSocket: (path, protocol, signal) => {
      const token = options.token?.();
      const bearer =
        token === undefined ? [] : [BEARER_PROTOCOL + toBase64(utf8(token)).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "")];
      return openSocket(base.replace(/^http/, "ws") + path, [protocol, ...bearer], base, signal);
    },
    close: async () => open.abort(),
  };
}

/** What a browser's WebSocket has; Node has one as well, from 22 on. */
type BrowserSocket = {
  binaryType: string;
  readonly bufferedAmount: number;
  send(data: Uint8Array): void;
  close(code?: number): void;
  onopen: (() => void) | null;
  onerror: (() => void) | null;
  onmessage: ((event: { data: unknown }) => void) | null;
  onclose: ((event: { code: number; reason: string }) => void) | null;
};

function openSocket(url: string, protocols: string[], where: string, signal?: AbortSignal): Promise<MessageSocket> {
  const Socket = (globalThis as unknown as { WebSocket: new (url: string, protocols: string[]) => BrowserSocket }).WebSocket;
  return new Promise((resolve, reject) => {
    const socket = new Socket(url, protocols);
    socket.binaryType = "arraybuffer";
    const abort = (): void => socket.close();
    signal?.addEventListener("abort", abort, { once: true });
    // A browser does not say why: neither the status nor the body of a refusal.
    socket.onclose = (): void => reject(new TortieError(`Cannot open a stream to ${where}: it was refused, or the connection failed`));
    socket.onopen = (): void =>
      resolve({
        send: (message) => socket.send(message),
        get buffered() {
          return socket.bufferedAmount;
        },
        // A browser reads without end; what comes is handled in its order.
        listen: ({ message, close }) => {
          let last: Promise<void> = Promise.resolve();
          socket.onmessage = (event): void => {
            const data = new Uint8Array(event.data as ArrayBuffer);
            last = last.then(() => message(data)).catch(() => {});
          };
          socket.onclose = ({ code, reason }): void => {
            signal?.removeEventListener("abort", abort);
            void last.then(() => close(code, reason));
          };
        },
        close: () => socket.close(1000),
      });
  });
}
