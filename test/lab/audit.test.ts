// The audit of a lab under trouble: what it must find, and when it must say that it cannot prove anything.
import { spawn } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { readCapture } from "../../src/capture/reader.ts";
import { enterMember, environment, type LabPod, nodeOf } from "../../src/lab/enter.ts";
import { allHandshaken } from "../../src/lab/exercise/devices.ts";
import { type LabHandle, startLab } from "../../src/lab/handle.ts";
import { run } from "../../src/sys/exec.ts";
import { describeRoot, TORTIE } from "../peers.ts";
import { commandOf, mark, until } from "./processes.ts";

describeRoot("audit of a lab", () => {
  const kept = mkdtempSync(join(tmpdir(), "tortie-test-"));
  let handle: LabHandle;
  const on = async (node: string, ...command: string[]): Promise<string> => {
    const [file, ...args] = [...enterMember(handle.lab, nodeOf(handle.lab, node)), ...command];
    return (await run(file, args, { env: environment(process.env, { own: true }) })).stdout;
  };
  const patch = (spec: object): Promise<string> => on("k8s-m", "calicoctl", "patch", "felixconfiguration", "default", "-p", JSON.stringify({ spec }));
  const start = (...more: string[]) => {
    const marked = mark({ TORTIE_LAB: String(handle.init.pid) });
    const child = spawn(process.execPath, [TORTIE, "audit", "--duration", "4", ...more], { env: marked.env });
    let text = "";
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
    const captures = (what: RegExp): number[] =>
      marked.pids().filter((p) => commandOf(p).startsWith(process.execPath) && commandOf(p).includes(" capture -i ") && what.test(commandOf(p)));
    /** How many packets its captures on the links inside have so far. */
    const controls = (): number[] =>
      readdirSync("/tmp")
        .filter((n) => n.startsWith(`tortie-audit-${child.pid}-`))
        .flatMap((d) => readdirSync(join("/tmp", d)).map((f) => join("/tmp", d, f)))
        .filter((f) => f.includes("control-"))
        .map((f) => readCapture(readFileSync(f)).packets.length);
    return {
      child,
      captures,
      output: () => text,
      code: new Promise((resolve) => child.once("close", resolve)),
      // One on the wires of every node, one on the links inside. When all of them have begun it sends, which those inside see.
      capturing: async () => {
        await until(
          "it captures on every node",
          () => captures(/wire-/).length === 4 && captures(/control-/).length === 4 && controls().length === 4,
        );
        await until("what it sends is captured", () => controls().every((n) => n > 0));
      },
    };
  };

  beforeAll(async () => {
    handle = await startLab({ main: TORTIE, outlives: false });
    expect(await patch({ wireguardEnabled: true })).toContain("Successfully patched");
    expect(await allHandshaken(handle.lab, 120_000)).toBeDefined();
  });
  afterAll(async () => {
    rmSync(kept, { recursive: true, force: true });
    await handle?.stop();
  });

  test("encrypted: a proof with its evidence, which can be kept and judged again", async () => {
    // Relative: the captures run on the nodes, where another directory is the current one.
    const audit = start("--save", relative(process.cwd(), kept));
    expect(await audit.code, audit.output()).toBe(0);
    const said = audit.output().replace(/\s+/g, " ");
    for (let i = 1; i <= 9; i++) expect(said).toContain(`P${i} ok`);
    expect(said).toMatch(/pod to pod, one subnet: 2 paths, 26 sent, [1-9]/);
    expect(said).toMatch(/pod to pod, across the router, closed port: 4 paths, 12 sent, [1-9]/);
    expect(said).toMatch(/pod to node: 9 paths/);
    expect(said).toMatch(/node to pod, one subnet: 4 paths/);
    expect(said).toMatch(/the detector found 14 of 14 built leaks/);
    expect(said).toMatch(/not probed: IPv6 between pods: no pod of this cluster has an IPv6 address/);
    expect(said).toMatch(/not probed: IPv6 between pods and nodes: no node of this cluster has an IPv6 address/);
    expect(said).toMatch(/not probed: services \(ClusterIP, NodePort, LoadBalancer, headless names\): this cluster has none/);
    expect(said).toMatch(/P2 ok .*the plain packet of pods that the audit itself sent by each wire is there \(4 of 4\)/);
    const again = spawnAudit(
      ...readdirSync(kept)
        .filter((f) => f.startsWith("wire-"))
        .map((f) => join(kept, f)),
      "--inventory",
      join(kept, "inventory.json"),
    );
    expect(await again.code, again.output()).toBe(0);
    // Without the other nodes' captures their links are not covered, and nothing is proven of what only they carry.
    const part = spawnAudit(join(kept, "wire-k8s-w1.pcapng"), "--inventory", join(kept, "inventory.json"), "-o", "json");
    expect(await part.code).toBe(3);
    expect((JSON.parse(part.output()) as { preconditions: { evidence: string }[] }).preconditions[0]!.evidence).toMatch(
      /not captured: (k8s-(m|w2|w0)\/ens5(; )?){3}$/,
    );
  });

  const spawnAudit = (...args: string[]) => {
    const child = spawn(process.execPath, [TORTIE, "audit", ...args]);
    let text = "";
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
    return { output: () => text, code: new Promise((resolve) => child.once("close", resolve)) };
  };

  test("a capture that is killed: nothing is proven", async () => {
    // Long enough that it still runs when it is killed.
    const audit = start("--duration", "12");
    await audit.capturing();
    process.kill(audit.captures(/wire-/)[0]!, "SIGKILL");
    expect(await audit.code, audit.output()).toBe(3);
    expect(audit.output()).toMatch(/P1 +missing[^]*broke off: it was killed/);
  });

  test("an audit that is killed leaves no capture, and the next one removes its files", async () => {
    const audit = start("--duration", "60");
    await audit.capturing();
    const files = (): string[] => readdirSync("/tmp").filter((n) => n.startsWith(`tortie-audit-${audit.child.pid}-`));
    expect(files()).toHaveLength(1);
    audit.child.kill("SIGKILL");
    await until("the captures end", () => audit.captures(/./).length === 0, 60_000);
    const next = start();
    expect(await next.code, next.output()).toBe(0);
    expect(files()).toEqual([]);
  });

  test("a node whose rule is gone leaks, and a second way off a node is watched", async () => {
    await on("k8s-w1", "ip", "link", "add", "ens6", "type", "veth", "peer", "name", "ens7");
    await on("k8s-w1", "ip", "link", "set", "ens6", "up");
    await on("k8s-w1", "ip", "rule", "del", "pref", "99");
    const audit = start();
    expect(await audit.code, audit.output()).toBe(2);
    expect(audit.output()).toMatch(/ROUTE_BYPASS[^]*k8s-w1 → k8s-w2: /);
    expect(audit.output()).toMatch(/OVERLAY_BYPASS[^]*k8s-w1 → k8s-w0: [^]*in vxlan/);
    expect(audit.output()).toMatch(/the marker between pods was readable in [1-9][0-9]* frames/);
    expect(audit.output()).toMatch(/P1 +ok [^]*k8s-w1\/ens6/);
    await on("k8s-w1", "ip", "link", "del", "ens6");
    await on("k8s-w1", "ip", "rule", "add", "not", "fwmark", "0x200000/0x200000", "table", "1", "pref", "99");
  });

  test("IPv6 that nobody declared: pods have it, the tunnel does not", async () => {
    const [one, two] = ["k8s-w1", "k8s-w2"].map((node) => handle.lab.pods.find((p) => p.node === node)!) as [LabPod, LabPod];
    const inside = (member: { readonly pid: number }, ...words: string[]): Promise<unknown> => {
      const [file, ...args] = [...enterMember(handle.lab, member), ...words];
      return run(file, args);
    };
    const wire = async (node: string): Promise<{ link: string; address: string }> => {
      const links = JSON.parse(await on(node, "ip", "-json", "-6", "address", "show", "scope", "link")) as {
        ifname: string;
        addr_info: { local: string }[];
      }[];
      const found = links.find((l) => !/^(cali|wireguard|vxlan)/.test(l.ifname))!;
      return { link: found.ifname, address: found.addr_info[0]!.local };
    };
    const ends = await Promise.all([one, two].map(async (pod, i) => ({ pod, address: `fd44:${i + 1}::9`, wire: await wire(pod.node) })));
    for (const [i, { pod, address, wire: own }] of ends.entries()) {
      const far = ends[1 - i]!;
      await inside(pod, "ip", "-6", "address", "add", `${address}/128`, "dev", "eth0", "nodad");
      await inside(pod, "ip", "-6", "route", "add", "default", "dev", "eth0");
      await on(pod.node, "sysctl", "-qw", "net.ipv6.conf.all.forwarding=1", `net.ipv6.conf.${pod.hostInterface}.proxy_ndp=1`);
      await on(pod.node, "ip", "-6", "route", "add", `${address}/128`, "dev", pod.hostInterface);
      await on(pod.node, "ip", "-6", "neigh", "add", "proxy", far.address, "dev", pod.hostInterface);
      await on(pod.node, "ip", "-6", "route", "add", `${far.address}/128`, "via", far.wire.address, "dev", own.link);
    }
    const audit = start();
    expect(await audit.code, audit.output()).toBe(2);
    const said = audit.output().replace(/\s+/g, " ");
    expect(said).toMatch(/pod to pod, IPv6, one subnet: 2 paths, 26 sent, [1-9][0-9]* arrived/);
    expect(said).toMatch(/the marker between pods was readable in [1-9][0-9]* frames/);
    expect(said).toMatch(
      /FAMILY_GAP: [^]*this address family has no WireGuard: [^]*k8s-w1 → k8s-w2: UDP \[fd44:1::9\]:40404 → \[fd44:2::9\]:40404, native/,
    );
    for (const { pod, address } of ends) {
      await inside(pod, "ip", "-6", "address", "del", `${address}/128`, "dev", "eth0");
      await on(pod.node, "ip", "-6", "route", "del", `${address}/128`);
    }
  });

  test("another interface name and port are no hindrance to a proof", async () => {
    await patch({ wireguardInterfaceName: "wgx", wireguardListeningPort: 51_900 });
    for (const n of handle.lab.nodes)
      await until(
        `wgx of ${n.name} has its peers`,
        async () => (await on(n.name, "wg", "show", "wgx", "latest-handshakes").catch(() => "")).match(/\t[1-9]/g)?.length === 3,
      );
    // Until then pods' packets go by the ordinary way.
    for (const n of handle.lab.nodes)
      await until(`everything of ${n.name} goes into wgx`, async () => {
        const [routes, rules] = [await on(n.name, "ip", "route", "show", "table", "1"), await on(n.name, "ip", "rule")];
        return (routes.match(/dev wgx/g)?.length ?? 0) >= 3 && /^99:/m.test(rules);
      });
    const audit = start();
    expect(await audit.code, audit.output()).toBe(0);
  });
});
