// Our kubectl against the real server, and side by side with the real kubectl where it is installed: the same commands, the same output.
import { execFile, spawn } from "node:child_process";
import { symlinkSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { NODE } from "../../src/api/node.ts";
import { POD } from "../../src/api/pod.ts";
import { describeWith, find, TORTIE } from "../peers.ts";
import { type Ran, RealServer } from "../client/server.ts";

let server: RealServer;
beforeAll(async () => {
  server = new RealServer();
  await server.start();
  const { client } = server;
  for (const name of ["n0", "n1"]) await client.create(NODE, { apiVersion: "v1", kind: "Node", metadata: { name, labels: { rack: name } } });
  for (const [i, name] of ["pod1", "a-pod-with-a-long-name"].entries())
    await client.create(POD, {
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name, namespace: "default" },
      spec: { nodeName: `n${i}`, containers: [{ name: "main", image: "lab" }] },
    });
});
afterAll(() => server.dispose());

const ours = (args: string[], stdin = ""): Promise<Ran> => server.run("kubectl", args, { stdin });
const real = (args: string[], stdin = ""): Promise<Ran> =>
  new Promise((resolve) => {
    const child = execFile(
      find("kubectl")!,
      ["--kubeconfig", server.kubeconfig, "--cache-dir", join(server.directory, "cache"), ...args],
      (error, out, err) => resolve({ code: error ? Number(error.code) : 0, out, err }),
    );
    child.stdin?.end(stdin);
  });
const felix = (name: string, spec: string): string =>
  `apiVersion: projectcalico.org/v3\nkind: FelixConfiguration\nmetadata:\n  name: ${name}\nspec:\n  ${spec}\n`;
/** Ages grow between two calls. */
const ageless = (text: string): string => text.replace(/\b([0-9]+[smhd])+\b/g, "AGE").replace(/ +/g, " ");

describe("our kubectl", () => {
  test("apply creates, leaves alone, configures; what is no longer in the file goes", async () => {
    const title = "felixconfiguration.projectcalico.org/node.k";
    expect((await ours(["apply", "-f", "-"], felix("node.k", "wireguardMTU: 1400\n  vxlanMTU: 1300"))).out).toBe(`${title} created\n`);
    expect((await ours(["apply", "-f", "-"], felix("node.k", "wireguardMTU: 1400\n  vxlanMTU: 1300"))).out).toBe(`${title} unchanged\n`);
    expect((await ours(["apply", "-f", "-"], felix("node.k", "wireguardMTU: 1420"))).out).toBe(`${title} configured\n`);
    const { out } = await ours(["get", "felixconfiguration", "node.k", "-o", "yaml"]);
    expect(out).toContain("\nspec:\n  wireguardMTU: 1420\n");
    expect(out).not.toContain("\n  vxlanMTU");
  });

  test("patch changes, says so, and says when it did not", async () => {
    await ours(["apply", "-f", "-"], felix("node.p", "wireguardMTU: 1400"));
    const patch = ["patch", "felixconfiguration", "node.p", "--type", "merge", "-p", '{"spec":{"wireguardEnabled":true}}'];
    expect(await ours(patch)).toEqual({ code: 0, out: "felixconfiguration.projectcalico.org/node.p patched\n", err: "" });
    expect((await ours(patch)).out).toBe("felixconfiguration.projectcalico.org/node.p patched (no change)\n");
    const bad = await ours(["patch", "felixconfiguration", "node.p", "--type=merge", "-p", '{"spec":{"wireguardListeningPort":70000}}']);
    expect([bad.code, bad.out]).toEqual([1, ""]);
    expect(bad.err).toMatch(/^The FelixConfiguration "node.p" is invalid: spec.wireguardListeningPort: Invalid value: 70000: /);
  });

  test("get -w follows", async () => {
    const link = join(server.directory, "kubectl");
    try {
      symlinkSync(TORTIE, link);
    } catch {
      // made before
    }
    const child = spawn(process.execPath, [link, "get", "felixconfigurations", "-w", "-o", "name"], {
      env: { ...process.env, TORTIE_SOCKET: server.socket, KUBECONFIG: "" },
    });
    let out = "";
    child.stdout.on("data", (d: Buffer) => (out += d.toString()));
    try {
      await vi.waitFor(() => expect(out).toContain("node.p\n"), { timeout: 60_000 });
      await ours(["apply", "-f", "-"], felix("node.w", "wireguardMTU: 1400"));
      await vi.waitFor(() => expect(out).toContain("felixconfiguration.projectcalico.org/node.w\n"), { timeout: 60_000 });
    } finally {
      child.kill();
    }
  });

  test.for([
    {
      args: ["describe", "node", "n0"],
      err: 'Cannot run "kubectl describe": this is tortie\'s own kubectl, which has get, patch, apply, exec, version\nThe real one does it: apt-get install kubernetes-client',
    },
    { args: ["get", "things"], err: 'error: the server doesn\'t have a resource type "things"\n' },
    { args: ["get", "pods", "nobody"], err: 'Error from server (NotFound): pods "nobody" not found\n' },
    { args: ["exec", "pod1"], err: "error: you must specify at least one command for the container\n" },
    { args: ["exec", "pod1", "ls"], err: "error: exec [POD] [COMMAND] is not supported anymore. Use exec [POD] -- [COMMAND] instead\n" },
    { args: ["exec", "nobody", "--", "ls"], err: 'Error from server (NotFound): pods "nobody" not found\n' },
    { args: ["get", "nodes", "-o", "jsonpath={.x}"], err: 'error: unable to match a printer suitable for the output format "jsonpath={.x}"\n' },
  ])("says what is wrong: $args", async ({ args, err }) => {
    const ran = await ours(args);
    expect([ran.code, ran.out]).toEqual([1, ""]);
    expect(ran.err.startsWith(err), ran.err).toBe(true);
  });
});

