// What this node says of itself: annotations of its own Node. Kept as wanted: written again when somebody else changed them, tried again until it is
// written. Merge patches carry no revision, so the heartbeats and labels of others never get in the way.
import { hostname } from "node:os";
import { NODE, type Node } from "../api/node.ts";
import { ANNOTATION } from "../api/node-annotations.ts";
import { type Backoff, delay } from "../base/backoff.ts";
import { messageOf } from "../base/errors.ts";
import type { Log } from "../base/log.ts";
import { ApiError, isAlreadyExists, isNotFound } from "../client/error.ts";
import type { Client } from "../client/types.ts";

const RETRY: Backoff = { firstMs: 250, maxMs: 4_000, factor: 2, jitter: 0.5 };

export type PublisherOptions = {
  readonly client: Client;
  readonly node: string;
  readonly log: Log;
  /** The own Node as the informer has it. */
  readonly current: () => Node | undefined;
};

const revision = (n: Node | undefined): bigint => (/^[0-9]+$/.test(n?.metadata.resourceVersion ?? "") ? BigInt(n!.metadata.resourceVersion!) : 0n);

export class Publisher {
  readonly #options: PublisherOptions;
  /** undefined: must not be there. */
  readonly #wanted = new Map<string, string | undefined>();
  #written: Node | undefined;
  #running = false;
  #again = false;
  #attempt = 0;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;
  #refusal: string | undefined;

  constructor(options: PublisherOptions) {
    this.#options = options;
  }

  /** Why the API refuses what this node says of itself; undefined: it does not. */
  get refusal(): string | undefined {
    return this.#refusal;
  }

  /** The own Node as last known: what the informer has, or our own write where that is newer. */
  get node(): Node | undefined {
    const cached = this.#options.current();
    return this.#written && revision(this.#written) > revision(cached) ? this.#written : cached;
  }

  /** Wants these annotations (undefined: none) from now on. */
  want(annotations: Readonly<Record<string, string | undefined>>): void {
    for (const [name, value] of Object.entries(annotations)) this.#wanted.set(name, value);
    this.check();
  }

  /** To be called when the own Node may have changed. */
  check(): void {
    if (this.#closed || this.#timer) return;
    if (this.#running) this.#again = true;
    else if (this.#missing()) void this.#write();
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
  }

  /** The patch that is needed; undefined: none. */
  #missing(): Record<string, string | null> | undefined {
    const have = this.node?.metadata.annotations ?? {};
    const differing = [...this.#wanted].filter(([name, value]) => have[name] !== value);
    return differing.length > 0 || !this.node ? Object.fromEntries(differing.map(([name, value]) => [name, value ?? null])) : undefined;
  }

  async #write(): Promise<void> {
    this.#running = true;
    const { log } = this.#options;
    try {
      do {
        this.#again = false;
        const annotations = this.#missing();
        if (annotations) this.#written = await this.#patch(annotations);
      } while (this.#again && !this.#closed);
      this.#attempt = 0;
      this.#refusal = undefined;
    } catch (thrown) {
      // What the server refuses today (a key that another node claims) it may take tomorrow.
      if (thrown instanceof ApiError && thrown.code >= 400 && thrown.code < 500 && thrown.code !== 429) this.#refusal = thrown.message;
      if (!this.#closed) log.warn("cannot write the own Node, trying again", { error: messageOf(thrown) });
      this.#timer = setTimeout(
        () => {
          this.#timer = undefined;
          this.check();
        },
        delay(RETRY, this.#attempt++, Math.random()),
      );
    } finally {
      this.#running = false;
    }
  }

  async #patch(annotations: Record<string, string | null>): Promise<Node> {
    const { client, node } = this.#options;
    const address = this.#wanted.get(ANNOTATION.ipv4Address)?.split("/")[0];
    const status = address === undefined ? {} : { status: { addresses: addressesOf(node, address) } };
    const patch = { metadata: { annotations }, ...(annotations[ANNOTATION.ipv4Address] ? status : {}) };
    try {
      return await client.patch(NODE, node, patch, { type: "merge", subresource: "status" });
    } catch (thrown) {
      if (!isNotFound(thrown)) throw thrown;
    }
    await client.create(NODE, newNode(node)).catch((thrown: unknown) => {
      if (!isAlreadyExists(thrown)) throw thrown;
    });
    // A new Node has nothing of what is wanted.
    const all = Object.fromEntries([...this.#wanted].filter(([, v]) => v !== undefined));
    return client.patch(NODE, node, { metadata: { annotations: all }, ...status }, { type: "merge", subresource: "status" });
  }
}

const addressesOf = (node: string, address: string): { type: string; address: string }[] => [
  { type: "InternalIP", address },
  { type: "Hostname", address: node },
];

const newNode = (name: string): Node => ({
  apiVersion: "v1",
  kind: "Node",
  metadata: { name, labels: { "kubernetes.io/hostname": hostname().toLowerCase(), "kubernetes.io/os": "linux" } },
});
