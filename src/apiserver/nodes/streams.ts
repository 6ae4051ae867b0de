// The agents' streams: one WebSocket that each agent opens and keeps, with any number of commands on it. What goes over it: docs/design/streams.md.
import type { WebSocket } from "ws";
import type { NodeCapture } from "../../api/nodecapture.ts";
import { type Carry, GRACE_MS, type Hello, helloOf, helloText, Link } from "../../api/nodelink.ts";
import { CHANNEL, creditFrame, creditOf, encodeFrame, type Frame, ReceiveWindow, sendData, SendWindow } from "../../api/nodestream.ts";
import type { NodeTask } from "../../api/nodetask.ts";
import type { PodLog } from "../../api/podlog.ts";
import { utf8 } from "../../base/bytes.ts";
import type { Log } from "../../base/log.ts";

const PING_MS = 15_000;
const HELLO_MS = 10_000;
/** A connection that was cut, not closed. */
const CUT = 1006;
/** Close codes: the server stops; the messages make no sense; a newer agent of this node took the stream. */
const [STOPPING, PROTOCOL_ERROR, REPLACED] = [1001, 1002, 4001];

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

export type OpenLog = PodLog & { type: "log"; namespace: string; pod: string };
export type OpenCapture = NodeCapture & { type: "capture" };
export type Open = OpenExec | OpenLog | OpenCapture | NodeTask;

/** Receives what comes on one stream. */
export interface Listener {
  /** Output; `taken` is to be called when it was passed on: until then the other side sends a window's worth at most. */
  data(channel: 1 | 2, payload: Uint8Array, taken: () => void): void;
  /** The final Status, as JSON. Nothing comes after it. */
  status(payload: Uint8Array): void;
  /** The agent went away before the final Status. */
  lost(): void;
}
export interface Stream {
  /** Input; resolves when the window let it go. */
  write(data: Uint8Array): Promise<void>;
  /** A size of the terminal, or the end of the input. */
  control(channel: number, payload: Uint8Array): void;
  /** Nothing more is wanted: the agent ends what still runs. */
  close(): void;
}

type Opened = { readonly listener: Listener; readonly input: SendWindow; readonly output: ReceiveWindow };

/** What one agent serves: a link, on one connection after the other. */
class Agent {
  readonly hello: Hello;
  readonly #link: Link;
  readonly #streams = new Map<number, Opened>();
  readonly #over: () => void;
  #next = 1;
  #socket: WebSocket | undefined;
  #grace: NodeJS.Timeout | undefined;

  /** `over` is called once, when the agent is gone for good. */
  constructor(hello: Hello, over: () => void) {
    this.hello = hello;
    this.#over = over;
    this.#link = new Link((frame) => this.#receive(frame));
  }

  get connected(): boolean {
    return this.#socket !== undefined;
  }
  resumes(hello: Hello): boolean {
    return hello.link === this.hello.link && hello.agent === this.hello.agent && this.#link.resumable(hello.received);
  }

