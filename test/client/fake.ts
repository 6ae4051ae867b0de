// The smallest server that can list and watch one kind over a unix socket: for what a real server does not do on demand (410, silence, slow start).
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Kind } from "../../src/api/kind.ts";
import type { Resource } from "../../src/api/meta.ts";

export type Thing = Resource & { spec?: { n: number } };
export const THING: Kind<Thing> = {
  group: "test.io",
  version: "v1",
  kind: "Thing",
  plural: "things",
  singular: "thing",
  shortNames: [],
  namespaced: false,
  hasStatus: false,
  builtIn: false,
  categories: [],
  schema: {},
  defaults: (o) => o,
  validate: () => [],
  columns: [],
};

type Event = { revision: number; type: "ADDED" | "MODIFIED" | "DELETED"; object: Thing };
type Watcher = { res: ServerResponse };

export class FakeServer {
  readonly directory: string = mkdtempSync(join(tmpdir(), "tortie-client-"));
  readonly socket: string = join(this.directory, "api.sock");
  readonly objects: Map<string, Thing> = new Map();
  readonly requests: string[] = [];
  revision = 10;
  /** Revisions up to this one are no longer kept. */
  compacted = 0;
  events: Event[] = [];
  #watchers = new Set<Watcher>();
  #server: Server | undefined;
  /** Whether a watch may begin with the objects that are there. */
  streamsLists = false;
  /** Whether it says where those objects end. */
  endsFirstEvents = true;
  /** Answers a request itself when it returns true. */
  intercept: ((req: IncomingMessage, res: ServerResponse) => boolean) | undefined;

  async start(): Promise<void> {
    const server = createServer((req, res) => this.#serve(req, res));
    this.#server = server;
    await new Promise<void>((resolve) => server.listen(this.socket, resolve));
  }
  /** As kill -9 looks from outside: every connection is cut. */
  async kill(): Promise<void> {
    const server = this.#server!;
    this.#watchers.clear();
    const closed = new Promise((resolve) => server.close(resolve));
    server.closeAllConnections();
    await closed;
  }
  async dispose(): Promise<void> {
    if (this.#server?.listening) await this.kill();
    rmSync(this.directory, { recursive: true, force: true });
  }

  put(name: string, n: number): void {
    const type = this.objects.has(name) ? "MODIFIED" : "ADDED";
    const object: Thing = {
      apiVersion: "test.io/v1",
      kind: "Thing",
      metadata: { name, uid: `u-${name}`, resourceVersion: String(++this.revision), managedFields: [{}] },
      spec: { n },
    };
    this.objects.set(name, object);
    this.#tell({ revision: this.revision, type, object });
  }
  remove(name: string): void {
    const old = this.objects.get(name)!;
    this.objects.delete(name);
    this.#tell({
      revision: ++this.revision,
      type: "DELETED",
      object: { ...old, metadata: { ...old.metadata, resourceVersion: String(this.revision) } },
    });
  }
  write(text: string): void {
    for (const { res } of this.#watchers) res.write(text);
  }
  endWatches(): void {
    for (const { res } of this.#watchers) res.end();
    this.#watchers.clear();
  }
  #tell(event: Event): void {
    this.events.push(event);
    this.write(line(event));
  }

  #serve(req: IncomingMessage, res: ServerResponse): void {
    // As a server before 1.32, or one with the feature switched off: the client lists instead.
    if (!this.streamsLists && req.url!.includes("sendInitialEvents")) {
      const message = "sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled";
      return void res.writeHead(422).end(JSON.stringify({ kind: "Status", status: "Failure", reason: "Invalid", code: 422, message }));
    }
    this.requests.push(`${req.method} ${req.url}`);
    if (this.intercept?.(req, res)) return;
    const url = new URL(req.url!, "http://x");
    const json = (code: number, body: unknown): void => void res.writeHead(code, { "content-type": "application/json" }).end(JSON.stringify(body));
    const name = /^\/apis\/test.io\/v1\/things\/(.+)$/.exec(url.pathname)?.[1];
    if (name !== undefined) {
      const found = this.objects.get(name);
      if (found) return json(200, found);
      return json(404, { kind: "Status", status: "Failure", reason: "NotFound", code: 404, message: `things.test.io "${name}" not found` });
    }
    if (url.searchParams.get("watch") !== "true") {
      const all = [...this.objects.values()];
      const limit = Number(url.searchParams.get("limit") ?? all.length);
      const from = Number(url.searchParams.get("continue") ?? 0);
      const more = from + limit < all.length ? { continue: String(from + limit) } : {};
      return json(200, {
        apiVersion: "test.io/v1",
        kind: "ThingList",
        metadata: { resourceVersion: String(this.revision), ...more },
        items: all.slice(from, from + limit),
      });
    }
    const initial = url.searchParams.get("sendInitialEvents") === "true";
    const since = initial ? this.revision : Number(url.searchParams.get("resourceVersion") ?? 0);
    res.writeHead(200, { "content-type": "application/json" });
    if (since < this.compacted) {
      const object = {
        kind: "Status",
        status: "Failure",
        reason: "Expired",
        code: 410,
        message: `too old resource version: ${since} (${this.compacted})`,
      };
      return void res.end(`${JSON.stringify({ type: "ERROR", object })}\n`);
    }
    res.write("\n");
    if (initial) {
      for (const object of this.objects.values()) res.write(line({ revision: this.revision, type: "ADDED", object }));
      const metadata = { resourceVersion: String(this.revision), annotations: { "k8s.io/initial-events-end": "true" } };
      if (this.endsFirstEvents) res.write(`${JSON.stringify({ type: "BOOKMARK", object: { kind: "Thing", metadata } })}\n`);
    }
    for (const e of this.events) if (e.revision > since) res.write(line(e));
    const watcher = { res };
    this.#watchers.add(watcher);
    res.on("close", () => this.#watchers.delete(watcher));
  }
}

const line = (e: Event): string => `${JSON.stringify({ type: e.type, object: e.object })}\n`;
