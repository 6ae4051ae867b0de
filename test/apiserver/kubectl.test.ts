// The real kubectl on our server: the current release where scripts/peers put it, else the system's.
import { spawn } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { describeWith } from "../peers.ts";
import { fakeAgent } from "./fakeagent.ts";
import { KUBECTLS, runKubectl } from "./kubectls.ts";
import { ask, ServerHome, until } from "./process.ts";

/** A test that does not exist for a release that cannot do what it is about: nothing is left out that could be run. */
const testIf = (does: boolean): ((title: string, body: () => Promise<void>) => void) => (does ? test : () => {});

describeWith(["kubectl"], "kubectl", () => {
  let home: ServerHome;
  beforeAll(async () => {
    home = new ServerHome();
    await home.start();
  });
  afterAll(() => home.remove());

  describe.each(KUBECTLS)("$name", (program) => {
    const { path, minor } = program;
    // Before 1.29 kubectl validates by OpenAPI v2, which we do not have; before 1.30 exec is SPDY.
    const [validates, websocket] = [minor >= 29, minor >= 30];
    const asIs = validates ? [] : ["--validate=false"];

    type Ran = { code: number; out: string };
    async function kubectl(...args: string[]): Promise<Ran> {
      const { code, out, err } = await runKubectl(program, args, { kubeconfig: home.kubeconfig, home: home.directory });
      return { code, out: out + err };
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

    testIf(validates)("apply, diff, get, describe, label, wait, explain, delete of a Calico kind", async () => {
      expect((await kubectl("apply", "-f", file("pool.json", pool({ vxlanMode: "Always" })))).out).toBe("ippool.projectcalico.org/p created\n");
      const changed = file("pool.json", pool({ vxlanMode: "CrossSubnet" }));
      expect((await kubectl("diff", "-f", changed)).code).toBe(1);
      expect((await kubectl("apply", "-f", changed)).out).toBe("ippool.projectcalico.org/p configured\n");
      expect((await kubectl("apply", "-f", changed)).out).toBe("ippool.projectcalico.org/p unchanged\n");
      expect((await kubectl("get", "ippools")).out).toMatch(
        /^NAME +CIDR +VXLAN +IPIP +NAT +ALLOCATABLE +AGE\np +10\.0\.0\.0\/16 +CrossSubnet +\d+s\n$/,
      );
      expect((await kubectl("describe", "ippool", "p")).out).toContain("Vxlan Mode:       CrossSubnet");
      expect((await kubectl("label", "ippool", "p", "a=b")).out).toBe("ippool.projectcalico.org/p labeled\n");
      expect((await kubectl("get", "ippool", "-l", "a=b", "-o", "name")).out).toBe("ippool.projectcalico.org/p\n");
      expect((await kubectl("wait", "ippool", "p", "--for=jsonpath={.spec.vxlanMode}=CrossSubnet", "--timeout=60s")).code).toBe(0);
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
      await kubectl("apply", ...asIs, "-f", file("pool.json", pool({})));
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

    testIf(validates)("core kinds: create, cordon, taint, label, strategic patch of a Node; a namespace and a pod", async () => {
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

    testIf(websocket)("every way to print", async () => {
      await kubectl("create", "configmap", "c1", "--from-literal=a=b", "--from-literal=c=d");
      const get = async (...args: string[]): Promise<string> => (await kubectl("get", ...args)).out;
      expect(await get("cm", "c1", "-o", "jsonpath={.data.a}")).toBe("b");
      expect(JSON.parse(await get("cm", "c1", "-o", "json"))).toMatchObject({ apiVersion: "v1", kind: "ConfigMap", data: { a: "b", c: "d" } });
      expect(JSON.parse(await get("cm", "-o", "json"))).toMatchObject({ apiVersion: "v1", kind: "List", items: [{ kind: "ConfigMap" }] });
      expect(await get("cm", "-o", "name")).toBe("configmap/c1\n");
      expect(await get("cm", "-o", "custom-columns=N:.metadata.name,A:.data.a")).toMatch(/^N +A\nc1 +b\n$/);
      expect(await get("cm", "c1", "-o", "go-template={{len .data}}")).toBe("2");
      expect(await get("cm,ns", "-o", "name")).toContain("configmap/c1\nnamespace/calico-system\n");
      expect(await get("cm", "c1", "--show-labels", "--no-headers")).toMatch(/^c1 +2 +\d+s +<none>\n$/);
      expect(await get("--raw", "/healthz")).toBe("ok");
      expect((await kubectl("describe", "cm", "c1")).out).toMatch(/^Name: +c1\nNamespace: +default\n[^]*\nData\n====\na:\n----\nb\n/);
      expect(
        (await kubectl("apply", "--dry-run=server", "-f", file("cm.json", { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "c2" } }))).out,
      ).toBe("configmap/c2 created (server dry run)\n");
      expect(await get("cm", "c2", "--ignore-not-found")).toBe("");
      expect((await kubectl("patch", "cm", "c1", "-p", '{"data":{"a":null}}')).out).toBe("configmap/c1 patched\n");
      expect((await kubectl("patch", "cm", "c1", "--type=json", "-p", '[{"op":"test","path":"/data/c","value":"x"}]')).code).toBe(1);
      expect((await kubectl("annotate", "cm", "c1", "k=v")).out).toMatch(/^configmap\/c1 annotated?\n$/);
      expect((await kubectl("label", "cm", "c1", "l=m")).out).toBe("configmap/c1 labeled\n");
      expect((await kubectl("label", "cm", "c1", "l-")).out).toBe("configmap/c1 unlabeled\n");
      expect((await kubectl("delete", "cm", "--all")).out).toMatch(/^configmap "c1" deleted/);
      const resources = (await kubectl("api-resources")).out;
      expect(resources).toMatch(/^NAME +SHORTNAMES +APIVERSION +NAMESPACED +KIND$/m);
      for (const line of [
        /^nodes +no +v1 +false +Node$/m,
        /^ippools +projectcalico.org\/v3 +false +IPPool$/m,
        /^leases +coordination.k8s.io\/v1 +true +Lease$/m,
      ])
        expect(resources).toMatch(line);
    });

    testIf(websocket)("what happened: events, beside what they are about", async () => {
      await kubectl("run", "busy", "--image=none", "--restart=Never");
      const uid = (await kubectl("get", "pod", "busy", "-o", "jsonpath={.metadata.uid}")).out;
      const event = {
        apiVersion: "v1",
        kind: "Event",
        metadata: { name: "busy.1" },
        involvedObject: { apiVersion: "v1", kind: "Pod", namespace: "default", name: "busy", uid },
        reason: "Tried",
        message: "it was tried",
        type: "Warning",
        count: 3,
        firstTimestamp: new Date().toISOString().replace(/\.\d+/, ""),
        lastTimestamp: new Date().toISOString().replace(/\.\d+/, ""),
        source: { component: "tester" },
      };
      expect((await kubectl("create", "-f", file("event.json", event))).out).toBe("event/busy.1 created\n");
      expect((await kubectl("get", "events")).out).toMatch(
        /^LAST SEEN +TYPE +REASON +OBJECT +MESSAGE\n\d+s +Warning +Tried +pod\/busy +it was tried\n$/,
      );
      expect((await kubectl("describe", "pod", "busy")).out).toMatch(/^ +Warning +Tried +\d+s \(x3 over \d+s\) +tester +it was tried$/m);
      expect((await kubectl("events", "--for", "pod/busy")).out).toMatch(/Warning +Tried +Pod\/busy +it was tried$/m);
      const waiting = kubectl("wait", "--for=delete", "pod/busy", "--timeout=120s");
      expect((await kubectl("delete", "pod", "busy", "--now")).code).toBe(0);
      expect((await waiting).code).toBe(0);
      if (minor >= 31) {
        const created = kubectl("wait", "--for=create", "pod/later", "--timeout=120s");
        await kubectl("run", "later", "--image=none", "--restart=Never");
        expect((await created).out).toBe("pod/later condition met\n");
        await kubectl("delete", "pod", "later");
      }
      expect(await kubectl("wait", "--for=condition=Ready", "pod/never", "--timeout=1s")).toEqual({
        code: 1,
        out: 'Error from server (NotFound): pods "never" not found\n',
      });
      await kubectl("delete", "event", "busy.1");
    });

    testIf(websocket)("drain empties a node, and says what is in its way", async () => {
      await kubectl("create", "-f", file("node.json", { apiVersion: "v1", kind: "Node", metadata: { name: "full" } }));
      const pod = { apiVersion: "v1", kind: "Pod", metadata: { name: "lone" }, spec: { nodeName: "full", containers: [{ name: "c", image: "i" }] } };
      await kubectl("create", "-f", file("lone.json", pod));
      const refused = await kubectl("drain", "full", "--ignore-daemonsets");
      expect([refused.code, refused.out]).toEqual([1, expect.stringContaining("default/lone") as string]);
      const draining = kubectl("drain", "full", "--ignore-daemonsets", "--force");
      const at = "/api/v1/namespaces/default/pods/lone";
      await until(async () => (await ask(home.socket, at)).body.includes('"deletionGracePeriodSeconds":30'), 30_000);
      // Who runs the pod has ended it.
      expect((await ask(home.socket, `${at}?gracePeriodSeconds=0`, { method: "DELETE" })).code).toBe(200);
      const drained = await draining;
      expect([drained.code, drained.out]).toEqual([0, expect.stringMatching(/^node\/full drained$/m) as string]);
      expect((await kubectl("get", "pods", "-o", "name")).out).not.toContain("lone");
      expect((await kubectl("uncordon", "full")).out).toBe("node/full uncordoned\n");
      await kubectl("delete", "node", "full");
    });

    testIf(websocket)("exec: output, input, exit code, and a clear word when it cannot be", async () => {
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
      // Nobody here ends them.
      await kubectl("delete", "pod", "pod1", "pod2", "--force");
    });

    testIf(!websocket)("exec over SPDY is refused with the release that is needed", async () => {
      const agent = await fakeAgent(home.socket, "n1");
      const pod = { apiVersion: "v1", kind: "Pod", metadata: { name: "pod1" }, spec: { nodeName: "n1", containers: [{ name: "c", image: "i" }] } };
      await kubectl("create", ...asIs, "-f", file("pod1.json", pod));
      expect((await kubectl("exec", "pod1", "--", "true")).out).toContain("exec needs kubectl 1.30 or newer");
      await kubectl("delete", "pod", "pod1", "--force", "--grace-period=0");
      agent.close();
    });
  });
});
