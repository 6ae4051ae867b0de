// The one connection by which the server reaches this node: a WebSocket that the agent opens and keeps open. Frames: u32 big-endian stream id, u8 channel,
// payload. Channel numbers are those of v5.channel.k8s.io, and 254 opens a stream. One stream is one command in a pod, or one capture on the node.
import { setTimeout as sleep } from "node:timers/promises";
import type WebSocket from "ws";
import { type Backoff, delay } from "../base/backoff.ts";
import { fromUtf8 } from "../base/bytes.ts";
import { messageOf } from "../base/errors.ts";
import type { Log } from "../base/log.ts";
import type { Endpoint } from "../client/kubeconfig.ts";
import { openWebSocket } from "../client/node.ts";
import { pause } from "../client/pause.ts";
import { Execution, type Self, trafficTo } from "./exec.ts";
import { parseOpen } from "./open.ts";

export const STREAM_PROTOCOL = "v1.stream.tortie.io";
export const CHANNEL = { stdin: 0, stdout: 1, stderr: 2, status: 3, resize: 4, open: 254, close: 255 } as const;
const HEADER = 5;
/** Commands at a time on one node. */
const STREAM_LIMIT = 64;
const RECONNECT: Backoff = { firstMs: 100, maxMs: 5_000, factor: 2, jitter: 0.5 };
/** Input that a command has not taken: above this nothing is read for anybody, for so long as it still takes some; else the command is ended. */
const INPUT_LIMIT = 4 << 20;
const STUCK_MS = 3_000;
const LOOK_MS = 20;
/** A connection that says nothing, not even pong, for two of these is dead. */
const PING_MS = 15_000;
const HEALTHY_MS = 3_000;

/** One frame. */
export function frame(stream: number, channel: number, payload: Uint8Array): Buffer {
  const out = Buffer.allocUnsafe(HEADER + payload.length);
  out.writeUInt32BE(stream, 0);
  out[4] = channel;
  out.set(payload, HEADER);
  return out;
}

export type StreamOptions = {
  endpoint: Endpoint;
  node: string;
  log: Log;
  /** Program and arguments that run this program's commands. */
  tortie: readonly string[];
};

export class Stream {
  readonly #options: StreamOptions;

  constructor(options: StreamOptions) {
    this.#options = options;
  }

  /** Keeps the connection until `signal` aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const { endpoint, node, log, tortie } = this.#options;
    const path = `/apis/tortie.io/v1/nodes/${encodeURIComponent(node)}/stream`;
    for (let failures = 0; !signal.aborted;) {
      const began = performance.now();
      try {
        const socket = await openWebSocket(endpoint, path, STREAM_PROTOCOL, signal);
        log.debug("stream to the server is open");
        await serve(socket, { tortie, traffic: trafficTo(endpoint) }, log, signal);
      } catch (thrown) {
        if (signal.aborted) return;
        log.debug("no stream to the server, trying again", { error: messageOf(thrown) });
      }
      if (performance.now() - began > HEALTHY_MS) failures = 0;
      await pause(delay(RECONNECT, Math.min(failures++, 20), Math.random()), signal);
    }
  }
}

/** Answers what comes on one connection, until it ends; then everything that ran for it is ended too. */
function serve(socket: WebSocket, self: Self, log: Log, signal: AbortSignal): Promise<void> {
  const running = new Map<number, Execution>();
  const send = (id: number, channel: number, payload: Uint8Array): Promise<void> =>
    new Promise((resolve) => (socket.readyState === socket.OPEN ? socket.send(frame(id, channel, payload), () => resolve()) : resolve()));

  const open = (id: number, payload: Uint8Array): void => {
    const refuse = (message: string): void =>
      void send(id, CHANNEL.status, Buffer.from(JSON.stringify({ kind: "Status", status: "Failure", reason: "BadRequest", message, code: 400 })));
    if (running.has(id)) return refuse("this stream is open already");
    if (running.size >= STREAM_LIMIT) return refuse(`this node runs ${STREAM_LIMIT} commands already`);
    const order = parseOpen(fromUtf8(payload));
    if (typeof order === "string") return refuse(order);
    if (order.type === "exec") log.info("running a command in a pod", { namespace: order.namespace, pod: order.pod, tty: order.tty });
    else log.info("capturing packets", { interfaces: order.interfaces, filter: order.filter });
    const execution = new Execution(order, self, {
      output: (channel, data) => send(id, channel, data),
      ended: (status) => {
        running.delete(id);
        void send(id, CHANNEL.status, Buffer.from(JSON.stringify(status)));
      },
    });
    running.set(id, execution);
    execution.start();
  };

  return new Promise((resolve) => {
    let alive = true;
    const ping = setInterval(() => {
      if (!alive) return socket.terminate();
      alive = false;
      socket.ping();
    }, PING_MS);
    socket.on("pong", () => (alive = true));
    const stop = (): void => socket.close(1001);
    signal.addEventListener("abort", stop, { once: true });
    socket.on("message", (data) => {
      alive = true;
      const bytes = Buffer.isBuffer(data) ? data : Buffer.concat(Array.isArray(data) ? data : [Buffer.from(data)]);
      if (bytes.length < HEADER) return;
      const id = bytes.readUInt32BE(0);
      const payload = bytes.subarray(HEADER);
      if (bytes[4] === CHANNEL.open) return open(id, payload);
      const execution = running.get(id);
      execution?.input(bytes[4]!, payload);
      if (execution && execution.waiting > INPUT_LIMIT && !socket.isPaused) void hold(socket, execution);
    });
    socket.once("close", () => {
      clearInterval(ping);
      signal.removeEventListener("abort", stop);
      for (const execution of running.values()) execution.kill();
      running.clear();
      resolve();
    });
    if (signal.aborted) stop();
  });
}

/** Reads nothing more until the command has taken its input. */
async function hold(socket: WebSocket, execution: Execution): Promise<void> {
  socket.pause();
  let least = execution.waiting;
  for (let since = performance.now(); execution.waiting > INPUT_LIMIT / 2 && performance.now() - since < STUCK_MS; await sleep(LOOK_MS)) {
    if (execution.waiting >= least) continue;
    least = execution.waiting;
    since = performance.now();
  }
  if (execution.waiting > INPUT_LIMIT / 2) execution.kill();
  socket.resume();
}
