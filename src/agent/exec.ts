// One command in a pod (found by the pid that holds the pod's namespaces, entered with nsenter), or one of this program on the node, such as a capture; its end
// told as a Kubernetes Status.
import { readFileSync } from "node:fs";
import { isIP } from "node:net";
import { argumentsOf } from "../api/nodecapture.ts";
import { CHANNEL } from "../api/nodestream.ts";
import { argumentsOfTask, type NodeTask } from "../api/nodetask.ts";
import { messageOf } from "../base/errors.ts";
import { fromUtf8 } from "../base/bytes.ts";
import type { Endpoint } from "../client/kubeconfig.ts";
import { enter } from "../sys/ns.ts";
import { type Session, type SessionOptions, startSession } from "../sys/session.ts";
import type { CaptureOrder, ExecOrder, LogOrder, Order } from "./open.ts";
import { podLogFile, podPidFile } from "./paths.ts";
import { logSession } from "./podlog.ts";

type Status = {
  kind: "Status";
  apiVersion: "v1";
  metadata: Record<string, never>;
  status: "Success" | "Failure";
  reason?: string;
  message?: string;
  code?: number;
  details?: { causes: { reason: string; message: string }[] };
};

export type ExecutionEvents = {
  /** Resolves when the data has left; output waits for it. */
  readonly output: (channel: 1 | 2, data: Uint8Array) => Promise<void>;
  /** Called once. */
  readonly ended: (status: Status) => void;
};

const PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/**
 * When the program ends there may be output in its pipe still (1 MiB is the most that a pipe holds), and whoever reads it may be slow. But a child in the
 * background may hold the pipe open, and even write: it is over when nothing came for so long, or more than the pipe can have held.
 */
const [DRAIN_MS, DRAIN_BYTES] = [500, 1 << 20];

const failure = (message: string): Status => ({
  kind: "Status",
  apiVersion: "v1",
  metadata: {},
  status: "Failure",
  reason: "InternalError",
  message,
  code: 500,
});

/** What the API says of an exit code. */
export const exitStatus = (code: number): Status =>
  code === 0
    ? { kind: "Status", apiVersion: "v1", metadata: {}, status: "Success" }
    : {
        kind: "Status",
        apiVersion: "v1",
        metadata: {},
        status: "Failure",
        reason: "NonZeroExitCode",
        message: `command terminated with non-zero exit code: exit status ${code}`,
        details: { causes: [{ reason: "ExitCode", message: String(code) }] },
      };

function podPid(order: Pick<ExecOrder, "namespace" | "pod">): number | undefined {
  try {
    const text = readFileSync(podPidFile(order.namespace, order.pod), "utf8").trim();
    return /^[1-9][0-9]{0,9}$/.test(text) ? Number(text) : undefined;
  } catch {
    return undefined;
  }
}

const notHere = ({ namespace, pod }: Pick<ExecOrder, "namespace" | "pod">): string => `pod "${namespace}/${pod}" does not run on this node`;

const logOf = (order: LogOrder): Session | string =>
  podPid(order) === undefined ? notHere(order) : logSession(podLogFile(order.namespace, order.pod), order);

function inPod(order: ExecOrder): SessionOptions | string {
  const { pod, command, tty } = order;
  const pid = podPid(order);
  if (pid === undefined) return notHere(order);
  const env = { PATH: process.env.PATH ?? PATH, HOME: "/root", HOSTNAME: pod, ...(tty ? { TERM: "xterm" } : {}) };
  return { argv: [...enter(pid, ["net", "mount", "uts"]), ...command], env, tty };
}

/** How this program is run again, and which packets are its own, as an expression of filters. */
export type Self = { readonly tortie: readonly string[]; readonly traffic: string | undefined };

/** The packets to and from the API server: a capture that holds its own way home grows for ever. */
export function trafficTo(endpoint: Pick<Endpoint, "url" | "socketPath">): string | undefined {
  if (endpoint.socketPath !== undefined) return undefined;
  const { hostname, port, protocol } = new URL(endpoint.url);
  const host = hostname.replace(/^\[|\]$/g, "");
  const ports = `tcp port ${port || (protocol === "https:" ? 443 : 80)}`;
  return isIP(host) === 0 ? ports : `host ${host} and ${ports}`;
}

