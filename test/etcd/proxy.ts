// A TCP proxy that can be cut: what goes through it is lost, and nobody is let in until it is mended.
import { connect, createServer, type Socket } from "node:net";
import { type Endpoint, parseEndpoints } from "../../src/store/etcd/endpoints.ts";

export class Proxy {
  readonly #sockets = new Set<Socket>();
  #open = true;
  readonly #server = createServer((inner) => {
    if (!this.#open) return void inner.destroy();
    const outer = connect(this.#to.port, this.#to.host);
    for (const [from, to] of [
      [inner, outer],
      [outer, inner],
    ] as const) {
      this.#sockets.add(from);
      from.on("error", () => {});
      from.on("close", () => {
        this.#sockets.delete(from);
        to.destroy();
      });
      from.pipe(to);
    }
  });
  readonly #to: Endpoint;
  endpoint!: Endpoint;

  private constructor(to: Endpoint) {
    this.#to = to;
  }
  static async before(to: Endpoint): Promise<Proxy> {
    const proxy = new Proxy(to);
    await new Promise<void>((resolve) => proxy.#server.listen(0, "127.0.0.1", resolve));
    const { port } = proxy.#server.address() as { port: number };
    proxy.endpoint = parseEndpoints(`http${to.tls ? "s" : ""}://127.0.0.1:${port}`)[0]!;
    return proxy;
  }

  cut(): void {
    this.#open = false;
    for (const socket of this.#sockets) socket.destroy();
  }
  mend(): void {
    this.#open = true;
  }
  close(): void {
    this.cut();
    this.#server.close();
  }
}
