// The client of the WireGuard configuration protocol: connections to devices' sockets, and the list of them.
import { lstat, opendir, unlink } from "node:fs/promises";
import { createConnection, type Socket } from "node:net";
import { TortieError } from "../base/errors.ts";
import { encodeHandshake, encodeKeylog, encodeSet, LineTooLong, Lines, ReplyReader } from "./codec.ts";
import { type DeviceConfig, type DeviceState, Errno, type KeylogRequest, type PeerState } from "./types.ts";

/** Where devices have their sockets (wg(8): RUNSTATEDIR "/wireguard"). */
export const SOCKET_DIRECTORY = "/var/run/wireguard";
export const socketPath = (interfaceName: string): string => `${SOCKET_DIRECTORY}/${interfaceName}.sock`;

/** A client's connection to a device. Operations queue up; errors are UapiError (errno) or TortieError (no connection). */
export interface UapiConnection {
  /** The caller wipes privateKey and presharedKey after use. */
  get(): Promise<DeviceState & { readonly peers: readonly PeerState[] }>;
  set(config: DeviceConfig): Promise<void>;
  /** Fresh handshake initiations now; to all peers when none are named. */
  handshake(publicKeys?: readonly Uint8Array[]): Promise<void>;
  /** Turns the connection into a stream of key log text; ends when `signal` aborts, the time is over or the device goes. No other operation may follow. */
  keylog(signal?: AbortSignal, request?: KeylogRequest): AsyncIterable<Uint8Array>;
  /** Ends all key logs of the device: those of other connections and the one into its file. */
  endKeylogs(): Promise<void>;
  /** Resolves when the connection is gone, whoever closed it: a client that keeps one open notices the device's death. */
  readonly closed: Promise<void>;
  close(): void;
}

/** The device's answer, or the reason why there is no connection, as an errno. */
export class UapiError extends TortieError {
  /** Positive Linux errno. */
  readonly errno: number;
  constructor(what: string, errno: number, options: { cause?: unknown; hint?: string } = {}) {
    const name = Object.entries(Errno).find(([, n]) => n === errno)?.[0];
    super(`Cannot ${what}: ${name ?? `errno ${errno}`}`, options);
    this.name = "UapiError";
    this.errno = errno;
  }
}

type Waiting = { readonly reader: ReplyReader; readonly what: string; resolve(reader: ReplyReader): void; reject(error: Error): void };

class Connection implements UapiConnection {
  readonly closed: Promise<void>;
  readonly #socket: Socket;
  readonly #lines = new Lines();
  readonly #waiting: Waiting[] = [];
  /** Operations are sent one after the other: an answer belongs to the oldest question. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("data", (chunk: Buffer) => this.#receive(chunk));
    socket.on("error", () => {});
    this.closed = new Promise((resolve) =>
      socket.once("close", () => {
        for (const w of this.#waiting.splice(0)) {
          w.reader.wipe();
          w.reject(new UapiError(w.what, Errno.EPROTO, { hint: "The device closed the connection." }));
        }
        this.#lines.wipe();
        resolve();
      }),
    );
  }

  #receive(chunk: Buffer): void {
    try {
      for (const line of this.#lines.push(chunk)) {
        const first = this.#waiting[0];
        if (!first) return this.close(); // an answer nobody asked for
        if (line.length > 0) first.reader.line(line);
        else {
          this.#waiting.shift();
          first.resolve(first.reader);
        }
      }
    } catch (e) {
      if (!(e instanceof LineTooLong)) throw e;
      this.close();
    }
  }

  /** Resolves when the chunk is the kernel's, or the connection is gone. */
  async #send(chunk: Uint8Array): Promise<void> {
    await new Promise<void>((resolve) => this.#socket.write(chunk, () => resolve()));
  }

