// The transport for Node: node:https with client certificates, node:http over a unix socket, WebSockets by ws. One keep-alive agent a client.
import { Agent as HttpAgent, type IncomingMessage, request as httpRequest } from "node:http";
import { Agent as HttpsAgent, request as httpsRequest } from "node:https";
import WebSocket, { type RawData } from "ws";
import { messageOf, TortieError } from "../base/errors.ts";
import { type Credentials, credentialsOf, type Shown } from "./credentials.ts";
import { ApiError, apiErrorOf } from "./error.ts";
import type { ImpersonationHeaders } from "./impersonate.ts";
import { type Endpoint, loadKubeconfig } from "./kubeconfig.ts";
import { textOf } from "./lines.ts";
import { KUBECTL_RATE, type RateLimit, rateLimited } from "./ratelimit.ts";
import { type RestClient, restClient } from "./rest.ts";
import type { HttpAnswer, HttpRequest, MessageSocket, Transport } from "./transport.ts";

export { type Endpoint, inClusterEndpoint, loadKubeconfig } from "./kubeconfig.ts";

const KEEP_ALIVE_MS = 10_000;
const HEAD_TIMEOUT_MS = 30_000;
/** Of one WebSocket message. */
const MESSAGE_LIMIT = 8 << 20;

const WORDS: Readonly<Record<string, string>> = {
  ECONNREFUSED: "nothing listens there",
  ECONNRESET: "the connection was closed",
  EPIPE: "the connection was closed",
  ENOENT: "there is no such socket",
  EACCES: "permission denied",
  ENOTFOUND: "its name is not known",
  ETIMEDOUT: "it does not answer",
  EHOSTUNREACH: "there is no route to it",
  ENETUNREACH: "there is no route to it",
  DEPTH_ZERO_SELF_SIGNED_CERT: "its certificate is not signed by the kubeconfig's certificate authority",
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: "its certificate is not signed by the kubeconfig's certificate authority",
  SELF_SIGNED_CERT_IN_CHAIN: "its certificate is not signed by the kubeconfig's certificate authority",
  CERT_SIGNATURE_FAILURE: "its certificate is not signed by the kubeconfig's certificate authority",
};

const unreachable = (where: string, cause: unknown): TortieError =>
  new TortieError(`Cannot reach the API server at ${where}: ${WORDS[(cause as NodeJS.ErrnoException).code ?? ""] ?? messageOf(cause)}`, {
    hint: "Does it run? `tortie server` starts one, `tortie lab up` a whole cluster.",
    cause,
  });

const givenUp = (where: string, cause: unknown): TortieError => new TortieError(`Cannot finish the request to ${where}: it was given up`, { cause });

type Wire = {
  where: string;
  secure: boolean;
  /** What node:http(s) takes to get there, without who we are. */
  to: { socketPath?: string; hostname?: string; port?: number };
  tls: { ca?: string; servername?: string; rejectUnauthorized?: boolean };
  prefix: string;
  credentials: Credentials;
  headers: ImpersonationHeaders;
};

/** One of each endpoint: a plug-in is asked once for all connections to it. */
const wires = new WeakMap<Endpoint, Wire>();

function wireOf(e: Endpoint): Wire {
  let wire = wires.get(e);
  if (!wire) wires.set(e, (wire = newWire(e)));
  return wire;
}

function newWire(e: Endpoint): Wire {
  const rest = { credentials: credentialsOf(e), headers: e.impersonate ?? {} };
  if (e.socketPath !== undefined)
    return { where: `unix:${e.socketPath}`, secure: false, to: { socketPath: e.socketPath }, tls: {}, prefix: "", ...rest };
  let url: URL;
  try {
    url = new URL(e.url);
  } catch (cause) {
    throw new TortieError(`Cannot use "${e.url}" as the API server's address: it is not a URL`, { cause });
  }
  if (url.protocol !== "https:" && url.protocol !== "http:")
    throw new TortieError(`Cannot use "${e.url}" as the API server's address: it must begin with https://, http:// or unix:`);
  const secure = url.protocol === "https:";
  return {
    where: url.origin,
    secure,
    to: { hostname: url.hostname.replace(/^\[|\]$/g, ""), port: url.port ? Number(url.port) : secure ? 443 : 80 },
    tls: !secure
      ? {}
      : {
          ...(e.ca ? { ca: e.ca } : {}),
          ...(e.serverName ? { servername: e.serverName } : {}),
          ...(e.insecure ? { rejectUnauthorized: false } : {}),
        },
    prefix: url.pathname.replace(/\/+$/, ""),
    ...rest,
  };
}

