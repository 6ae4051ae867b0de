// The audit of a lab under trouble: what it must find, and when it must say that it cannot prove anything.
import { spawn } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { enterMember, environment, nodeOf } from "../../src/lab/enter.ts";
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
    const files = (): number =>
      readdirSync("/tmp")
        .filter((n) => n.startsWith(`tortie-audit-${child.pid}-`))
        .reduce((n, directory) => n + readdirSync(join("/tmp", directory)).length, 0);
    return {
      child,
      captures,
      output: () => text,
      code: new Promise((resolve) => child.once("close", resolve)),
      // One on the wires of every node, one on the links inside; their files are there when they begin.
      capturing: () =>
        until("it captures on every node", () => captures(/wire-/).length === 4 && captures(/control-/).length === 4 && files() === 8, 60_000),
    };
  };

  beforeAll(async () => {
    handle = await startLab({ main: TORTIE, outlives: false });
    expect(await patch({ wireguardEnabled: true })).toContain("Successfully patched");
    expect(await allHandshaken(handle.lab, 30_000)).toBeDefined();
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
    expect(said).toMatch(/IPv6: no pod has an IPv6 address/);
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
    expect((JSON.parse(part.output()) as { preconditions: { evidence: string }[] }).preconditions[0]!.evidence).toMatch(/k8s-w2|k8s-w0|k8s-m/);
  });

  const spawnAudit = (...args: string[]) => {
    const child = spawn(process.execPath, [TORTIE, "audit", ...args]);
    let text = "";
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
    return { output: () => text, code: new Promise((resolve) => child.once("close", resolve)) };
  };

  test("a capture that is killed: nothing is proven", async () => {
    const audit = start();
    await audit.capturing();
    await new Promise((r) => setTimeout(r, 1_500));
    process.kill(audit.captures(/wire-/)[0]!, "SIGKILL");
    expect(await audit.code, audit.output()).toBe(3);
    expect(audit.output()).toMatch(/P1 +missing[^]*broke off: it was killed/);
  });

  test("an audit that is killed leaves no capture, and the next one removes its files", async () => {
    const audit = start();
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

  test("another interface name and port are no hindrance to a proof", async () => {
    await patch({ wireguardInterfaceName: "wgx", wireguardListeningPort: 51_900 });
    for (const n of handle.lab.nodes)
      await until(
        `wgx of ${n.name} has its peers`,
        async () => (await on(n.name, "wg", "show", "wgx", "peers").catch(() => "")).split("\n").length === 4,
        60_000,
      );
    const audit = start();
    expect(await audit.code, audit.output()).toBe(0);
  });
});