  #ask(what: string, chunks: Iterable<Uint8Array>): Promise<ReplyReader> {
    const asked = this.#turn.then(async () => {
      if (this.#socket.destroyed) throw new UapiError(what, Errno.EPROTO, { hint: "The device closed the connection." });
      const answer = new Promise<ReplyReader>((resolve, reject) => this.#waiting.push({ reader: new ReplyReader(), what, resolve, reject }));
      answer.catch(() => {}); // rejected while still sending: reported below
      for (const chunk of chunks) await this.#send(chunk);
      return answer;
    });
    this.#turn = asked.catch(() => {});
    return asked;
  }

  async get(): ReturnType<UapiConnection["get"]> {
    const reader = await this.#ask("read the device", [Buffer.from("get=1\n\n")]);
    const reply = reader.end();
    if ("malformed" in reply) {
      reader.wipe();
      throw new UapiError("read the device", Errno.EPROTO, { hint: `Its answer is malformed: ${reply.malformed}.` });
    }
    if (reply.errno !== 0) throw new UapiError("read the device", reply.errno);
    return reply.state;
  }

  async #command(what: string, chunks: Iterable<Uint8Array>): Promise<void> {
    const reply = (await this.#ask(what, chunks)).end();
    const errno = "malformed" in reply ? Errno.EPROTO : reply.errno;
    if (errno !== 0) throw new UapiError(what, errno);
  }

  set(config: DeviceConfig): Promise<void> {
    return this.#command("change the device", encodeSet(config));
  }

  handshake(publicKeys: readonly Uint8Array[] = []): Promise<void> {
    return this.#command("start a handshake", [encodeHandshake(publicKeys)]);
  }

  endKeylogs(): Promise<void> {
    return this.#command("end the key logs", [Buffer.from("tortie_keylog=0\n\n")]);
  }

  async *keylog(signal?: AbortSignal, request: KeylogRequest = {}): AsyncIterable<Uint8Array> {
    const stop = (): void => this.close();
    if (signal?.aborted) return stop();
    signal?.addEventListener("abort", stop, { once: true });
    try {
      await this.#turn;
      this.#socket.removeAllListeners("data");
      this.#socket.write(encodeKeylog(request));
      for await (const chunk of this.#socket as AsyncIterable<Buffer>) yield chunk;
    } catch (e) {
      if (!this.#socket.destroyed) throw e;
    } finally {
      signal?.removeEventListener("abort", stop);
      stop();
    }
  }

  close(): void {
    this.#socket.destroy();
  }
}

const NUMBERS: Readonly<Record<string, number>> = { ENOENT: 2, EACCES: 13, ENOTSOCK: 19, ECONNREFUSED: 19, EAGAIN: 11, EPERM: 1 };

/**
 * Connects to the device of this interface, or to the socket at a path (a name with "/"). Throws UapiError; ENODEV when nothing listens: the dead
 * device's socket is then removed, as wg(8) does.
 */
export async function connect(interfaceOrPath: string): Promise<UapiConnection> {
  const path = interfaceOrPath.includes("/") ? interfaceOrPath : socketPath(interfaceOrPath);
  const what = `reach the device "${interfaceOrPath}"`;
  const found = await lstat(path).catch(() => undefined);
  if (!found?.isSocket()) throw new UapiError(what, Errno.ENODEV, { hint: `There is no control socket at ${path}.` });
  const socket = createConnection(path);
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once("connect", resolve);
      socket.once("error", reject);
    });
  } catch (e) {
    const code = (e as NodeJS.ErrnoException).code ?? "";
    if (code === "ECONNREFUSED") await unlink(path).catch(() => {});
    throw new UapiError(what, NUMBERS[code] ?? Errno.EIO, { cause: e });
  }
  socket.removeAllListeners("error");
  return new Connection(socket);
}

/** Names of the interfaces that have a socket, in the directory's own order (as wg(8) lists them). */
export async function listInterfaces(directory: string = SOCKET_DIRECTORY): Promise<string[]> {
  const names: string[] = [];
  const entries = await opendir(directory).catch(() => undefined);
  for await (const e of entries ?? []) if (e.isSocket() && e.name.endsWith(".sock") && e.name.length > 5) names.push(e.name.slice(0, -5));
  return names;
}
