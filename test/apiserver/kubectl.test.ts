// The real kubectl on our server: the current release where scripts/peers put it, else the system's.
import { execFile, spawn } from "node:child_process";
import { existsSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { describeWith, find } from "../peers.ts";
import { fakeAgent } from "./fakeagent.ts";
import { ServerHome, until } from "./process.ts";

const current = find("kubectl");
const older = current === undefined ? undefined : join(dirname(current), "kubectl-1.32");
const programs = [current, older].filter((p): p is string => p !== undefined && existsSync(p));

describeWith(["kubectl"], "kubectl", () => {
  let home: ServerHome;
  beforeAll(async () => {
    home = new ServerHome();
    await home.start();
  });
  afterAll(() => home.remove());

  describe.each(programs.map((path) => ({ name: path.split("/").at(-1)!, path })))("$name", ({ path }) => {
    type Ran = { code: number; out: string };
    async function kubectl(...args: string[]): Promise<Ran> {
      const env = { ...process.env, KUBECONFIG: home.kubeconfig, KUBECACHEDIR: join(home.directory, "cache"), HOME: home.directory };
      try {
        const { stdout, stderr } = await promisify(execFile)(path, args, { env, timeout: 30_000 });
        return { code: 0, out: stdout + stderr };
      } catch (thrown) {
        const { code, stdout, stderr } = thrown as { code: number; stdout: string; stderr: string };
        return { code, out: stdout + stderr };
      }
    }
    const file = (name: string, content: object): string => {
      const at = join(home.directory, name);
      writeFileSync(at, JSON.stringify(content));
      return at;
    };
    const pool = (spec: object): object => ({
      apiVersion: "projectcalico.org/v3",
      kind: "IPPool",
      metadata: { name: "p" },
      spec: { cidr: "10.0.0.0/16", ...spec },
    });

    test("step 2 of the exercise: the patch, its words, and what it refuses", async () => {
      expect(await kubectl("patch", "felixconfiguration", "default", "--type=merge", "-p", '{"spec":{"wireguardEnabled":null}}')).toMatchObject({
        code: 0,
      });
      const patch = (p: string): Promise<Ran> => kubectl("patch", "felixconfiguration", "default", "--type=merge", "-p", p);
      expect(await patch('{"spec":{"wireguardEnabled":true}}')).toEqual({ code: 0, out: "felixconfiguration.projectcalico.org/default patched\n" });
      expect((await kubectl("get", "felixconfiguration", "default", "-o", "yaml")).out).toContain("\n  wireguardEnabled: true\n");
      expect(await patch('{"spec":{"wireguardListeningPort":70000}}')).toEqual({
        code: 1,
        out: 'The FelixConfiguration "default" is invalid: spec.wireguardListeningPort: Invalid value: 70000: spec.wireguardListeningPort in body should be less than or equal to 65535\n',
      });
      expect((await patch('{"spec":{"nope":1}}')).out).toContain('strict decoding error: unknown field "spec.nope"');
      expect((await patch('{"spec":{"wireguardEnabled":"yes"}}')).out).toContain("must be of type boolean");
      expect((await patch('{"spec":')).code).toBe(1);
    });

    test("apply, diff, get, describe, label, wait, explain, delete of a Calico kind", async () => {
      expect((await kubectl("apply", "-f", file("pool.json", pool({ vxlanMode: "Always" })))).out).toBe("ippool.projectcalico.org/p created\n");
      const changed = file("pool.json", pool({ vxlanMode: "CrossSubnet" }));
      expect((await kubectl("diff", "-f", changed)).code).toBe(1);
      expect((await kubectl("apply", "-f", changed)).out).toBe("ippool.projectcalico.org/p configured\n");
      expect((await kubectl("apply", "-f", changed)).out).toBe("ippool.projectcalico.org/p unchanged\n");
      expect((await kubectl("get", "ippools")).out).toMatch(/^NAME +CIDR +VXLAN +IPIP +NAT +AGE\np +10\.0\.0\.0\/16 +CrossSubnet +\d+s\n$/);
      expect((await kubectl("describe", "ippool", "p")).out).toContain("Vxlan Mode:       CrossSubnet");
      expect((await kubectl("label", "ippool", "p", "a=b")).out).toBe("ippool.projectcalico.org/p labeled\n");
      expect((await kubectl("get", "ippool", "-l", "a=b", "-o", "name")).out).toBe("ippool.projectcalico.org/p\n");
      expect((await kubectl("wait", "ippool", "p", "--for=jsonpath={.spec.vxlanMode}=CrossSubnet", "--timeout=5s")).code).toBe(0);
      expect((await kubectl("explain", "ippool.spec.blockSize")).out).toContain("blockSize <integer>");
      expect((await kubectl("apply", "-f", file("bad.json", pool({ cidr: "10.0.0.1/16" })))).out).toContain("IPPool CIDR must be strictly masked");
      expect((await kubectl("replace", "-f", file("unknown.json", pool({ nope: 1 })))).out).toContain('unknown field "spec.nope"');
      expect((await kubectl("delete", "ippool", "p")).out).toMatch(/^ippool.projectcalico.org "p" deleted/);
      expect(await kubectl("get", "ippool", "p")).toEqual({
        code: 1,
        out: 'Error from server (NotFound): ippools.projectcalico.org "p" not found\n',
      });
    });

    test("get -w sees a change", async () => {
      await kubectl("apply", "-f", file("pool.json", pool({})));
      const watch = spawn(path, ["get", "ippool", "p", "-w"], { env: { ...process.env, KUBECONFIG: home.kubeconfig, HOME: home.directory } });
      let seen = "";
      watch.stdout.on("data", (d: Buffer) => (seen += d.toString()));
      await until(() => seen.split("\n").length >= 3);
      await kubectl("patch", "ippool", "p", "--type=merge", "-p", '{"spec":{"natOutgoing":true}}');
      await until(() => /p .* true /.test(seen));
      const ended = new Promise((resolve) => watch.once("close", resolve));
      watch.kill();
      await ended;
      await kubectl("delete", "ippool", "p");
    });

    test("core kinds: create, cordon, taint, label, strategic patch of a Node; a namespace and a pod", async () => {
      await kubectl(
        "create",
        "-f",
        file("node.json", { apiVersion: "v1", kind: "Node", metadata: { name: "n9" }, status: { conditions: [{ type: "Ready", status: "True" }] } }),
      );
      expect((await kubectl("cordon", "n9")).out).toBe("node/n9 cordoned\n");
      expect((await kubectl("taint", "node", "n9", "a=b:NoSchedule")).out).toBe("node/n9 tainted\n");
      await kubectl("label", "node", "n9", "node-role.kubernetes.io/worker=");
      expect((await kubectl("get", "node", "n9", "--no-headers")).out).toMatch(/^n9 +Ready,SchedulingDisabled +worker +\d+s/);
      expect((await kubectl("patch", "node", "n9", "-p", '{"spec":{"unschedulable":null}}')).out).toBe("node/n9 patched\n");
      expect((await kubectl("delete", "node", "n9")).code).toBe(0);
      expect(await kubectl("create", "namespace", "x")).toEqual({ code: 0, out: "namespace/x created\n" });
      expect((await kubectl("run", "q", "-n", "x", "--image=none", "--restart=Never")).out).toBe("pod/q created\n");
      expect((await kubectl("delete", "ns", "x")).code).toBe(0);
      expect((await kubectl("get", "pods", "-A")).out).not.toContain("q ");
    });

    test("exec: output, input, exit code, and a clear word when it cannot be", async () => {
      const pod = (name: string, nodeName: string): object => ({
        apiVersion: "v1",
        kind: "Pod",
        metadata: { name },
        spec: { nodeName, containers: [{ name: "c", image: "i" }] },
      });
      await kubectl("apply", "-f", file("pod1.json", pod("pod1", "n1")), "-f", file("pod2.json", pod("pod2", "n2")));
      const agent = await fakeAgent(home.socket, "n1");
      try {
        expect(await kubectl("exec", "pod1", "--", "sh", "-c", "echo out; echo err >&2; exit 7")).toEqual({
          code: 7,
          out: "out\nerr\ncommand terminated with exit code 7\n",
        });
        expect(agent.opened.at(-1)).toEqual({
          type: "exec",
          namespace: "default",
          pod: "pod1",
          command: ["sh", "-c", "echo out; echo err >&2; exit 7"],
          tty: false,
          stdin: false,
          stdout: true,
          stderr: true,
        });
        const big = spawn("sh", ["-c", `head -c 20000000 /dev/zero | '${path}' exec -i pod1 -- cat | wc -c`], {
          env: { ...process.env, KUBECONFIG: home.kubeconfig, HOME: home.directory },
        });
        let counted = "";
        big.stdout.on("data", (d: Buffer) => (counted += d.toString()));
        await new Promise((resolve) => big.once("close", resolve));
        expect(counted.trim()).toBe("20000000");
        const long = spawn(path, ["exec", "pod1", "--", "sleep", "60"], {
          env: { ...process.env, KUBECONFIG: home.kubeconfig, HOME: home.directory },
        });
        await until(() => agent.running() === 1);
        long.kill("SIGKILL");
        // What ran for a client that is gone is ended.
        await until(() => agent.running() === 0);
      } finally {
        agent.close();
      }
      expect((await kubectl("exec", "pod2", "--", "true")).out).toContain(
        'the agent of node "n2", which runs pod "pod2", is not connected to this server',
      );
      expect((await kubectl("exec", "pod9", "--", "true")).out).toContain('pods "pod9" not found');
      await kubectl("delete", "pod", "pod1", "pod2");
    });
  });
});
