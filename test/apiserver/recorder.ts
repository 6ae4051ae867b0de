// What a client asks, as the server sees it: a TLS proxy between the two that writes down each request. To the server it is the administrator.
import { readFileSync, writeFileSync } from "node:fs";
import type { IncomingMessage, ServerResponse } from "node:http";
import { Agent, createServer, request, type Server } from "node:https";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import type { Duplex } from "node:stream";
import { connect } from "node:tls";
import { openAuthority, serverNames } from "../../src/apiserver/identity/authority.ts";
import { type Endpoint, loadKubeconfig } from "../../src/client/kubeconfig.ts";
import type { ServerHome } from "./process.ts";

export type Recorded = {
  readonly method: string;
  /** Path and query. */
  readonly target: string;
  readonly accept: string | undefined;
  readonly contentType: string | undefined;
  /** The subprotocols that an upgrade offers. */
  readonly protocol: string | undefined;
  /** Of the answer; 0 while there is none. */
  code: number;
};

export class Recorder {
  /** Names the proxy as the server. */
  readonly kubeconfig: string;
  readonly #server: Server;
  readonly #endpoint: Endpoint;
  readonly #agent: Agent;
  readonly #open = new Set<Duplex>();
  #requests: Recorded[] = [];
  #listener: (request: Recorded) => void = () => {};

  private constructor(home: ServerHome) {
    this.kubeconfig = join(home.directory, "recorder.kubeconfig");
    this.#endpoint = loadKubeconfig(home.kubeconfig);
    const { ca, cert, key } = this.#endpoint as Required<Endpoint>;
    this.#agent = new Agent({ ca, cert, key, keepAlive: true });
    const own = openAuthority(home.data, Date.now, { create: false }).issue({ commonName: "recorder" }, "server", {
      names: serverNames("127.0.0.1"),
    });
    this.#server = createServer({ cert: own.certificate, key: own.key }, (message, response) => this.#pass(message, response));
    this.#server.on("upgrade", (message: IncomingMessage, socket: Duplex, head: Buffer) => this.#upgrade(message, socket, head));
    this.#server.on("connection", (socket) => this.#hold(socket));
  }

  static async start(home: ServerHome): Promise<Recorder> {
    const recorder = new Recorder(home);
    await new Promise<void>((resolve) => recorder.#server.listen(0, "127.0.0.1", resolve));
    const { port } = recorder.#server.address() as AddressInfo;
    writeFileSync(recorder.kubeconfig, readFileSync(home.kubeconfig, "utf8").replace(recorder.#endpoint.url, `https://127.0.0.1:${port}`), {
      mode: 0o600,
    });
    return recorder;
  }

  /** What was asked since the last take. */
  take(): Recorded[] {
    const taken = this.#requests;
    this.#requests = [];
    return taken;
  }
  get requests(): readonly Recorded[] {
    return this.#requests;
  }
  /** Told of each request once it is answered. */
  onAnswer(listener: (request: Recorded) => void): void {
    this.#listener = listener;
  }

  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    for (const socket of this.#open) socket.destroy();
    this.#agent.destroy();
    await closed;
  }

  #hold(socket: Duplex): void {
    this.#open.add(socket);
    socket.on("error", () => socket.destroy());
    socket.once("close", () => this.#open.delete(socket));
  }

  #record(message: IncomingMessage): Recorded {
    const { accept, "content-type": contentType, "sec-websocket-protocol": websocket, "x-stream-protocol-version": spdy } = message.headers;
    const protocol = websocket ?? (Array.isArray(spdy) ? spdy.join(",") : spdy);
    const recorded: Recorded = { method: message.method!, target: message.url!, accept, contentType, protocol, code: 0 };
    this.#requests.push(recorded);
    return recorded;
  }

  #pass(message: IncomingMessage, response: ServerResponse): void {
    const recorded = this.#record(message);
    const { method, url: path, headers } = message;
    const { hostname: host, port } = new URL(this.#endpoint.url);
    const onward = request({ host, port, method: method!, path: path!, headers, agent: this.#agent }, (answer) => {
      recorded.code = answer.statusCode ?? 0;
      response.writeHead(recorded.code, answer.headers);
      // A watch says nothing for a long time.
      response.flushHeaders();
      answer.pipe(response);
      answer.on("error", () => response.destroy());
      this.#listener(recorded);
    });
    onward.on("error", () => response.destroy());
    response.on("close", () => onward.destroy());
    message.pipe(onward);
  }

  #upgrade(message: IncomingMessage, socket: Duplex, head: Buffer): void {
    const recorded = this.#record(message);
    const { hostname, port } = new URL(this.#endpoint.url);
    const { ca, cert, key } = this.#endpoint as Required<Endpoint>;
    const onward = connect({ host: hostname, port: Number(port), ca, cert, key }, () => {
      const lines = message.rawHeaders.flatMap((name, i) => (i % 2 === 0 ? [`${name}: ${message.rawHeaders[i + 1]}`] : []));
      onward.write(`${message.method} ${message.url} HTTP/1.1\r\n${lines.join("\r\n")}\r\n\r\n`);
      onward.write(head);
      onward.once("data", (first: Buffer) => {
        recorded.code = Number(/^HTTP\/1\.1 (\d+)/.exec(first.toString("latin1", 0, 20))?.[1] ?? 0);
        this.#listener(recorded);
      });
      onward.pipe(socket);
      socket.pipe(onward);
    });
    this.#hold(onward);
    for (const [one, other] of [
      [socket, onward],
      [onward, socket],
    ] as const)
      one.once("close", () => other.destroy());
  }
}
