// Captures on several nodes at once, through their agents: one file, in order of time, whose parts say where they are from and what was lost.
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { follow } from "../../src/capture/fixtures.cases.ts";
import { type CaptureFile, readCapture } from "../../src/capture/reader.ts";
import { enterMember, environment, INSIDE, nodeOf, podOf } from "../../src/lab/enter.ts";
import { allHandshaken } from "../../src/lab/exercise/devices.ts";
import { type DaemonName, killDaemon } from "../../src/lab/kill.ts";
import { type LabHandle, startLab } from "../../src/lab/handle.ts";
import { run } from "../../src/sys/exec.ts";
import { rootOf } from "../../src/sys/ns.ts";
import { describeRoot, TORTIE } from "../peers.ts";
import { mark, until } from "./processes.ts";

/** Whether an object has these values, maybe among others. */
const isLike = (object: object, wanted: object): boolean => {
  const all = new Map<string, unknown>(Object.entries(object));
  return Object.entries(wanted).every(([name, value]) => (value === Number ? typeof all.get(name) === "number" : all.get(name) === value));
};

describeRoot("capture on nodes", () => {
  let handle: LabHandle;
  const directory = mkdtempSync(join(tmpdir(), "tortie-nodes-"));
  const within = async (argv: readonly [string, ...string[]], ...command: string[]): Promise<string> => {
    const [file, ...args] = [...argv, ...command];
    return (await run(file, args, { env: environment(process.env, { own: true }) })).stdout;
  };
  const on = (node: string, ...command: string[]): Promise<string> => within(enterMember(handle.lab, nodeOf(handle.lab, node)), ...command);
  const inPod = (pod: string, ...command: string[]): Promise<string> => within(enterMember(handle.lab, podOf(handle.lab, pod)), ...command);
  const address = (pod: string): string => handle.lab.pods.find((p) => p.name === pod)!.address;

  const start = (...args: string[]) => {
    const marked = mark({ TORTIE_LAB: String(handle.init.pid) });
    const child = spawn(process.execPath, [TORTIE, "capture", ...args], { env: marked.env });
    let text = "";
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
    const code = new Promise<number | null>((resolve) => child.once("close", resolve));
    return {
      child,
      code,
      output: () => text,
      listening: () => until(`it listens: ${text}`, () => /^listening on/m.test(text)),
    };
  };
  /** Ends it. What the nodes' kernels have taken comes all the same. */
  const stopped = async (capture: ReturnType<typeof start>, path: string): Promise<CaptureFile> => {
    capture.child.kill("SIGINT");
    expect(await capture.code, capture.output()).toBe(0);
    return readCapture(readFileSync(path));
  };

  /** The server writes a line with these down in its log. */
  const written = (line: object): Promise<void> =>
    until(`the server writes down ${JSON.stringify(line)}`, () => {
      const lines = readFileSync(`${rootOf(handle.init.pid)}${INSIDE.logs}/server`, "utf8").split("\n");
      return lines.filter((l) => l.startsWith("{") && l.endsWith("}")).some((l) => isLike(JSON.parse(l) as object, line));
    });
  const tortie = async (...args: string[]): Promise<{ code: number | null; out: string; err: string }> => {
    const child = spawn(process.execPath, [TORTIE, ...args], { env: mark({ TORTIE_LAB: String(handle.init.pid) }).env });
    let [out, err] = ["", ""];
    child.stdout.on("data", (d: Buffer) => (out += d.toString()));
    child.stderr.on("data", (d: Buffer) => (err += d.toString()));
    const code = await new Promise<number | null>((resolve) => child.once("close", resolve));
    return { code, out, err };
  };

  beforeAll(async () => {
    handle = await startLab({ main: TORTIE, outlives: false });
    await on("k8s-m", "calicoctl", "patch", "felixconfiguration", "default", "-p", JSON.stringify({ spec: { wireguardEnabled: true } }));
    expect(await allHandshaken(handle.lab, 120_000)).toBeDefined();
  });
  afterAll(async () => {
    await handle?.stop();
    rmSync(directory, { recursive: true });
  });

  test("all nodes into one file, in order of time: a ping is seen on its whole way", async () => {
    const path = join(directory, "all.pcapng");
    const take = async (): Promise<[CaptureFile, string]> => {
      const capture = start("--all-nodes", "-i", "ens5", "-i", "wireguard.cali", "-w", path, "icmp or udp port 51820");
      await capture.listening();
      await inPod("pod1", "ping", "-c", "3", "-i", "0.2", address("pod2"));
      return [await stopped(capture, path), capture.output()];
    };
    let [file, said] = await take();
    // A node that gives its packets more than 1.5 s late has lost its place among the others, and that is said: five times over is no accident.
    for (let n = 1; n < 5 && /came too late/.test(said); n++) [file, said] = await take();

    const names = file.interfaces.map((i) => i.name);
    expect(names.map(String).toSorted()).toEqual(handle.lab.nodes.flatMap((n) => [`${n.name}/ens5`, `${n.name}/wireguard.cali`]).toSorted());
    expect(file.interfaces.every((i) => /^the clock of k8s-\w+ was [\d.]+ ms (ahead of|behind)/.test(i.comments[0]!))).toBe(true);
    const times = file.packets.map((p) => p.time!);
    expect(times).toEqual(times.toSorted((a, b) => (a < b ? -1 : a > b ? 1 : 0)));
    expect(said).not.toMatch(/too late/);
    const way = file.packets.filter((p) => /k8s-w[12]/.test(p.iface.name!)).map((p) => p.iface.name!);
    const [w1, w2] = ["k8s-w1", "k8s-w2"];
    const there = [`${w1}/wireguard.cali`, `${w1}/ens5`, `${w2}/ens5`, `${w2}/wireguard.cali`];
    expect(way.slice(way.indexOf(there[0]!)).slice(0, 8)).toEqual([...there, ...there.toReversed()]);
    for (const s of file.statistics) {
      const taken = file.packets.filter((p) => p.iface.id === s.iface.id).length;
      expect(s).toMatchObject({ osDropped: 0n, accepted: BigInt(taken), delivered: BigInt(taken) });
    }
    expect(file.statistics).toHaveLength(8);
    expect(statSync(path).mode & 0o777).toBe(0o600);
  });

  test("its own way home is not in it", async () => {
    const path = join(directory, "home.pcapng");
    const capture = start("--node", "k8s-w1", "-i", "ens5", "--duration", "3", "-w", path);
    await capture.listening();
    expect(await capture.code, capture.output()).toBe(0);
    const file = readCapture(readFileSync(path));
    expect(file.interfaces[0]!.filter).toBe("not (host 192.168.10.1 and tcp port 6443)");
    expect(file.packets.filter((p) => p.originalLength > 600)).toEqual([]);
  });

  test.for<[DaemonName, string | undefined]>([
    ["agent", "k8s-w2"],
    ["server", undefined],
  ])("the %s is killed in the middle: that is said aloud, the capture goes on, and the file tells of the gap", async ([daemon, node]) => {
    const path = join(directory, `gone-${daemon}.pcapng`);
    const capture = start("--node", "k8s-w1", "--node", "k8s-w2", "-i", "wireguard.cali", "-w", path, "icmp");
    await capture.listening();
    const two = (): Promise<string> => inPod("pod1", "ping", "-c", "2", "-i", "0.2", address("pod2"));
    await two();
    // What a node has counted is heard of once a second.
    await until("all of it is heard of", async () => {
      capture.child.kill("SIGUSR1");
      await new Promise((r) => setTimeout(r, 200));
      return ["k8s-w1", "k8s-w2"].every((name) => new RegExp(`^ {2}${name}/wireguard\\.cali: 4 passed the filter`, "m").test(capture.output()));
    });
    await killDaemon(handle.lab, daemon, node);
    const said = (words: string): Promise<void> => until(`${words}: ${capture.output()}`, () => capture.output().includes(words));
    const lost = node === undefined ? ["k8s-w1", "k8s-w2"] : [node];
    for (const name of lost) await said(`The way to node "${name}" is lost: `);
    for (const name of lost) await said(`Node "${name}" is captured on again; what passed there in the `);
    await two();
    const file = await stopped(capture, path);
    for (const name of ["k8s-w1", "k8s-w2"]) {
      const packets = file.packets.filter((p) => p.iface.name === `${name}/wireguard.cali`);
      expect([name, packets.length]).toEqual([name, 8]);
      const gap = new RegExp(`^for [\\d.]+ s before this nothing was captured on ${name}: the way to it was lost$`);
      const told = packets.map((p) => p.comments.some((c) => gap.test(c)));
      expect([name, told]).toEqual([name, packets.map((_, i) => lost.includes(name) && i === 4)]);
      expect(file.statistics.findLast((s) => s.iface.name === `${name}/wireguard.cali`)).toMatchObject({
        accepted: 8n,
        delivered: 8n,
        osDropped: 0n,
      });
    }
  });

  test("a capture whose program ends on the node is over: with a sentence and exit code 1", async () => {
    const capture = start("--node", "k8s-w1", "-i", "lo", "-w", join(directory, "ended.pcapng"));
    await capture.listening();
    const pids = (await on("k8s-w1", "pgrep", "-f", "[c]apture -i lo")).trim().split("\n");
    await on("k8s-w1", "kill", "-KILL", ...pids);
    expect(await capture.code).toBe(1);
    expect(capture.output()).toMatch(/^Cannot go on capturing on node "k8s-w1": /m);
  });

  test("ping --node: from a node of the cluster, as text and as JSON, with ping's exit codes", async () => {
    const far = await tortie("ping", "--node", "k8s-w1", "-c", "2", address("pod2"));
    expect(far).toMatchObject({
      code: 0,
      err: "",
      out: expect.stringMatching(/^PING .*\n64 bytes from .*\n2 packets transmitted, 2 received, 0% packet loss/s) as string,
    });
    const json = await tortie("ping", "--node", "k8s-w1", "-c", "2", "-o", "json", address("pod2"));
    expect([json.code, JSON.parse(json.out)]).toEqual([0, expect.objectContaining({ address: address("pod2"), transmitted: 2, received: 2 })]);
    const nobody = await tortie("ping", "--node", "k8s-w9", address("pod2"));
    expect(nobody).toMatchObject({ code: 2, err: expect.stringContaining('nodes "k8s-w9" not found') as string });
  });

  test("--keys: the nodes' keys come with their packets, and the server writes down who asked", async () => {
    const path = join(directory, "keys.pcapng");
    const capture = start("--node", "k8s-w1", "-i", "ens5", "--keys", "-w", path, "udp port 51820");
    await capture.listening();
    await inPod("pod1", "ping", "-c", "3", "-i", "0.2", address("pod2"));
    // A busy machine may not end it in time.
    const status = (): Promise<string> => on("k8s-m", process.execPath, TORTIE, "status").catch(() => "");
    await until("the cluster knows", async () => /key log on: the WireGuard device of k8s-w1/.test((await status()).replaceAll(/\s+/g, " ")), 60_000);
    const file = await stopped(capture, path);
    expect(capture.output()).toMatch(/Keys of [1-9]\d* sessions? of the nodes' devices are in the file/);
    const { tracker } = follow(file);
    const decrypted = tracker.sessions.reduce((n, s) => n + s.counts.toInitiator.decrypted + s.counts.toResponder.decrypted, 0);
    expect(decrypted).toBeGreaterThanOrEqual(6);
    await written({ verb: "capture", keys: true });
  });

  test("a key log and an audit of a node, through its agent; the server writes down who asked", async () => {
    const path = join(directory, "w1.keys");
    const said = await tortie("keylog", "--node", "k8s-w1", "-i", "wireguard.cali", "--for", "2s", "-w", path);
    expect(said).toMatchObject({ code: 0, out: "" });
    expect(said.err).toContain("KEY LOG ON: the keys of wireguard.cali go to standard output, for 2 s");
    expect(statSync(path).mode & 0o777).toBe(0o600);
    const audit = await tortie("audit", "--node", "k8s-w1", "--duration", "2", "-o", "json");
    expect([0, 2, 3]).toContain(audit.code);
    expect(Object.keys(JSON.parse(audit.out) as object)).toContain("verdict");
    for (const verb of ["keylog", "audit"]) await written({ verb, ended: true, node: "k8s-w1", bytesToClient: Number });
    expect(await tortie("keylog", "--node", "k8s-w1", "-w", path)).toMatchObject({
      code: 1,
      err: expect.stringContaining("without an end") as string,
    });
    expect(await tortie("audit", "--node", "k8s-w1", "--html", "x")).toMatchObject({ code: 1, err: expect.stringContaining("--html") as string });
  });

  test("a key log of a node has the keys of a handshake that is made meanwhile, and they open what a capture has of it", async () => {
    const [keys, wire] = [join(directory, "fresh.keys"), join(directory, "fresh.pcapng")];
    const log = spawn(process.execPath, [TORTIE, "keylog", "--node", "k8s-w1", "-i", "wireguard.cali", "--for", "5m", "-w", keys], {
      env: mark({ TORTIE_LAB: String(handle.init.pid) }).env,
    });
    let said = "";
    log.stderr.on("data", (d: Buffer) => (said += d.toString()));
    const code = new Promise<number | null>((resolve) => log.once("close", resolve));
    await until(`it is on: ${said}`, () => said.includes("KEY LOG ON"), 30_000);
    const capture = start("--node", "k8s-w1", "-i", "ens5", "-w", wire, "udp port 51820");
    await capture.listening();
    // Whoever loses its sessions makes new ones.
    await killDaemon(handle.lab, "device", "k8s-w2");
    await until(
      "pod1 reaches pod2 again",
      async () => (await inPod("pod1", "ping", "-c", "1", "-W", "1", address("pod2")).catch(() => "")).includes(" 0% packet loss"),
      60_000,
    );
    await inPod("pod1", "ping", "-c", "3", "-i", "0.2", address("pod2"));
    const file = await stopped(capture, wire);
    log.kill("SIGINT");
    expect(await code, said).toBe(0);
    expect(follow(file).tracker.sessions.every((s) => s.counts.toInitiator.decrypted + s.counts.toResponder.decrypted === 0)).toBe(true);
    const { tracker } = follow(file, readFileSync(keys, "utf8"));
    const opened = tracker.sessions.reduce((n, s) => n + s.counts.toInitiator.decrypted + s.counts.toResponder.decrypted, 0);
    expect(opened).toBeGreaterThanOrEqual(6);
  });

  test("nothing stays on a node when this end is killed", async () => {
    const running = (): Promise<string> => on("k8s-w1", "sh", "-c", "pgrep -fc '[c]apture -i lo' || true");
    const capture = start("--node", "k8s-w1", "-i", "lo", "-w", join(directory, "killed.pcapng"));
    await capture.listening();
    expect(Number(await running())).toBeGreaterThan(0);
    capture.child.kill("SIGKILL");
    await until("the node's capture ends", async () => Number(await running()) === 0);
  });

  describe("refusals in words", () => {
    test.for<[string[], RegExp]>([
      [["--node", "k8s-w1", "-i", "eth9"], /Cannot capture on node "k8s-w1": Cannot capture on "eth9": there is no such interface/],
      [["--node", "k8s-w9", "-i", "ens5"], /Cannot capture on node "k8s-w9": nodes "k8s-w9" not found/],
      [["--node", "k8s-w1", "-i", "ens5", "udp", "51820"], /did you mean `udp port 51820`/],
      [["--node", "k8s-w1", "-i", "ens5", "--keys", "--existing"], /Cannot choose among the keys of other nodes/],
    ])("%j", async ([args, words]) => {
      const capture = start(...args);
      expect(await capture.code).toBe(1);
      expect(capture.output()).toMatch(words);
    });
    test("a node may not see another's packets, nor its own through the API", async () => {
      const kubeconfig = "/var/lib/tortie/agent.kubeconfig";
      const refused = await on(
        "k8s-w2",
        "sh",
        "-c",
        `${process.execPath} ${TORTIE} capture --node k8s-w1 -i ens5 --kubeconfig ${kubeconfig} 2>&1 || true`,
      );
      expect(refused).toMatch(/User "system:node:k8s-w2" cannot create resource "nodes\/capture" in API group "tortie.io"/);
    });
  });
});
