// Owners, finalizers and namespaces on a real server, by the real kubectl: what waits, waits until it is over. On etcd another server may begin ten seconds
// after a kill -9.
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { describeEtcd, Etcd } from "../etcd/etcd.ts";
import { describeWith, find } from "../peers.ts";
import { ask, ServerHome, type ServerProcess, until } from "./process.ts";

type On = { etcd?: Etcd; more: string[] };

describeWith(["kubectl"], "owners and namespaces on the embedded store", () => behaves(() => Promise.resolve({ more: [] })));
describeEtcd("owners and namespaces on etcd", () =>
  describeWith(["kubectl"], "kubectl", () =>
    behaves(async () => {
      const etcd = await Etcd.start();
      return { etcd, more: [`--store=etcd=${etcd.urls.join(",")}`] };
    }),
  ),
);

function behaves(store: () => Promise<On>): void {
  let home: ServerHome;
  let server: ServerProcess;
  let on: On;
  beforeAll(async () => {
    home = new ServerHome();
    on = await store();
    server = await home.start(0, on.more);
  });
  afterAll(async () => {
    await home.remove();
    await on.etcd?.remove();
  });

  const kubectl = async (...args: string[]): Promise<string> => {
    const env = { ...process.env, KUBECONFIG: home.kubeconfig, HOME: home.directory };
    const { stdout } = await promisify(execFile)(find("kubectl")!, args, { env, timeout: 200_000 });
    return stdout;
  };
  const maps = "/api/v1/namespaces/default/configmaps";
  async function make(name: string, owner?: string): Promise<string> {
    const ownerReferences = owner === undefined ? [] : [{ apiVersion: "v1", kind: "ConfigMap", name: "owner", uid: owner, blockOwnerDeletion: true }];
    const { body } = await ask(home.socket, maps, { method: "POST", body: JSON.stringify({ metadata: { name, ownerReferences } }) });
    return (JSON.parse(body) as { metadata: { uid: string } }).metadata.uid;
  }
  const names = async (): Promise<string[]> => {
    const { body } = await ask(home.socket, maps);
    return (JSON.parse(body) as { items: { metadata: { name: string } }[] }).items.map((o) => o.metadata.name);
  };

  test("delete --cascade: background, foreground, orphan", async () => {
    await make("child", await make("owner"));
    await kubectl("delete", "configmap", "owner");
    await until(async () => (await names()).length === 0);
    await make("child", await make("owner"));
    await kubectl("delete", "configmap", "owner", "--cascade=foreground");
    // It waited for the owner, and the owner for the child.
    expect(await names()).toEqual([]);
    await make("child", await make("owner"));
    await kubectl("delete", "configmap", "owner", "--cascade=orphan");
    expect(await names()).toEqual(["child"]);
  });

  test("delete namespace takes what is in it, and a server that is killed meanwhile goes on with it", async () => {
    await kubectl("create", "namespace", "x");
    const inside = "/api/v1/namespaces/x/configmaps";
    await ask(home.socket, inside, { method: "POST", body: JSON.stringify({ metadata: { name: "held", finalizers: ["x.y/z"] } }) });
    await ask(home.socket, inside, { method: "POST", body: JSON.stringify({ metadata: { name: "free" } }) });
    await kubectl("delete", "namespace", "x", "--wait=false");
    expect(await kubectl("get", "namespace", "x", "--no-headers")).toMatch(/^x +Terminating +\S+\n$/);
    server.child.kill("SIGKILL");
    await server.ended;
    server = await home.start(0, on.more);
    await ask(home.socket, `${inside}/held`, {
      method: "PATCH",
      type: "application/merge-patch+json",
      body: JSON.stringify({ metadata: { finalizers: null } }),
    });
    await kubectl("wait", "--for=delete", "namespace/x", "--timeout=120s");
    expect((await ask(home.socket, "/api/v1/namespaces/x")).code).toBe(404);
  });
}