/** Who we are, for one request: parts of its options. */
function showing(wire: Wire, { cert, key, token }: Shown): { tls: object; headers: Record<string, string | string[]> } {
  return {
    tls: wire.secure ? { ...wire.tls, ...(cert === undefined ? {} : { cert, key }) } : {},
    headers: { ...wire.headers, ...(token === undefined ? {} : { authorization: `Bearer ${token}` }) },
  };
}

/** Who we are at the moment; given up with `signal`, for a plug-in may be waiting for a person. */
function whoWeAre({ credentials, where }: Wire, signal: AbortSignal | undefined): Promise<Shown> {
  const asked = credentials.current();
  if (!signal) return asked;
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(givenUp(where, signal.reason));
    if (signal.aborted) abort();
    signal.addEventListener("abort", abort, { once: true });
    void asked.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
  });
}

async function* bodyOf(answer: IncomingMessage, where: string): AsyncGenerator<Uint8Array> {
  try {
    for await (const chunk of answer) yield chunk as Uint8Array;
  } catch (cause) {
    throw new TortieError(`Cannot go on reading from ${where}: ${WORDS[(cause as NodeJS.ErrnoException).code ?? ""] ?? messageOf(cause)}`, { cause });
  } finally {
    answer.destroy();
  }
}

/**
 * A WebSocket with one subprotocol and our credentials. Also for the agent's stream. The socket is open when this resolves;
 * set listeners at once, before the turn of the event loop ends.
 * Throws ApiError when the server refuses with a Status, else TortieError.
 */
export async function openWebSocket(endpoint: Endpoint, path: string, protocol: string, signal?: AbortSignal): Promise<WebSocket> {
  const wire = wireOf(endpoint);
  const shown = await whoWeAre(wire, signal);
  try {
    return await upgrade(wire, shown, path, protocol, signal);
  } catch (thrown) {
    if (!(thrown instanceof ApiError && thrown.code === 401 && wire.credentials.refused(shown))) throw thrown;
    return upgrade(wire, await whoWeAre(wire, signal), path, protocol, signal);
  }
}

function upgrade(wire: Wire, shown: Shown, path: string, protocol: string, signal: AbortSignal | undefined): Promise<WebSocket> {
  const address =
    wire.to.socketPath === undefined ? `${wire.where.replace(/^http/, "ws")}${wire.prefix}${path}` : `ws+unix:${wire.to.socketPath}:${path}`;
  const { tls, headers } = showing(wire, shown);
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(unreachable(wire.where, signal.reason));
    const socket = new WebSocket(address, [protocol], {
      ...tls,
      // Some have several values, which ws hands on to node:http as they are; its types do not say so.
      headers: headers as Record<string, string>,
      handshakeTimeout: HEAD_TIMEOUT_MS,
      perMessageDeflate: false,
      maxPayload: MESSAGE_LIMIT,
    });
    const abort = (): void => socket.terminate();
    signal?.addEventListener("abort", abort, { once: true });
    socket.once("close", () => signal?.removeEventListener("abort", abort));
    socket.once("unexpected-response", (request, answer: IncomingMessage) => {
      textOf(bodyOf(answer, wire.where), 1 << 20).then(
        (text) => reject(apiErrorOf(answer.statusCode ?? 500, text)),
        (thrown: unknown) => reject(unreachable(wire.where, thrown)),
      );
      answer.once("close", () => request.destroy());
    });
    socket.once("error", (cause) => reject(unreachable(wire.where, cause)));
    socket.once("open", () => {
      socket.on("error", () => {}); // followed by "close", which the owner hears
      // Frames that came along with the answer wait until the caller has set its listeners.
      socket.pause();
      setImmediate(() => socket.resume());
      resolve(socket);
    });
  });
}

const bytesOf = (data: RawData): Uint8Array =>
  Array.isArray(data) ? Buffer.concat(data) : data instanceof ArrayBuffer ? new Uint8Array(data) : data;

