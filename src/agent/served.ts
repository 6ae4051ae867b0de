// What runs on this node for one server: each stream of the link is one command. Outlives the connection that carries the link.
import { randomUUID } from "node:crypto";
import { type Carry, helloText, Link, welcomeOf } from "../api/nodelink.ts";
import { CHANNEL, creditFrame, creditOf, encodeFrame, type Frame, ReceiveWindow, sendData, SendWindow, STREAM_LIMIT } from "../api/nodestream.ts";
import { fromUtf8, utf8 } from "../base/bytes.ts";
import type { Log } from "../base/log.ts";
import { Execution, type Self } from "./exec.ts";
import { parseOpen } from "./open.ts";

type Running = { readonly execution: Execution; readonly output: SendWindow; readonly input: ReceiveWindow };

const refusal = (message: string): object => ({
  kind: "Status",
  apiVersion: "v1",
  metadata: {},
  status: "Failure",
  reason: "BadRequest",
  message,
  code: 400,
});

export class Served {
  readonly #self: Self;
  readonly #log: Log;
  #running = new Map<number, Running>();
  #link: Link;
  #id = "";

  constructor(self: Self, log: Log) {
    this.#self = self;
    this.#log = log;
    this.#link = this.#begin();
  }

  #begin(): Link {
    this.#id = randomUUID();
    return (this.#link = new Link((frame) => this.#receive(frame)));
  }

  /** Ends all that runs; what comes next is a new link. */
  end(): void {
    const running = this.#running;
    this.#running = new Map();
    this.#begin();
    for (const { execution, output } of running.values()) {
      output.close();
      execution.kill();
    }
  }

  hello(agent: string): string {
    return helloText({ agent, link: this.#id, received: this.#link.received });
  }
  /** The server's first message: goes on where both were, or anew. False when it makes no sense. */
  welcome(message: string | Uint8Array, carry: Carry): boolean {
    const welcome = typeof message === "string" ? welcomeOf(message) : undefined;
    if (!welcome) return false;
    if (!welcome.resumed) {
      const id = this.#id;
      this.end();
      this.#id = id; // the server knows it
    }
    if (!this.#link.resumable(welcome.received)) return false;
    this.#link.attach(carry, welcome.received);
    return true;
  }
  message(message: string | Uint8Array): boolean {
    return this.#link.message(message);
  }
  tell(): void {
    this.#link.tell();
  }
  detach(): void {
    this.#link.detach();
  }

  #receive({ stream, channel, payload }: Frame): void {
    if (channel === CHANNEL.open) return this.#open(stream, payload);
    const running = this.#running.get(stream);
    if (!running) return;
    const { execution, output, input } = running;
    if (channel === CHANNEL.credit) return output.give(creditOf(payload));
    // Nobody reads what comes now.
    if (channel === CHANNEL.close && payload[0] !== CHANNEL.stdin) output.close();
    if (channel !== CHANNEL.stdin) return execution.control(channel, payload);
    if (!input.receive(payload.length)) {
      output.close();
      return execution.kill();
    }
    execution.write(payload, () => {
      const credit = input.pass(payload.length);
      if (credit > 0 && this.#running.get(stream) === running) void this.#link.send(creditFrame(stream, credit));
    });
  }

  #open(stream: number, payload: Uint8Array): void {
    const status = (value: object): void =>
      void this.#link.send(encodeFrame({ stream, channel: CHANNEL.status, payload: utf8(JSON.stringify(value)) }));
    // The server names its streams: one that it names twice is its mistake, and the first goes on.
    if (this.#running.has(stream)) return;
    if (this.#running.size >= STREAM_LIMIT) return status(refusal(`this node runs ${STREAM_LIMIT} commands already`));
    const order = parseOpen(fromUtf8(payload));
    if (typeof order === "string") return status(refusal(order));
    if (order.type === "exec") this.#log.info("running a command in a pod", { namespace: order.namespace, pod: order.pod, tty: order.tty });
    else if (order.type === "capture")
      this.#log.info("capturing packets", { interfaces: order.interfaces, filter: order.filter, keys: order.keys === true });
    else this.#log.info("asked from outside", { ...order });
    const link = this.#link;
    const output = new SendWindow();
    const execution = new Execution(order, this.#self, {
      output: (channel, data) => sendData(output, data, (piece) => link.send(encodeFrame({ stream, channel, payload: piece }))),
      ended: (end) => {
        output.close();
        if (this.#running.get(stream) !== running) return;
        this.#running.delete(stream);
        status(end);
      },
    });
    const running: Running = { execution, output, input: new ReceiveWindow() };
    this.#running.set(stream, running);
    execution.start();
  }
}
