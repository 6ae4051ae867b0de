// exec in a pod, and captures on a node, over a WebSocket: subprotocol v5.channel.k8s.io, as kubectl >= 1.30 speaks it. First byte of a message = channel.
// https://kubernetes.io/docs/reference/using-api/api-concepts/ and KEP-4006.
import { type NodeCapture, queryOfCapture } from "../api/nodecapture.ts";
import { type NodeTask, queryOfTask } from "../api/nodetask.ts";
import { concat, fromUtf8, utf8 } from "../base/bytes.ts";
import { TortieError } from "../base/errors.ts";
import { apiErrorOfStatus, type Status } from "./error.ts";
import { pause } from "./pause.ts";
import { queryOf } from "./path.ts";
import type { Transport } from "./transport.ts";

export const EXEC_PROTOCOL = "v5.channel.k8s.io";
export const CHANNEL = { stdin: 0, stdout: 1, stderr: 2, error: 3, resize: 4, close: 255 } as const;

/** More than this on its way to the server: stdin waits. */
const BUFFER_LIMIT = 1 << 20;
const CHUNK = 32 << 10;

export type TerminalSize = { width: number; height: number };
type Pipes = {
  /** Read to its end, then closed at the other side. Without it the program has no stdin. */
  stdin?: AsyncIterable<Uint8Array>;
  stdout: (data: Uint8Array) => void | Promise<void>;
  stderr: (data: Uint8Array) => void | Promise<void>;
  signal?: AbortSignal;
};
export type ExecOptions = Pipes & {
  namespace: string;
  pod: string;
  container?: string;
  command: readonly string[];
  /** One terminal: stderr comes with stdout. @default false */
  tty?: boolean;
  /** The terminal's size, now and whenever it changes. */
  sizes?: AsyncIterable<TerminalSize>;
};

function exitCodeOf(status: Partial<Status>): number {
  if (status.status === "Success") return 0;
  const code = status.details?.causes?.find((c) => c.reason === "ExitCode")?.message;
  if (status.reason === "NonZeroExitCode" && code !== undefined && /^[0-9]{1,3}$/.test(code)) return Number(code);
  throw apiErrorOfStatus(status);
}

/** Runs a command in a pod; gives its exit code. Throws ApiError (no such pod, not allowed, not started), TortieError (connection). */
export async function exec(transport: Transport, options: ExecOptions): Promise<number> {
  const { tty = false, stdin } = options;
  const flags = {
    container: options.container,
    stdin: stdin ? true : undefined,
    stdout: true,
    stderr: tty ? undefined : true,
    tty: tty ? true : undefined,
  };
  const query = `${queryOf(flags)}&${options.command.map((c) => `command=${encodeURIComponent(c)}`).join("&")}`;
  const path = `/api/v1/namespaces/${encodeURIComponent(options.namespace)}/pods/${encodeURIComponent(options.pod)}/exec${query}`;
  return run(transport, path, options, `the command in pod "${options.pod}"`);
}

/**
 * Captures on a node: stdout is a pcapng stream. It ends when stdin does; a line on stdin is answered by the counters. Gives the exit code of the capture.
 * Throws as exec().
 */
export function captureOnNode(transport: Transport, node: string, capture: NodeCapture, pipes: Pipes): Promise<number> {
  const path = `/apis/tortie.io/v1/nodes/${encodeURIComponent(node)}/capture?${queryOfCapture(capture)}`;
  return run(transport, path, pipes, `the capture on node "${node}"`);
}

/** A key log, an audit or a probe on a node: stdout is what it finds. Gives its exit code. Throws as exec(). */
export function runOnNode(transport: Transport, node: string, task: NodeTask, pipes: Pipes): Promise<number> {
  const path = `/apis/tortie.io/v1/nodes/${encodeURIComponent(node)}/${task.type}?${queryOfTask(task)}`;
  return run(transport, path, pipes, `the ${task.type} on node "${node}"`);
}

async function run(transport: Transport, path: string, options: Pipes & Pick<ExecOptions, "sizes">, what: string): Promise<number> {
  const { stdin, sizes } = options;
  const socket = await transport.webSocket(path, EXEC_PROTOCOL, options.signal);
  const over = new AbortController();
  let status: Partial<Status> | undefined;
  const ended = new Promise<number>((resolve, reject) => {
    socket.listen({
      message: (data) => {
        const payload = data.subarray(1);
        if (data[0] === CHANNEL.stdout) return options.stdout(payload);
        if (data[0] === CHANNEL.stderr) return options.stderr(payload);
        if (data[0] === CHANNEL.error) status = parseStatus(payload);
      },
      close: (code, reason) => {
        over.abort();
        try {
          if (status) return resolve(exitCodeOf(status));
        } catch (thrown) {
          return reject(thrown);
        }
        const words = reason ? `: ${reason}` : ` (close code ${code})`;
        reject(new TortieError(`Cannot go on with ${what}: the connection ended before it did${words}`));
      },
    });
  });
  // Neither is awaited: a terminal gives no end. What goes wrong there ends the socket, and `ended` says so.
  if (stdin) void pump(stdin, over.signal, socket).catch(() => socket.close());
  if (sizes) void resize(sizes, over.signal, socket).catch(() => {});
  return ended;
}

function parseStatus(payload: Uint8Array): Partial<Status> {
  try {
    return JSON.parse(fromUtf8(payload)) as Partial<Status>;
  } catch {
    return { status: "Failure", message: fromUtf8(payload).slice(0, 1000), code: 500 };
  }
}

type Sender = { send(message: Uint8Array): void; readonly buffered: number };

async function pump(stdin: AsyncIterable<Uint8Array>, over: AbortSignal, socket: Sender): Promise<void> {
  for await (const data of stdin) {
    for (let at = 0; at < data.length; at += CHUNK) socket.send(concat(Uint8Array.of(CHANNEL.stdin), data.subarray(at, at + CHUNK)));
    while (socket.buffered > BUFFER_LIMIT && !over.aborted) await pause(5, over);
    if (over.aborted) return;
  }
  socket.send(Uint8Array.of(CHANNEL.close, CHANNEL.stdin));
}

async function resize(sizes: AsyncIterable<TerminalSize>, over: AbortSignal, socket: Sender): Promise<void> {
  for await (const { width, height } of sizes) {
    if (over.aborted) return;
    socket.send(concat(Uint8Array.of(CHANNEL.resize), utf8(JSON.stringify({ Width: width, Height: height }))));
  }
}
