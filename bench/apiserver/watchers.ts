// Many watchers in one process, as cheap as can be: raw sockets, which look for one mark in what they get. The mark carries the time of the event.
import { connect, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";

/** An event has this once, with a time of WIDTH characters behind it, in µs since the start of this process. */
export const MARK = '"bench/at":"';
const WIDTH = 14;
export const timeNow = (): string => String(Math.round(performance.now() * 1000)).padStart(WIDTH, "0");

const mark = Buffer.from(MARK);
const WHOLE = mark.length + WIDTH;

export type Door = { readonly socketPath: string } | { readonly port: number; readonly ca: string; readonly cert: string; readonly key: string };
const NONE = Buffer.alloc(0);

export class Watchers {
  readonly #sockets: Socket[] = [];
  /** Events that all of them got together. */
  count = 0;
  /** ms from the time in an event until it was here; kept where `timed` is set. */
  readonly latencies: number[] = [];
  timed = false;
  #awaited: { count: number; resolve: () => void } | undefined;

  /** Opens `n` more that ask for `path`; resolves when all have been answered. */
  async open(n: number, door: Door, path: string): Promise<void> {
    for (let i = 0; i < n; i += 50) await Promise.all(Array.from({ length: Math.min(50, n - i) }, () => this.#one(door, path)));
  }

  #one(door: Door, path: string): Promise<void> {
    const socket = "port" in door ? connectTls({ host: "127.0.0.1", ...door }) : connect(door.socketPath);
    this.#sockets.push(socket);
    socket.write(`GET ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n`);
    return new Promise((resolve, reject) => {
      let tail = NONE;
      socket.on("error", reject);
      socket.once("data", (head: Buffer) => {
        if (head.toString("latin1", 0, 15) !== "HTTP/1.1 200 OK") reject(new Error(head.toString()));
        resolve();
      });
      socket.on("data", (d: Buffer) => {
        // What lies across two parts: the tail is one byte too short for a whole one.
        if (tail.length > 0) this.#look(Buffer.concat([tail, d.subarray(0, WHOLE - 1)]));
        this.#look(d);
        tail = Buffer.from(d.subarray(Math.max(0, d.length - WHOLE + 1)));
      });
    });
  }

  #look(bytes: Buffer): void {
    for (let at = bytes.indexOf(mark); at >= 0 && at + WHOLE <= bytes.length; at = bytes.indexOf(mark, at + WHOLE)) {
      this.count++;
      if (this.timed) this.latencies.push(performance.now() - Number(bytes.toString("latin1", at + mark.length, at + WHOLE)) / 1000);
    }
    if (this.#awaited && this.count >= this.#awaited.count) {
      this.#awaited.resolve();
      this.#awaited = undefined;
    }
  }

  /** Resolves when so many events came since the last call. */
  arrived(count: number): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        this.count -= count;
        resolve();
      };
      if (this.count >= count) done();
      else this.#awaited = { count, resolve: done };
    });
  }

  async close(): Promise<void> {
    await Promise.all(
      this.#sockets.map(
        (s) =>
          new Promise((resolve) => {
            s.removeAllListeners("error");
            s.on("error", () => {});
            s.once("close", resolve);
            s.destroy();
          }),
      ),
    );
  }
}
