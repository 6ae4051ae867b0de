// The control socket of a live device. One connection may carry any number of operations, and may stay open idle.
import { chmod, link, lstat, mkdir, unlink } from "node:fs/promises";
import { createConnection, createServer, type Server, type Socket } from "node:net";
import { watch } from "node:fs";
import { dirname } from "node:path";
import { wipe } from "../base/bytes.ts";
import { messageOf, TortieError } from "../base/errors.ts";
import { encodeState, HandshakeOperation, KeylogOperation, Lines, type Operation, SetOperation } from "./codec.ts";
import { ascii } from "./values.ts";
import { Errno, type KeylogRequest, type UapiDevice } from "./types.ts";

/** A reader of the key log that is this far behind is cut off. */
const MAX_UNREAD = 1 << 20;
/** Beyond this the one that has been silent for longest makes room for the new one: who keeps connections open shuts nobody out. */
const MAX_CONNECTIONS = 256;

export interface UapiServer {
  readonly path: string;
  /** Resolves when somebody removed the socket's file: the usual way to stop a userspace device (`rm …/wg0.sock`). Never after close(). */
  readonly gone: Promise<void>;
  /** Of the listening socket, for a successor of this process. */
  readonly fd: number;
  /** Cuts all connections and removes the socket, unless a successor has it. */
  close(options?: { readonly keep: boolean }): Promise<void>;
}

/** A device that another process can take over (src/runtime/handover.ts). `fd`: the connection that asked; nothing else uses it during a call. */
export interface HandOverHost {
  /** Says what a successor must know before. False: it was refused. */
  greet(fd: number): boolean;
  /** Gives the device away, or not. `busy`: other connections are in the middle of changing it. */
  handOver(fd: number, busy: boolean): void;
}
export type ServeOptions = {
  /** An inherited listening socket. */
  readonly fd?: number | undefined;
  readonly host?: HandOverHost | undefined;
};

/** What of Node's sockets has no public name: their descriptor. */
const fdOf = (handle: Socket | Server): number => (handle as unknown as { readonly _handle?: { readonly fd: number } | null })._handle?.fd ?? -1;

/** What stands at `path`: nothing, a live device's socket, or one that a dead device left. */
async function occupant(path: string): Promise<"nobody" | "alive" | "stale" | "no socket"> {
  const found = await lstat(path).catch(() => undefined);
  if (!found) return "nobody";
  if (!found.isSocket()) return "no socket";
  return new Promise((resolve) => {
    const probe = createConnection(path);
    probe.once("connect", () => (probe.destroy(), resolve("alive")));
    probe.once("error", (e: NodeJS.ErrnoException) => resolve(e.code === "ECONNREFUSED" ? "stale" : e.code === "ENOENT" ? "nobody" : "alive"));
  });
}

function listen(server: Server, where: { path: string } | { fd: number }): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    // bind(2) happens within listen(): the umask makes the socket 0700 from its first moment.
    const before = process.umask(0o077);
    try {
      server.listen(where, resolve);
    } finally {
      process.umask(before);
    }
  });
}

/**
 * Serves `device` on the socket at `path`; its directory is made (0755), a dead device's socket replaced, a live one refused. With `fd` an inherited
 * listening socket is used, and `path` is only watched. Throws TortieError.
 */
