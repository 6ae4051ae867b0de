// A cluster with Calico's resources as Calico itself keeps them on Kubernetes: custom resources of crd.projectcalico.org/v1 (layout A), and beside them
// the group of Calico's API server (layout B). Our own server's handler over plain HTTP on loopback serves these kinds; every request is written down.
import { randomInt, randomUUID } from "node:crypto";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { FELIX_CONFIGURATION } from "../../src/api/felixconfiguration.ts";
import { IP_POOL } from "../../src/api/ippool.ts";
import { type Kind, noDefaults } from "../../src/api/kind.ts";
import { NAMESPACE } from "../../src/api/namespace.ts";
import { NODE } from "../../src/api/node.ts";
import { POD } from "../../src/api/pod.ts";
import { anything, boolean, object, resource, type Schema, string } from "../../src/api/schema.ts";
import { Handler } from "../../src/apiserver/handler.ts";
import { Credentials } from "../../src/apiserver/identity/credentials.ts";
import { Connections, serve } from "../../src/apiserver/http.ts";
import { SOCKET_OWNER } from "../../src/apiserver/identity/authenticate.ts";
import { Registry } from "../../src/apiserver/objects/registry.ts";
import type { ApiRequest, ApiResponse } from "../../src/apiserver/wire/request.ts";
import { silent } from "../../src/base/log.ts";
import { connectTo } from "../../src/client/node.ts";
import type { RestClient } from "../../src/client/rest.ts";
import { memoryStore } from "../../src/store/memory.ts";

/** A custom resource as a CustomResourceDefinition declares it. */
const custom = (kind: string, plural: string, spec: Schema = anything("Anything.")): Kind => ({
  group: "crd.projectcalico.org",
  version: "v1",
  kind,
  plural,
  singular: kind.toLowerCase(),
  shortNames: [],
  namespaced: false,
  hasStatus: false,
  builtIn: false,
  categories: [],
  schema: resource("A custom resource.", { spec }),
  defaults: noDefaults,
  validate: () => [],
  columns: [],
});

/** Names and types as in Calico's manifests of v1; a claim's `deleted` is a text there. */
const V1: readonly Kind[] = [
  custom("FelixConfiguration", "felixconfigurations"),
  custom("IPPool", "ippools"),
  custom("BGPConfiguration", "bgpconfigurations"),
  custom("ClusterInformation", "clusterinformations"),
  custom("IPAMConfig", "ipamconfigs"),
  custom("IPAMHandle", "ipamhandles"),
  custom("IPAMBlock", "ipamblocks", { ...anything("A block."), properties: { deleted: boolean("Marked.") } }),
  custom(
    "BlockAffinity",
    "blockaffinities",
    object(
      "A claim.",
      { state: string("State."), node: string("Node."), type: string("Type."), cidr: string("Range."), deleted: string("Marked.") },
      ["state", "node", "cidr", "deleted"],
    ),
  ),
];
const KUBERNETES = [NAMESPACE, NODE, POD] as unknown as Kind[];
const AGGREGATED = [IP_POOL, FELIX_CONFIGURATION] as unknown as Kind[];

export type Recorded = { method: string; path: string; body: string };

class Recorder extends Handler {
  readonly requests: Recorded[] = [];
  override handle(request: ApiRequest): Promise<ApiResponse> {
    const entry = { method: request.method, path: request.path, body: "" };
    this.requests.push(entry);
    const body = async (): Promise<Uint8Array> => {
      const bytes = await request.body();
      entry.body = Buffer.from(bytes).toString("utf8");
      return bytes;
    };
    return super.handle({ ...request, body });
  }
}

export class CalicoCluster {
  readonly #server: Server = createServer();
  readonly #connections = new Connections();
  readonly #handler: Recorder;
  #clients: RestClient[] = [];
  url = "";

  constructor(layout: "A" | "B") {
    const registry = new Registry({ store: memoryStore(Date.now), now: Date.now, uid: randomUUID, random: (below) => randomInt(below) });
    this.#handler = new Recorder({
      kinds: [...KUBERNETES, ...V1, ...(layout === "B" ? AGGREGATED : [])],
      registry,
      gitVersion: "v1.34.0",
      now: Date.now,
      random: Math.random,
      log: silent,
      audit: () => {},
      credentials: new Credentials(Date.now),
    });
    serve(this.#server, { handler: this.#handler, connections: this.#connections, authenticate: () => SOCKET_OWNER });
  }
  async start(): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
    this.url = `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }
  /** A client that translates nothing. */
  client(): RestClient {
    const client = connectTo({ url: this.url });
    this.#clients.push(client);
    return client;
  }
  /** The requests since the last call, in order. */
  taken(): Recorded[] {
    return this.#handler.requests.splice(0);
  }
  async stop(): Promise<void> {
    await Promise.all(this.#clients.map((c) => c.close()));
    this.#connections.endAll();
    this.#connections.destroyAll();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