function messageSocket(socket: WebSocket): MessageSocket {
  return {
    send: (message) => {
      if (socket.readyState === WebSocket.OPEN) socket.send(message, { binary: true });
    },
    get buffered() {
      return socket.bufferedAmount;
    },
    listen: ({ message, close }) => {
      // One after the other: a slow reader of the output slows the sender down.
      let last: Promise<void> = Promise.resolve();
      let waiting = 0;
      socket.on("message", (data) => {
        if (++waiting === 1) socket.pause();
        last = last
          .then(() => message(bytesOf(data)))
          .catch(() => {})
          .finally(() => {
            if (--waiting === 0) socket.resume();
          });
      });
      socket.once("close", (code, reason) => void last.then(() => close(code, reason.toString("utf8"))));
    },
    close: () => socket.close(1000),
  };
}

/** The transport to one endpoint. */
export function nodeTransport(endpoint: Endpoint): Transport {
  const wire = wireOf(endpoint);
  const { secure } = wire;
  const agentOptions = { keepAlive: true, keepAliveMsecs: KEEP_ALIVE_MS, scheduling: "lifo" as const };
  const agent = secure ? new HttpsAgent({ ...agentOptions }) : new HttpAgent({ ...agentOptions });

  const once = (r: HttpRequest, shown: Shown): Promise<{ answer: HttpAnswer } | { stale: unknown }> =>
    new Promise((resolve, reject) => {
      const who = showing(wire, shown);
      const headers = { "user-agent": "tortie", ...r.headers, ...who.headers };
      const body = typeof r.body === "string" ? Buffer.from(r.body) : r.body;
      const req = (secure ? httpsRequest : httpRequest)(
        {
          ...wire.to,
          ...who.tls,
          agent,
          method: r.method,
          path: wire.prefix + r.path,
          headers: body ? { ...headers, "content-length": String(body.length) } : headers,
          ...(r.signal ? { signal: r.signal } : {}),
        },
        (answer) => {
          clearTimeout(timer);
          answer.socket?.setKeepAlive(true, KEEP_ALIVE_MS);
          const names = Object.fromEntries(Object.entries(answer.headers).map(([k, v]) => [k, Array.isArray(v) ? v.join(", ") : (v ?? "")]));
          resolve({ answer: { status: answer.statusCode ?? 0, headers: names, body: bodyOf(answer, wire.where) } });
        },
      );
      const timer = setTimeout(
        () => req.destroy(Object.assign(new Error("it does not answer"), { code: "ETIMEDOUT" })),
        r.timeoutMs ?? HEAD_TIMEOUT_MS,
      );
      req.on("error", (cause: NodeJS.ErrnoException) => {
        clearTimeout(timer);
        // A kept connection that the server had closed meanwhile: nothing was done yet.
        if (r.method === "GET" && req.reusedSocket && (cause.code === "ECONNRESET" || cause.code === "EPIPE")) return resolve({ stale: cause });
        reject(r.signal?.aborted ? givenUp(wire.where, cause) : unreachable(wire.where, cause));
      });
      req.end(body);
    });

  const ask = async (r: HttpRequest, shown: Shown): Promise<HttpAnswer> => {
    for (let attempt = 0; ; attempt++) {
      const done = await once(r, shown);
      if ("answer" in done) return done.answer;
      if (attempt >= 2) throw unreachable(wire.where, done.stale);
    }
  };

  return {
    where: wire.where,
    request: async (r) => {
      const shown = await whoWeAre(wire, r.signal);
      const answer = await ask(r, shown);
      if (answer.status !== 401 || !wire.credentials.refused(shown)) return answer;
      await textOf(answer.body, 1 << 20);
      return ask(r, await whoWeAre(wire, r.signal));
    },
    webSocket: async (path, protocol, signal) => messageSocket(await openWebSocket(endpoint, path, protocol, signal)),
    close: async () => {
      wire.credentials.close();
      agent.destroy();
    },
  };
}

export type ConnectOptions = {
  /** How often it asks at most; a server on a socket of this machine is not spared. @default KUBECTL_RATE */
  rate?: RateLimit;
};

/** A client of one endpoint. */
export function connectTo(endpoint: Endpoint, { rate = KUBECTL_RATE }: ConnectOptions = {}): RestClient {
  const transport = nodeTransport(endpoint);
  return restClient(endpoint.socketPath === undefined ? rateLimited(transport, rate) : transport);
}
/** A client of the server on a unix socket: the admin of this machine. */
export const connectToSocket = (socketPath: string): RestClient => connectTo({ url: `unix:${socketPath}`, socketPath });
/** A client with the server and the identity of a kubeconfig. Throws TortieError. */
export const connectWith = (kubeconfig: string, options: ConnectOptions & { context?: string | undefined } = {}): RestClient =>
  connectTo(loadKubeconfig(kubeconfig, options), options);
