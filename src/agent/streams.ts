// Streams to every server: those that announce themselves, or, while none does, the one of the kubeconfig.
import { Announced, SERVER_NAMESPACE, SERVER_SELECTOR } from "../api/announcement.ts";
import { LEASE } from "../api/lease.ts";
import { messageOf } from "../base/errors.ts";
import { informer } from "../client/informer.ts";
import type { Client } from "../client/types.ts";
import { Stream, type StreamOptions } from "./stream.ts";

/** Leases also run out while nothing changes. */
const LOOK_MS = 5_000;

type Kept = { readonly stream: Stream; readonly stop: () => void; readonly ended: Promise<void> };

export class Streams {
  readonly #options: StreamOptions & { readonly client: Client };
  readonly #announced = new Announced();
  readonly #kept = new Map<string, Kept>();

  constructor(options: StreamOptions & { readonly client: Client }) {
    this.#options = options;
  }

  /** Keeps them until `signal` aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const { client, log } = this.#options;
    const servers = informer(client, LEASE, { namespace: SERVER_NAMESPACE, labelSelector: SERVER_SELECTOR, log });
    const adjust = (): void => this.#keep(this.#announced.urls(servers.list(), performance.now()));
    await servers.start(signal).catch(() => {});
    servers.onChange(adjust);
    const timer = setInterval(adjust, LOOK_MS);
    if (!signal.aborted) {
      adjust();
      await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
    }
    clearInterval(timer);
    await servers.stop();
    const ending = [...this.#kept.values()];
    for (const { stop } of ending) stop();
    await Promise.all(ending.map((k) => k.ended));
  }

  #keep(urls: readonly string[]): void {
    const { endpoint } = this.#options;
    // A server that we are connected to is there, whatever is known of its lease: the store may be away.
    const connected = [...this.#kept].filter(([, { stream }]) => stream.connected).map(([url]) => url);
    const wanted = new Set(urls.length > 0 ? [...urls, ...connected.filter((url) => url !== endpoint.url)] : connected);
    if (wanted.size === 0) wanted.add(endpoint.url);
    for (const [url, { stop }] of this.#kept)
      if (!wanted.has(url)) {
        stop();
        this.#kept.delete(url);
      }
    for (const url of wanted) if (!this.#kept.has(url)) this.#kept.set(url, this.#open(url));
  }

  #open(url: string): Kept {
    const { endpoint, log } = this.#options;
    const { socketPath: _, ...rest } = endpoint;
    const stream = new Stream({ ...this.#options, endpoint: url === endpoint.url ? endpoint : { ...rest, url } });
    const over = new AbortController();
    const ended = stream.run(over.signal).catch((thrown: unknown) => log.error("the stream to the server ended", { error: messageOf(thrown) }));
    return { stream, stop: () => over.abort(), ended };
  }
}