export async function serveUapi(path: string, device: UapiDevice, options: ServeOptions = {}): Promise<UapiServer> {
  const sockets = new Set<Socket>();
  const service: Service = { device, host: options.host, changing: new Set() };
  /** Those that may be asked to make room: who spoke last comes last. */
  const silent = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    silent.add(socket);
    if (sockets.size > MAX_CONNECTIONS) silent.values().next().value?.destroy();
    socket.on("error", () => socket.destroy());
    socket.once("close", () => {
      sockets.delete(socket);
      silent.delete(socket);
    });
    const spoke = (reads: boolean): void => {
      if (silent.delete(socket) && !reads) silent.add(socket);
    };
    converse(socket, service, spoke).catch(() => socket.destroy());
  });
  try {
    if (options.fd === undefined) {
      await mkdir(dirname(path), { recursive: true, mode: 0o755 });
      const there = await occupant(path);
      if (there === "alive")
        throw new TortieError(`Cannot listen on "${path}": it is in use`, { hint: "Another device of this name runs already: stop it first." });
      if (there === "no socket")
        throw new TortieError(`Cannot listen on "${path}": a file that is no socket stands there`, { hint: "It is not ours to remove." });
      if (there === "stale") await unlink(path);
      // Node removes the name that it was told to listen on when it closes the socket, which may be a successor's by then. It is told another one.
      const other = `${path}.${process.pid}`;
      await unlink(other).catch(() => {});
      await listen(server, { path: other });
      await chmod(other, 0o700);
      try {
        await link(other, path);
      } finally {
        await unlink(other);
      }
    } else await listen(server, { fd: options.fd });
  } catch (e) {
    server.close();
    if (e instanceof TortieError) throw e;
    const what = options.fd === undefined ? `listen on "${path}"` : `use file descriptor ${options.fd} as the control socket`;
    throw new TortieError(`Cannot ${what}: ${messageOf(e)}`, {
      cause: e,
      hint: options.fd === undefined ? "" : "WG_UAPI_FD must be a listening UNIX socket.",
    });
  }
  const removal = await watchRemoval(path);
  return {
    path,
    gone: removal.gone,
    fd: fdOf(server),
    close: async ({ keep } = { keep: false }) => {
      removal.stop();
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const socket of sockets) socket.destroy();
      await closed;
      if (!keep) await unlink(path).catch(() => {});
    },
  };
}

async function watchRemoval(path: string): Promise<{ gone: Promise<void>; stop(): void }> {
  const inode = (await lstat(path).catch(() => undefined))?.ino;
  let stop = (): void => {};
  const gone = new Promise<void>((resolve) => {
    const look = async (): Promise<void> => {
      const now = (await lstat(path).catch(() => undefined))?.ino;
      if (now === inode) return;
      stop();
      resolve();
    };
    const lookSoon = (): void => void look();
    try {
      const watcher = watch(dirname(path), { persistent: false }, lookSoon);
      watcher.on("error", () => {});
      stop = () => watcher.close();
    } catch {
      // No inotify watch is left on this machine.
      const timer = setInterval(lookSoon, 1000).unref();
      stop = () => clearInterval(timer);
    }
  });
  return { gone, stop: () => stop() };
}

/** Resolves when the chunk is the kernel's, or the socket is gone. */
const written = (socket: Socket, chunk: Uint8Array): Promise<void> => new Promise((resolve) => socket.write(chunk, () => resolve()));

const answer = (socket: Socket, errno: number): Promise<void> => written(socket, Buffer.from(`errno=${errno}\n\n`));

async function get(socket: Socket, device: UapiDevice): Promise<void> {
  const state = device.state();
  try {
    for (const chunk of encodeState(state)) {
      await written(socket, chunk);
      // Nobody reads the rest, and without a reader nothing makes us wait: the other connections would.
      if (socket.destroyed) return;
    }
  } finally {
    wipe(state.privateKey);
  }
}

function keylog(socket: Socket, device: UapiDevice, { peers, existing, seconds }: KeylogRequest): void {
  const stop = device.keylog({
    peers,
    existing,
    write: (lines) => {
      if (socket.destroyed || socket.writableLength > MAX_UNREAD) {
        wipe(lines);
        return void socket.destroy();
      }
      socket.write(lines, () => wipe(lines));
    },
    ended: () => socket.destroySoon(),
  });
  // The device keeps the time: a reader that hangs does not prolong it.
  const timer = seconds === undefined ? undefined : setTimeout(() => (stop(), socket.destroySoon()), seconds * 1000);
  socket.once("close", () => {
    clearTimeout(timer);
    stop();
  });
}

type Service = {
  readonly device: UapiDevice;
  readonly host: HandOverHost | undefined;
  /** Connections in the middle of an operation. */
  readonly changing: Set<Socket>;
};
/** Which request a connection is in the middle of. */
type Phase =
  | { readonly kind: "idle" | "get" | "stream" | "end streams" | "greet" | "hand over" }
  | { readonly kind: "keylog"; readonly operation: KeylogOperation }
  | { readonly kind: "operation"; readonly operation: Operation; readonly sign: 1 | -1 };