  /** Goes on over this connection. */
  attach(socket: WebSocket, resumed: boolean, theirs: number): void {
    clearTimeout(this.#grace);
    // The one before may hang without having noticed.
    this.#socket?.terminate();
    this.#socket = socket;
    const carry: Carry = (message) => new Promise((done) => (socket.readyState === socket.OPEN ? socket.send(message, () => done()) : done()));
    let alive = true;
    const timer = setInterval(() => {
      if (!alive) return socket.terminate();
      alive = false;
      socket.ping();
      this.#link.tell();
    }, PING_MS);
    socket.on("pong", () => (alive = true));
    socket.on("message", (data: Buffer, binary: boolean) => {
      alive = true;
      if (this.#socket !== socket || this.#link.message(binary ? data : data.toString("utf8"))) return;
      this.close(PROTOCOL_ERROR, "this makes no sense");
    });
    socket.on("close", (code: number) => {
      clearInterval(timer);
      if (this.#socket !== socket) return;
      this.#socket = undefined;
      this.#link.detach();
      // What was closed is over; what was cut may come back.
      if (code === CUT) this.#grace = setTimeout(() => this.#end(), GRACE_MS).unref();
      else this.#end();
    });
    void carry(helloText({ resumed, received: this.#link.received }));
    this.#link.attach(carry, theirs);
  }

  #receive({ stream, channel, payload }: Frame): void {
    const opened = this.#streams.get(stream);
    if (!opened) return;
    const { listener, input, output } = opened;
    if (channel === CHANNEL.credit) return input.give(creditOf(payload));
    if (channel === CHANNEL.status) {
      this.#streams.delete(stream);
      input.close();
      return listener.status(payload);
    }
    if (channel !== CHANNEL.stdout && channel !== CHANNEL.stderr) return;
    if (!output.receive(payload.length)) return this.close(PROTOCOL_ERROR, "more than its window");
    listener.data(channel, payload, () => {
      const credit = output.pass(payload.length);
      if (credit > 0 && this.#streams.get(stream) === opened) void this.#link.send(creditFrame(stream, credit));
    });
  }

  open(order: Open, listener: Listener): Stream {
    const stream = this.#next;
    this.#next = this.#next >= 0xffffffff ? 1 : this.#next + 1;
    const opened: Opened = { listener, input: new SendWindow(), output: new ReceiveWindow() };
    this.#streams.set(stream, opened);
    const send = (channel: number, payload: Uint8Array): Promise<void> => this.#link.send(encodeFrame({ stream, channel, payload }));
    void send(CHANNEL.open, utf8(JSON.stringify(order)));
    return {
      write: (data) => sendData(opened.input, data, (piece) => send(CHANNEL.stdin, piece)),
      control: (channel, payload) => void (this.#streams.get(stream) === opened && send(channel, payload)),
      close: () => {
        opened.input.close();
        if (this.#streams.get(stream) !== opened) return;
        this.#streams.delete(stream);
        for (const channel of [CHANNEL.stdin, CHANNEL.stdout, CHANNEL.stderr, CHANNEL.status]) void send(CHANNEL.close, Uint8Array.of(channel));
      },
    };
  }

  /** Ends it, and all that runs for it. */
  close(code: number, why: string): void {
    const socket = this.#socket;
    this.#socket = undefined;
    socket?.close(code, why);
    if (socket) setTimeout(() => socket.terminate(), 500).unref();
    this.#end();
  }

  #end(): void {
    clearTimeout(this.#grace);
    this.#link.detach();
    const streams = [...this.#streams.values()];
    this.#streams.clear();
    for (const { listener, input } of streams) {
      input.close();
      listener.lost();
    }
    this.#over();
  }
}

export class Streams {
  readonly #agents = new Map<string, Agent>();
  readonly #log: Log;

  constructor(log: Log) {
    this.#log = log;
  }

  /**
   * Takes the connection of the agent of `node`. One that comes back goes on where it was cut. Any other takes the place of the one before it: an agent that was
   * started again, or, when that one is connected still, a second one of the same name: then `replaced` is called.
   */
  add(node: string, socket: WebSocket, replaced: () => void): void {
    const late = setTimeout(() => socket.close(PROTOCOL_ERROR, "no hello came"), HELLO_MS).unref();
    socket.on("error", () => socket.terminate());
    socket.once("close", () => clearTimeout(late));
    socket.once("message", (data: Buffer, binary: boolean) => {
      clearTimeout(late);
      const hello = binary ? undefined : helloOf(data.toString("utf8"));
      if (!hello) return socket.close(PROTOCOL_ERROR, "the first message must be a hello");
      const known = this.#agents.get(node);
      if (known?.resumes(hello)) {
        known.attach(socket, true, hello.received);
        return this.#log.info("agent is back", { node });
      }
      if (known?.connected && known.hello.agent !== hello.agent) replaced();
      known?.close(REPLACED, "another agent of this node is connected");
      const agent = new Agent(hello, () => {
        if (this.#agents.get(node) !== agent) return;
        this.#agents.delete(node);
        this.#log.info("agent disconnected", { node });
      });
      this.#agents.set(node, agent);
      agent.attach(socket, false, 0);
      this.#log.info("agent connected", { node });
    });
  }

  /** Also while an agent that was cut off may come back. */
  has(node: string): boolean {
    return this.#agents.has(node);
  }

  /** Undefined when the node's agent is not connected. */
  open(node: string, order: Open, listener: Listener): Stream | undefined {
    return this.#agents.get(node)?.open(order, listener);
  }

  close(): void {
    for (const agent of this.#agents.values()) agent.close(STOPPING, "the server stops");
  }
}
