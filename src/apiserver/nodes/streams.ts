// The agents' streams: one WebSocket that each agent opens and keeps (subprotocol v1.stream.tortie.io). Frames, both ways: u32 BE stream id, u8 channel,
// payload. Channels are those of v5.channel.k8s.io (0 stdin, 1 stdout, 2 stderr, 3 final Status, 4 resize, 255 close of a channel), and 254: open.
import type { WebSocket } from "ws";
import type { NodeCapture } from "../../api/nodecapture.ts";
import type { Log } from "../../base/log.ts";

export const STREAM_PROTOCOL = "v1.stream.tortie.io";
export const CHANNEL = { stdin: 0, stdout: 1, stderr: 2, error: 3, resize: 4, open: 254, close: 255 } as const;
const HEADER = 5;
const PING_MS = 15_000;

export type OpenExec = {
  type: "exec";
  namespace: string;
  pod: string;
  command: string[];
  tty: boolean;
  stdin: boolean;
  stdout: boolean;
  stderr: boolean;
};

export type OpenCapture = NodeCapture & { type: "capture" };
export type Open = OpenExec | OpenCapture;

/** Receives the frames of one stream. */
export interface Listener {
  data(channel: number, payload: Uint8Array): void;
  /** The agent went away before the stream's final Status. */
  lost(): void;
}
export interface Stream {
  send(channel: number, payload: Uint8Array): void;
  /** No more frames are wanted. */
  close(): void;
  /** Bytes not yet taken by the agent. */
  readonly waiting: number;
  /** Stops and goes on reading from the agent (all its streams). */
  pause(): void;
  resume(): void;
}

class Agent {
  readonly #socket: WebSocket;
  readonly #listeners = new Map<number, Listener>();
  #next = 1;
  #alive = true;
  readonly #timer: NodeJS.Timeout;

  constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.on("message", (data: Buffer, binary: boolean) => {
      this.#alive = true;
      if (binary && data.length >= HEADER) this.#receive(data);
    });
    socket.on("pong", () => (this.#alive = true));
    socket.on("close", () => this.#lost());
    socket.on("error", () => socket.terminate());
    this.#timer = setInterval(() => {
      // What is not read cannot show life.
      if (socket.isPaused) return;
      if (!this.#alive) return socket.terminate();
      this.#alive = false;
      socket.ping();
    }, PING_MS);
  }

  #receive(frame: Buffer): void {
    const id = frame.readUInt32BE(0);
    const channel = frame[4]!;
    const listener = this.#listeners.get(id);
    if (channel === CHANNEL.error) this.#listeners.delete(id);
    listener?.data(channel, frame.subarray(HEADER));
  }

  #lost(): void {
    clearInterval(this.#timer);
    for (const listener of this.#listeners.values()) listener.lost();
    this.#listeners.clear();
  }

  open(order: Open, listener: Listener): Stream {
    const id = this.#next;
    this.#next = this.#next >= 0xffffffff ? 1 : this.#next + 1;
    this.#listeners.set(id, listener);
    const socket = this.#socket;
    const send = (channel: number, payload: Uint8Array): void => {
      const header = Buffer.alloc(HEADER);
      header.writeUInt32BE(id, 0);
      header[4] = channel;
      socket.send(Buffer.concat([header, payload]), { binary: true });
    };
    send(CHANNEL.open, Buffer.from(JSON.stringify(order)));
    return {
      send,
      close: () => {
        if (!this.#listeners.delete(id)) return;
        // The agent ends what still runs.
        for (const channel of [CHANNEL.stdin, CHANNEL.stdout, CHANNEL.stderr, CHANNEL.error]) send(CHANNEL.close, Uint8Array.of(channel));
      },
      get waiting() {
        return socket.bufferedAmount;
      },
      pause: () => socket.pause(),
      resume: () => socket.resume(),
    };
  }

  close(): void {
    this.#socket.close(1001, "the server stops");
    clearInterval(this.#timer);
    setTimeout(() => this.#socket.terminate(), 500).unref();
  }
}

export class Streams {
  readonly #agents = new Map<string, Agent>();
  readonly #log: Log;

  constructor(log: Log) {
    this.#log = log;
  }

  /** A new stream takes the place of an older one of the same node: the agent was started again. */
  add(node: string, socket: WebSocket): void {
    this.#agents.get(node)?.close();
    const agent = new Agent(socket);
    this.#agents.set(node, agent);
    this.#log.info("agent connected", { node });
    socket.on("close", () => {
      if (this.#agents.get(node) !== agent) return;
      this.#agents.delete(node);
      this.#log.info("agent disconnected", { node });
    });
  }

  has(node: string): boolean {
    return this.#agents.has(node);
  }

  /** Undefined when the node's agent is not connected. */
  open(node: string, order: Open, listener: Listener): Stream | undefined {
    return this.#agents.get(node)?.open(order, listener);
  }

  close(): void {
    for (const agent of this.#agents.values()) agent.close();
    this.#agents.clear();
  }
}
