// Credential plug-ins of kubeconfigs, with the real server: tokens that are taken away, and what a plug-in is told, beside the real kubectl.
import { execFileSync } from "node:child_process";
import { chmodSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { FELIX_CONFIGURATION } from "../../src/api/felixconfiguration.ts";
import { ApiError } from "../../src/client/error.ts";
import { exec } from "../../src/client/exec.ts";
import { informer } from "../../src/client/informer.ts";
import { connectToSocket, connectWith } from "../../src/client/node.ts";
import type { RestClient } from "../../src/client/rest.ts";
import { KUBECTLS, runKubectl } from "../apiserver/kubectls.ts";
import { ServerHome, type ServerProcess } from "../apiserver/process.ts";
import { describeWith, TORTIE, tortie } from "../peers.ts";

const VERSIONS = ["v1", "v1beta1"] as const;
type Version = (typeof VERSIONS)[number];

const home = new ServerHome();
let server: ServerProcess;
beforeAll(async () => void (server = await home.start()));
afterAll(() => home.remove());

const path = (name: string): string => join(home.directory, name);
const read = (name: string): string => readFileSync(path(name), "utf8");
const serverToken = (...args: string[]): string =>
  execFileSync(process.execPath, [TORTIE, "server", "token", ...args, "--data", home.data], {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "ignore"],
  });
const newToken = (): string => serverToken("create", "--role", "admin", "--user", "dev").trim();
const forget = (token: string): string => serverToken("delete", token.split(".")[0]!);

/** Makes the plug-in give this token from now on. */
const give = (token: string, version: Version = "v1"): void =>
  writeFileSync(path("answer"), JSON.stringify({ apiVersion: `client.authentication.k8s.io/${version}`, kind: "ExecCredential", status: { token } }));
/** How often it ran since this was asked for. */
function runs(): () => number {
  const before = read("runs").length;
  return () => read("runs").length - before;
}

function kubeconfig(version: Version): string {
  const file = path(`${version}.kubeconfig`);
  const exec = {
    apiVersion: `client.authentication.k8s.io/${version}`,
    command: "./plugin",
    provideClusterInfo: true,
    interactiveMode: "IfAvailable",
  };
  const config = {
    apiVersion: "v1",
    kind: "Config",
    "current-context": "main",
    clusters: [
      {
        name: "c",
        cluster: {
          server: server.url,
          "certificate-authority": "data/pki/ca.crt",
          "tls-server-name": "localhost",
          extensions: [{ name: "client.authentication.k8s.io/exec", extension: { audience: "tortie" } }],
        },
      },
    ],
    users: [{ name: "dev", user: { exec } }],
    contexts: [{ name: "main", context: { cluster: "c", user: "dev" } }],
  };
  writeFileSync(file, JSON.stringify(config));
  return file;
}

let client: RestClient;
beforeEach(() => {
  writeFileSync(path("plugin"), `#!/bin/sh\ncd '${home.directory}'\nprintf x >>runs\nprintf '%s' "$KUBERNETES_EXEC_INFO" >info\ncat answer\n`);
  chmodSync(path("plugin"), 0o755);
  writeFileSync(path("runs"), "");
});

describe("the client", () => {
  beforeEach(() => {
    client = connectWith(kubeconfig("v1"));
    return () => client.close();
  });

  test("a token that is taken away is asked for anew, once for all who need it, and the request is sent again", async () => {
    const first = newToken();
    give(first);
    const ran = runs();
    const names = async (): Promise<string[]> => (await client.list(FELIX_CONFIGURATION)).items.map((o) => o.metadata.name);
    expect(await Promise.all([names(), names(), names()])).toEqual([["default"], ["default"], ["default"]]);
    expect(ran()).toBe(1);
    give(newToken());
    forget(first);
    expect(await Promise.all([names(), names(), names()])).toEqual([["default"], ["default"], ["default"]]);
    expect(ran()).toBe(2);
  });

  test("so it is for a WebSocket", async () => {
    const first = newToken();
    give(first);
    const pipes = { stdout: () => {}, stderr: () => {} };
    const ask = (): Promise<unknown> =>
      exec(client.transport, { namespace: "default", pod: "nope", command: ["true"], ...pipes }).catch((e: unknown) => e);
    expect(await ask()).toMatchObject({ code: 404 });
    give(newToken());
    forget(first);
    expect(await ask()).toMatchObject({ code: 404 });
  });

  test("a server that takes none of them: its refusal, after two runs", async () => {
    give("nobody.knows");
    const ran = runs();
    const thrown = await client.list(FELIX_CONFIGURATION).catch((e: unknown) => e);
    expect(thrown).toBeInstanceOf(ApiError);
    expect(thrown).toMatchObject({ code: 401 });
    expect(ran()).toBe(2);
  });

  test("an informer goes on with the next token when its connection was cut with the last one", async () => {
    const first = newToken();
    give(first);
    const cache = informer(client, FELIX_CONFIGURATION);
    await cache.start();
    give(newToken());
    forget(first);
    const admin = connectToSocket(home.socket);
    await admin.create(FELIX_CONFIGURATION, { ...cache.get("default")!, metadata: { name: "node.a" } });
    await vi.waitFor(() => expect(cache.get("node.a")).toBeDefined(), { timeout: 60_000, interval: 50 });
    await cache.stop();
    await admin.delete(FELIX_CONFIGURATION, "node.a");
    await admin.close();
  });
});

describeWith(["kubectl"], "beside kubectl", () => {
  test.for(KUBECTLS.flatMap((k) => VERSIONS.map((v) => [k.name, v, k] as const)))(
    "%s tells a plug-in of %s the same",
    async ([, version, kubectl]) => {
      give(newToken(), version);
      const file = kubeconfig(version);
      const theirs = await runKubectl(kubectl, ["get", "felixconfigurations", "-o", "name"], { kubeconfig: file, home: home.directory });
      expect(theirs).toEqual({ code: 0, out: "felixconfiguration.projectcalico.org/default\n", err: "" });
      const told = JSON.parse(read("info")) as unknown;
      expect(tortie("get", "felixconfigurations", "-o", "name", "--kubeconfig", file)).toBe(theirs.out);
      expect(JSON.parse(read("info"))).toEqual(told);
    },
  );

  test("a plug-in that is not installed: the kubeconfig's advice", () => {
    const file = path("missing.kubeconfig");
    const text = readFileSync(kubeconfig("v1"), "utf8")
      .replace("./plugin", "tortie-no-such-plugin")
      .replace(`"provideClusterInfo"`, `"installHint":"Get it.","provideClusterInfo"`);
    writeFileSync(file, text);
    let [code, err] = [0, ""];
    try {
      execFileSync(process.execPath, [TORTIE, "get", "nodes", "--kubeconfig", file], { encoding: "utf8", stdio: "pipe" });
    } catch (thrown) {
      ({ status: code, stderr: err } = thrown as { status: number; stderr: string });
    }
    expect([code, err]).toEqual([1, 'Cannot get the credentials of the user "dev": the plug-in "tortie-no-such-plugin" is not installed\nGet it.\n']);
  });
});