const IDLE: Phase = { kind: "idle" };

/** Of the lines that begin a request. What is longer is none: it may be a key that lost its way, and becomes no string. */
const LONGEST_FIRST = 32;

function begin(line: Uint8Array, { device, host }: Service): Phase | undefined {
  const first = line.length > LONGEST_FIRST ? "" : ascii(line);
  // wg(8) negates the answer to set, and not that to get: seen with its 1.0.20210914.
  if (first === "set=1") return { kind: "operation", operation: new SetOperation(device), sign: -1 };
  if (first === "tortie_handshake=1") return { kind: "operation", operation: new HandshakeOperation(device), sign: -1 };
  if (first === "get=1") return { kind: "get" };
  if (first === "tortie_keylog=1") return { kind: "keylog", operation: new KeylogOperation() };
  if (first === "tortie_keylog=0") return { kind: "end streams" };
  if (host && first === "tortie_takeover=1") return { kind: "greet" };
  if (host && first === "tortie_takeover=now") return { kind: "hand over" };
  return undefined;
}

/** Takes one line; the result is the next phase, or undefined when the connection is to be closed. */
async function next(phase: Phase, line: Uint8Array, socket: Socket, service: Service): Promise<Phase | undefined> {
  const { device, host, changing } = service;
  if (phase.kind === "idle") return begin(line, service);
  if (phase.kind === "operation") {
    if (line.length > 0) {
      await phase.operation.line(line);
      return phase;
    }
    const errno = await phase.operation.end();
    await answer(socket, errno === 0 ? 0 : phase.sign * errno);
    return IDLE;
  }
  if (phase.kind === "keylog" && line.length > 0) {
    await phase.operation.line(line);
    return phase;
  }
  if (line.length > 0) {
    await answer(socket, Errno.EINVAL);
    return undefined;
  }
  if (phase.kind === "greet") return host!.greet(fdOf(socket)) ? IDLE : undefined;
  if (phase.kind === "hand over") {
    host!.handOver(fdOf(socket), changing.size > 0);
    // Whoever thinks that it goes on must hear at once that it does not.
    socket.destroy();
    return undefined;
  }
  if (phase.kind === "keylog") {
    const errno = await phase.operation.end();
    if (errno === 0) keylog(socket, device, phase.operation.request);
    else await answer(socket, -errno);
    return errno === 0 ? { kind: "stream" } : undefined;
  }
  if (phase.kind === "stream") {
    await answer(socket, Errno.EINVAL);
    return undefined;
  }
  if (phase.kind === "end streams") {
    device.endKeylogs();
    await answer(socket, Errno.OK);
  } else await get(socket, device);
  return IDLE;
}

/** `spoke` is told of everything that comes, and whether the client only reads from then on. */
async function converse(socket: Socket, service: Service, spoke: (reads: boolean) => void): Promise<void> {
  const lines = new Lines();
  let phase: Phase = IDLE;
  try {
    for await (const chunk of socket as AsyncIterable<Buffer>) {
      for (const line of lines.push(chunk)) {
        // The long runs of allowed_ip lines go without a turn of the event loop each.
        const wait: Promise<void> | undefined = phase.kind === "operation" && line.length > 0 ? phase.operation.line(line) : undefined;
        if (wait) await wait;
        if (phase.kind === "operation" && line.length > 0) continue;
        const following: Phase | undefined = await next(phase, line, socket, service);
        if (!following) return void socket.end();
        phase = following;
        if (phase.kind === "operation") service.changing.add(socket);
        else service.changing.delete(socket);
        if (socket.destroyed) return;
      }
      spoke(phase.kind === "stream");
    }
  } finally {
    // The client went away in the middle: what was applied stays, and the last peer gets its done().
    if (phase.kind === "operation") await phase.operation.end();
    service.changing.delete(socket);
    lines.wipe();
    socket.end();
  }
}