export class Execution {
  readonly #order: Order;
  readonly #self: Self;
  readonly #events: ExecutionEvents;
  readonly #pipes: { readonly stdin: boolean; readonly stdout: boolean; readonly stderr: boolean; readonly tty: boolean };
  #session: Session | undefined;
  /** Bytes of output read, and outputs that wait to leave. */
  #moved = 0;
  #sending = 0;

  constructor(order: Order, self: Self, events: ExecutionEvents) {
    this.#order = order;
    this.#self = self;
    this.#events = events;
    this.#pipes = order.type === "exec" ? order : { stdin: order.type === "capture", stdout: true, stderr: true, tty: false };
  }

  start(): void {
    const order = this.#order;
    const session = order.type === "exec" ? inPod(order) : order.type === "log" ? logOf(order) : this.#ourselves(order);
    if (typeof session === "string") return this.#events.ended(failure(session));
    try {
      this.#session = "argv" in session ? startSession(session) : session;
    } catch (thrown) {
      return this.#events.ended(failure(messageOf(thrown)));
    }
    if (!this.#pipes.stdin && !this.#pipes.tty) this.#session.end();
    void this.#run(this.#session);
  }

  #ourselves(order: CaptureOrder | NodeTask): SessionOptions {
    const { tortie, traffic } = this.#self;
    const args = order.type === "capture" ? argumentsOf(order, traffic) : argumentsOfTask(order);
    return { argv: [...tortie, ...args], env: { PATH: process.env.PATH ?? PATH, HOME: "/root" }, tty: false };
  }

  async #run(session: Session): Promise<void> {
    const flows = [this.#forward(session.stdout, 1), ...(session.stderr ? [this.#forward(session.stderr, 2)] : [])];
    let status: Status;
    try {
      status = exitStatus(await session.exit);
    } catch (thrown) {
      status = failure(messageOf(thrown));
    }
    await this.#drain(Promise.all(flows));
    // What the command left in the background must not outlive the stream.
    session.kill();
    session.close();
    this.#events.ended(status);
  }

  async #drain(flows: Promise<unknown>): Promise<void> {
    const before = this.#moved;
    for (let seen = -1, done = false; !done && (seen !== this.#moved || this.#sending > 0) && this.#moved - before < DRAIN_BYTES;) {
      seen = this.#moved;
      let timer: NodeJS.Timeout | undefined;
      const late = new Promise<false>((resolve) => (timer = setTimeout(() => resolve(false), DRAIN_MS)));
      done = await Promise.race([flows.then(() => true), late]);
      clearTimeout(timer);
    }
  }

  async #forward(from: NodeJS.ReadableStream, channel: 1 | 2): Promise<void> {
    const wanted = channel === 1 ? this.#pipes.stdout : this.#pipes.stderr;
    try {
      for await (const chunk of from) {
        this.#moved += (chunk as Buffer).length;
        this.#sending++;
        if (wanted) await this.#events.output(channel, chunk as Buffer);
        this.#sending--;
      }
    } catch {
      // the terminal was closed
    }
  }

  /** Input of the command; `taken` is called when it took it, or never will. */
  write(data: Uint8Array, taken: () => void): void {
    if (this.#session) this.#session.write(data, taken);
    else taken();
  }

  /** Something else than input came for this stream. */
  control(channel: number, payload: Uint8Array): void {
    const session = this.#session;
    if (!session) return;
    if (channel === CHANNEL.resize) {
      const size = parseSize(fromUtf8(payload));
      if (size) session.resize(size.columns, size.rows);
    }
    // The other side closed a channel: its number. Standard input, or everything.
    if (channel === CHANNEL.close) {
      if (payload[0] === CHANNEL.stdin) session.end();
      else session.kill();
    }
  }

  kill(): void {
    this.#session?.kill();
  }
}

function parseSize(text: string): { columns: number; rows: number } | undefined {
  try {
    const { Width, Height } = JSON.parse(text) as { Width: unknown; Height: unknown };
    const good = [Width, Height].every((n) => Number.isInteger(n) && (n as number) >= 0 && (n as number) <= 0xffff);
    return good ? { columns: Width as number, rows: Height as number } : undefined;
  } catch {
    return undefined;
  }
}
