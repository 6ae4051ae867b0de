// The one connection by which a server reaches this node: a WebSocket that the agent opens and keeps open. What goes over it: docs/design/streams.md.
import { randomUUID } from "node:crypto";
import type WebSocket from "ws";
import { GRACE_MS } from "../api/nodelink.ts";
import { STREAM_PROTOCOL } from "../api/nodestream.ts";
import { type Backoff, delay } from "../base/backoff.ts";
import { messageOf } from "../base/errors.ts";
import type { Log } from "../base/log.ts";
import type { Endpoint } from "../client/kubeconfig.ts";
import { openWebSocket } from "../client/node.ts";
import { pause } from "../client/pause.ts";
import { trafficTo } from "./exec.ts";
import { Served } from "./served.ts";

/** Close code for the agent whose place a newer one of the same node took. */
export const REPLACED = 4001;
/** Close code of a connection that makes no sense (RFC 6455, 7.4.1). */
const PROTOCOL_ERROR = 1002;
/** A connection that was cut, not closed. */
const CUT = 1006;
const RECONNECT: Backoff = { firstMs: 100, maxMs: 5_000, factor: 2, jitter: 0.5 };
/** Two agents of one name would take the stream from each other without end. */
const REPLACED_MS = 60_000;
/** A connection that says nothing, not even pong, for two of these is dead. */
const PING_MS = 15_000;
const HEALTHY_MS = 3_000;

export type StreamOptions = {
  endpoint: Endpoint;
  node: string;
  log: Log;
  /** Program and arguments that run this program's commands. */
  tortie: readonly string[];
};

export class Stream {
  readonly #options: StreamOptions;
  readonly #served: Served;
  /** Tells this agent from another of the same name. */
  readonly #agent = randomUUID();
  #grace: NodeJS.Timeout | undefined;

  constructor(options: StreamOptions) {
    this.#options = options;
    this.#served = new Served({ tortie: options.tortie, traffic: trafficTo(options.endpoint) }, options.log);
  }

  /** Whether a connection stands. */
  connected = false;

  /** Keeps the connection until `signal` aborts; then everything that runs for the server is ended. */
  async run(signal: AbortSignal): Promise<void> {
    const { endpoint, node, log } = this.#options;
    const path = `/apis/tortie.io/v1/nodes/${encodeURIComponent(node)}/stream`;
    for (let failures = 0; !signal.aborted;) {
      const began = performance.now();
      let wait: number | undefined;
      try {
        const socket = await openWebSocket(endpoint, path, STREAM_PROTOCOL, signal);
        const code = await this.#carry(socket, signal);
        if (code === REPLACED) {
          log.warn("another agent with this node's name took the stream to the server: stop one of them", { node });
          wait = REPLACED_MS;
        }
      } catch (thrown) {
        if (signal.aborted) break;
        log.debug("no stream to the server, trying again", { error: messageOf(thrown) });
      }
      if (performance.now() - began > HEALTHY_MS) failures = 0;
      await pause(wait ?? delay(RECONNECT, Math.min(failures++, 20), Math.random()), signal);
    }
    clearTimeout(this.#grace);
    this.#served.end();
  }

  /** Serves over one connection until it ends; gives its close code. */
  #carry(socket: WebSocket, signal: AbortSignal): Promise<number> {
    const served = this.#served;
    clearTimeout(this.#grace);
    return new Promise((resolve) => {
      let [alive, welcomed, over] = [true, false, false];
      const carry = (message: string | Uint8Array): Promise<void> =>
        new Promise((done) => (socket.readyState === socket.OPEN ? socket.send(message, () => done()) : done()));
      const ping = setInterval(() => {
        if (!alive) return socket.terminate();
        alive = false;
        socket.ping();
        served.tell();
      }, PING_MS);
      socket.on("pong", () => (alive = true));
      const stop = (): void => socket.close(1001);
      signal.addEventListener("abort", stop, { once: true });
      socket.on("message", (data, binary) => {
        alive = true;
        if (over) return;
        const bytes = Buffer.isBuffer(data) ? data : Buffer.concat(Array.isArray(data) ? data : [Buffer.from(data)]);
        const message = binary ? bytes : bytes.toString("utf8");
        const good = welcomed ? served.message(message) : served.welcome(message, carry);
        if (good && !welcomed) this.#options.log.debug("stream to the server is open", { server: this.#options.endpoint.url });
        welcomed = true;
        this.connected = good;
        if (good) return;
        over = true;
        socket.close(PROTOCOL_ERROR);
      });
      socket.once("close", (code) => {
        clearInterval(ping);
        signal.removeEventListener("abort", stop);
        served.detach();
        this.connected = false;
        // What was closed is over; what was cut may come back.
        if (code !== CUT || over) served.end();
        else this.#grace = setTimeout(() => served.end(), GRACE_MS);
        resolve(code);
      });
      if (signal.aborted) stop();
      else void carry(served.hello(this.#agent));
    });
  }
}
