// A genuine Kubernetes API server (scripts/kubernetes) on a real etcd: custom resources, and v1's namespaces, nodes, pods and configmaps.
import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { customResourceDefinition, type CustomResourceDefinition, isCustom } from "../../src/api/crd.ts";
import { KINDS } from "../../src/api/kinds.ts";
import { connectTo } from "../../src/client/node.ts";
import type { Endpoint } from "../../src/client/kubeconfig.ts";
import { textOf } from "../../src/client/lines.ts";
import type { RestClient } from "../../src/client/rest.ts";
import type { Etcd } from "../etcd/etcd.ts";
import { find } from "../peers.ts";

const DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
/** Generous: what is waited for comes, if at all, much sooner. */
const PATIENCE_MS = 60_000;

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Asks until `done` says so of the answer; an error is an answer that is not there yet. */
async function until<T>(ask: () => Promise<T>, done: (answer: T) => boolean, what: () => string): Promise<T> {
  for (const end = performance.now() + PATIENCE_MS; ;) {
    const answer = await ask().catch((thrown: unknown) => thrown as Error);
    if (!(answer instanceof Error) && done(answer)) return answer;
    if (performance.now() > end) throw new Error(what(), answer instanceof Error ? { cause: answer } : {});
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** One API server. */
export class ApiServer {
  readonly directory: string = mkdtempSync(join(tmpdir(), "tortie-kubernetes-"));
  readonly kubeconfig: string = join(this.directory, "kubeconfig");
  readonly token: string = randomBytes(16).toString("hex");
  readonly #etcd: Etcd;
  readonly #port: number;
  readonly #clients: RestClient[] = [];
  #child: ChildProcess | undefined;
  #said = "";

  private constructor(etcd: Etcd, port: number) {
    this.#etcd = etcd;
    this.#port = port;
    writeFileSync(join(this.directory, "tokens.csv"), `${this.token},admin,1,"system:masters"\n`, { mode: 0o600 });
    const cluster = { server: this.url, "certificate-authority": join(this.directory, "apiserver.crt") };
    const config = {
      clusters: [{ name: "c", cluster }],
      users: [{ name: "u", user: { token: this.token } }],
      contexts: [{ name: "x", context: { cluster: "c", user: "u" } }],
      "current-context": "x",
    };
    writeFileSync(this.kubeconfig, JSON.stringify(config), { mode: 0o600 });
  }
  static async start(etcd: Etcd): Promise<ApiServer> {
    const server = new ApiServer(etcd, await freePort());
    await server.run();
    return server;
  }
  get url(): string {
    return `https://127.0.0.1:${this.#port}`;
  }
  /** Our client. */
  client(endpoint: Partial<Endpoint> = {}): RestClient {
    const ca = readFileSync(join(this.directory, "apiserver.crt"), "utf8");
    const client = connectTo({ url: this.url, ca, token: this.token, ...endpoint });
    this.#clients.push(client);
    return client;
  }

  /** Starts it (again) on its port; resolves when it is ready. */
  async run(): Promise<void> {
    const flags = { etcd: this.#etcd.urls[0]!, listen: `127.0.0.1:${this.#port}`, directory: this.directory };
    const child = spawn(
      find("kubernetes-apiserver")!,
      Object.entries(flags).map(([k, v]) => `-${k}=${v}`),
      { stdio: ["ignore", "ignore", "pipe"] },
    );
    child.stderr.on("data", (d: Buffer) => (this.#said = (this.#said + d.toString()).slice(-8000)));
    this.#child = child;
    let client: RestClient | undefined; // its certificate is made by the first start
    const ready = async (): Promise<boolean> => {
      const { status, body } = await (client ??= this.client()).transport.request({ method: "GET", path: "/readyz", headers: {} });
      return (await textOf(body, 1 << 20)) === "ok" && status === 200;
    };
    await until(ready, Boolean, () => `Kubernetes does not answer: ${this.#said}`);
  }
  async kill(): Promise<void> {
    const child = this.#child;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGKILL");
    await ended;
  }
  async dispose(): Promise<void> {
    for (const client of this.#clients) await client.close();
    await this.kill();
    rmSync(this.directory, { recursive: true, force: true });
  }

  /** Defines custom resources; resolves, with the definitions as they then are, when they are served. */
  async define(definitions: readonly CustomResourceDefinition[]): Promise<CustomResourceDefinition[]> {
    const client = this.client();
    for (const body of definitions) await client.raw("POST", DEFINITIONS, { body });
    return Promise.all(
      definitions.map(async ({ metadata, spec }) => {
        await until(
          () => client.raw("GET", `/apis/${spec.group}/${spec.versions[0]!.name}/${spec.names.plural}`),
          () => true,
          () => `${metadata.name} is not served: ${this.#said}`,
        );
        return client.raw<CustomResourceDefinition>("GET", `${DEFINITIONS}/${metadata.name}`);
      }),
    );
  }
}

/** Names of Calico's v1 resources that we use, as in Calico's manifests. */
const V1_NAMES = {
  BGPConfiguration: "bgpconfigurations",
  BlockAffinity: "blockaffinities",
  ClusterInformation: "clusterinformations",
  FelixConfiguration: "felixconfigurations",
  IPAMBlock: "ipamblocks",
  IPAMConfig: "ipamconfigs",
  IPAMHandle: "ipamhandles",
  IPPool: "ippools",
};

/** Calico's resources as its layout A keeps them. Of their fields only what differs from v3 is declared: a claim's `deleted` is a text. */
export const V1_DEFINITIONS: readonly CustomResourceDefinition[] = Object.entries(V1_NAMES).map(([kind, plural]) => {
  const deleted = { type: kind === "BlockAffinity" ? "string" : "boolean" } as const;
  const spec = { type: "object", properties: { deleted }, "x-kubernetes-preserve-unknown-fields": true } as const;
  return {
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    metadata: { name: `${plural}.crd.projectcalico.org` },
    spec: {
      group: "crd.projectcalico.org",
      names: { plural, singular: kind.toLowerCase(), kind, listKind: `${kind}List` },
      scope: "Cluster",
      versions: [{ name: "v1", served: true, storage: true, schema: { openAPIV3Schema: { type: "object", properties: { spec } } } }],
    },
  };
});

/** The same resources as layout C has them: our own definitions. */
export const V3_DEFINITIONS: readonly CustomResourceDefinition[] = KINDS.filter(isCustom).map(customResourceDefinition);
