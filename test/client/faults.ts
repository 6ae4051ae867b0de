// A TCP proxy in front of a server's unix socket that does to connections what networks do: cuts them, now or in the middle of an answer, stalls them, slows them.
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";

type Pair = { readonly client: Socket; readonly upstream: Socket };

export class FaultProxy {
  readonly #target: string;
  readonly #server: Server;
  readonly #pairs = new Set<Pair>();
  #stalled = false;
  /** Bytes that answers may still have before everything is cut. */
  #left = Infinity;
  /** Bytes of an answer at a time, one such piece each 2 ms. */
  #piece = Infinity;

  constructor(socketPath: string) {
    this.#target = socketPath;
    this.#server = createServer((client) => this.#join(client));
  }
  async listen(): Promise<string> {
    this.#server.listen(0, "127.0.0.1");
    await once(this.#server, "listening");
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  #join(client: Socket): void {
    const upstream = connect(this.#target);
    const pair = { client, upstream };
    this.#pairs.add(pair);
    const end = (): void => {
      this.#pairs.delete(pair);
      client.destroy();
      upstream.destroy();
    };
    for (const s of [client, upstream]) s.on("error", end).on("close", end);
    client.on("data", (d) => void upstream.write(d));
    upstream.on("data", (d) => {
      upstream.pause();
      void this.#pass(pair, d).then(() => !this.#stalled && upstream.resume());
    });
    if (this.#stalled) this.#halt(pair);
  }
  async #pass({ client }: Pair, data: Buffer): Promise<void> {
    for (let at = 0; at < data.length && !client.destroyed;) {
      const size = Math.min(this.#piece, data.length - at, this.#left);
      this.#left -= size;
      client.write(data.subarray(at, at + size));
      at += size;
      if (this.#left <= 0) return this.cut();
      if (this.#piece !== Infinity) await new Promise((resolve) => setTimeout(resolve, 2));
    }
  }
  #halt({ client, upstream }: Pair): void {
    client.pause();
    upstream.pause();
  }

  /** Ends every connection, without a word. */
  cut(): void {
    this.#left = Infinity;
    for (const { client } of this.#pairs) client.resetAndDestroy();
  }
  /** Cuts after so many bytes more of answers. */
  cutAfter(bytes: number): void {
    this.#left = bytes;
  }
  /** Lets nothing through, and says nothing: as when a router forgets. */
  stall(): void {
    this.#stalled = true;
    for (const pair of this.#pairs) this.#halt(pair);
  }
  slow(piece: number): void {
    this.#piece = piece;
  }
  /** Everything is well again. */
  heal(): void {
    this.#stalled = false;
    this.#piece = this.#left = Infinity;
    for (const { client, upstream } of this.#pairs) {
      client.resume();
      upstream.resume();
    }
  }
  get connections(): number {
    return this.#pairs.size;
  }
  async close(): Promise<void> {
    for (const { client } of this.#pairs) client.destroy();
    this.#server.close();
    await once(this.#server, "close");
  }
}
