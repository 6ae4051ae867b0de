// An agent that runs the commands of exec on this machine: the other end of the server's stream in tests.
import { type ChildProcess, spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { WebSocket } from "ws";
import { type Carry, helloText, Link, welcomeOf } from "../../src/api/nodelink.ts";
import {
  CHANNEL,
  creditFrame,
  creditOf,
  encodeFrame,
  type Frame,
  ReceiveWindow,
  sendData,
  SendWindow,
  STREAM_PROTOCOL,
} from "../../src/api/nodestream.ts";

type Open = { type: string; command?: string[]; stdin?: boolean; tty?: boolean; pod?: string };
type Running = { child: ChildProcess; output: SendWindow; input: ReceiveWindow };
export type FakeAgent = {
  readonly opened: Open[];
  /** Commands that run. */
  running(): number;
  /** Close code of the connection, once it is over. */
  readonly closed: Promise<number>;
  /** As a node that stops. */
  close(): void;
  /** As a network that breaks. */
  cut(): void;
  /** Comes back after a cut; true when it went on where it was. */
  reconnect(): Promise<boolean>;
};

/** Connects to the server's unix socket as the agent of `node`; resolves when the stream stands. */
export async function fakeAgent(socketPath: string, node: string): Promise<FakeAgent> {
  const opened: Open[] = [];
  const running = new Map<number, Running>();
  const [agent, id] = [randomUUID(), randomUUID()];
  const link = new Link(receive);
  let socket: WebSocket;
  const send = (stream: number, channel: number, payload: Uint8Array): Promise<void> => link.send(encodeFrame({ stream, channel, payload }));

  function final(id: number, code: number): void {
    running.delete(id);
    const status =
      code === 0
        ? { metadata: {}, status: "Success" }
        : {
            metadata: {},
            status: "Failure",
            reason: "NonZeroExitCode",
            message: `command terminated with exit code ${code}`,
            details: { causes: [{ reason: "ExitCode", message: String(code) }] },
          };
    void send(id, CHANNEL.status, Buffer.from(JSON.stringify(status)));
  }
  function start(stream: number, open: Open): void {
    opened.push(open);
    // A capture ends when its input does; a log has what every pod says.
    const [program, ...args] = open.command ?? (open.type === "log" ? ["printf", "log line 1\\nlog line 2\\n"] : ["cat"]);
    const stdin = open.stdin === false ? "ignore" : "pipe";
    const child = spawn(program!, args, { stdio: [stdin, "pipe", "pipe"] });
    const output = new SendWindow();
    running.set(stream, { child, output, input: new ReceiveWindow() });
    child.stdin?.on("error", () => {});
    const forward = async (from: NodeJS.ReadableStream, channel: 1 | 2): Promise<void> => {
      for await (const data of from) await sendData(output, data as Buffer, (piece) => send(stream, channel, piece));
    };
    const code = new Promise<number>((resolve) => {
      child.on("error", () => resolve(127));
      child.on("exit", (c) => resolve(c ?? 137));
    });
    const flows = Promise.all([forward(child.stdout!, 1), forward(child.stderr!, 2)]);
    void flows.then(async () => final(stream, await code));
  }
  function receive({ stream, channel, payload }: Frame): void {
    if (channel === CHANNEL.open) return start(stream, JSON.parse(Buffer.from(payload).toString()) as Open);
    const known = running.get(stream);
    if (!known) return;
    const { child, output, input } = known;
    if (channel === CHANNEL.credit) output.give(creditOf(payload));
    else if (channel === CHANNEL.stdin) {
      if (!input.receive(payload.length)) throw new Error("the server sends more than its window");
      child.stdin?.write(payload, () => {
        const credit = input.pass(payload.length);
        if (credit > 0) void link.send(creditFrame(stream, credit));
      });
    } else if (channel === CHANNEL.close && payload[0] === CHANNEL.stdin) child.stdin?.end();
    else if (channel === CHANNEL.close) {
      output.close();
      child.kill("SIGKILL");
    }
  }

  let ended: (code: number) => void;
  const closed = new Promise<number>((resolve) => (ended = resolve));
  function connect(): Promise<boolean> {
    const made = new WebSocket(`ws+unix:${socketPath}:/apis/tortie.io/v1/nodes/${node}/stream`, STREAM_PROTOCOL);
    socket = made;
    const carry: Carry = (message) => new Promise((done) => (made.readyState === made.OPEN ? made.send(message, () => done()) : done()));
    return new Promise((resolve, reject) => {
      made.once("error", reject);
      made.once("open", () => void carry(helloText({ agent, link: id, received: link.received })));
      let welcomed = false;
      made.on("message", (data: Buffer, binary: boolean) => {
        const message = binary ? data : data.toString();
        if (welcomed) return void link.message(message);
        welcomed = true;
        const { resumed, received } = welcomeOf(message as string)!;
        link.attach(carry, received);
        resolve(resumed);
      });
      made.once("close", (code) => {
        link.detach();
        if (code !== 1006) ended(code);
      });
    });
  }
  await connect();
  return {
    opened,
    closed,
    running: () => running.size,
    close: () => socket.close(1001),
    cut: () => socket.terminate(),
    reconnect: connect,
  };
}