describeWith(["kubectl"], "our kubectl and the real one", () => {
  test.for(
    [
      ["get", "nodes"],
      ["get", "nodes", "-o", "wide"],
      ["get", "node/n0", "pod/pod1"],
      ["get", "nodes,pods"],
      ["get", "pods"],
      ["get", "pods", "-A"],
      ["get", "pods", "-A", "-o", "wide"],
      ["get", "pods", "-n", "nowhere"],
      ["get", "pods", "--no-headers"],
      ["get", "pods", "-o", "name"],
      ["get", "nodes", "-l", "rack=n1"],
      ["get", "nodes", "n0", "-o", "yaml"],
      ["get", "nodes", "-o", "yaml"],
      ["get", "nodes", "n0", "-o", "json"],
      ["get", "ippools"],
      ["get", "felixconfigurations.projectcalico.org"],
      ["get", "clusterinformation", "default"],
      ["get", "pods", "nobody"],
      ["get", "pods", "nobody", "-A"],
      ["patch", "node", "n0", "-p", '{"metadata":{"labels":{"rack":"n0"}}}'],
      ["patch", "node", "n0", "--type=json", "-p", '[{"op":"remove","path":"/metadata/labels/none"}]'],
      ["patch", "felixconfiguration", "default", "--type=merge", "-p", '{"spec":{"wireguardListeningPort":70000}}'],
      ["patch", "felixconfiguration", "default", "--type=merge", "-p", '{"spec":{"wireguardListeningPort":70000,"wireguardEnabled":1}}'],
      ["patch", "felixconfiguration", "default", "--type=merge", "-p", '{"spec":{"wireguardOn":true}}'],
      ["patch", "node", "nobody", "-p", "{}"],
    ].map((args) => ({ line: args.join(" "), args })),
  )("$line", async ({ args }) => {
    const [a, b] = [await ours(args), await real(args)];
    expect({ ...a, out: ageless(a.out) }).toEqual({ ...b, out: ageless(b.out) });
  });

  test.for([
    { name: "unknown field", text: felix("node.bad", "wireguardOn: true") },
    { name: "bad port", text: felix("node.bad", "wireguardListeningPort: 70000") },
  ])("apply of what cannot be: $name", async ({ text }) => {
    const [a, b] = [await ours(["apply", "-f", "-"], text), await real(["apply", "-f", "-"], text)];
    expect(a).toEqual(b);
  });

  test("a strategic patch of a Calico kind is refused in the same words; ours adds what to do", async () => {
    const args = ["patch", "felixconfiguration", "default", "-p", "{}"];
    const [a, b] = [await ours(args), await real(args)];
    expect(a).toEqual({ ...b, err: `${b.err}--type=merge does it.\n` });
  });

  test("what ours applied, the real one leaves alone, and the other way round", async () => {
    const text = felix("node.both", "wireguardMTU: 1400");
    expect((await ours(["apply", "-f", "-"], text)).out).toContain(" created");
    expect((await real(["apply", "-f", "-"], text)).out).toContain(" unchanged");
    expect((await real(["apply", "-f", "-"], felix("node.both", "vxlanMTU: 1300"))).out).toContain(" configured");
    expect((await ours(["apply", "-f", "-"], felix("node.both", "vxlanMTU: 1300"))).out).toContain(" unchanged");
  });
});
