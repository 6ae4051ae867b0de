// A cluster for tests of the agent: real server, agents and devices in namespaces of a process tree of its own, which ends with the test. The network is
// the lab's: nodes in two subnets joined by a router. Every wait is for a condition.
//
//      n1 ── br-a ── router (API server) ── br-b ── n3
//      n2 ──┘
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, openSync, readFileSync, readlinkSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { assignPodAddress } from "../../src/agent/ipam/index.ts";
import { FELIX_CONFIGURATION, type FelixConfigurationSpec } from "../../src/api/felixconfiguration.ts";
import { IP_POOL } from "../../src/api/ippool.ts";
import { NODE_ENCRYPTION } from "../../src/api/nodeencryption.ts";
import { connectToSocket } from "../../src/client/node.ts";
import type { RestClient } from "../../src/client/rest.ts";
import { nodeSetup, podSetup, routerSetup, toScript } from "../../src/lab/links.ts";
import type { Model, NodeModel, PodModel, Subnet } from "../../src/lab/model.ts";
import { childrenOf, processes, rootOf } from "../../src/sys/ns.ts";
import { initOf, startTree } from "../../src/sys/tree.ts";
import { TORTIE } from "../peers.ts";

const A: Subnet = { name: "A", bridge: "br-a", gateway: "192.168.10.1", prefix: 24 };
const B: Subnet = { name: "B", bridge: "br-b", gateway: "192.168.20.1", prefix: 24 };
const URL = "https://192.168.10.1:6443";

export const MODEL: Model = {
  subnets: [A, B],
  nodes: [
    { name: "n1", address: "192.168.10.11", subnet: A },
    { name: "n2", address: "192.168.10.12", subnet: A },
    { name: "n3", address: "192.168.20.13", subnet: B },
  ],
  pods: [],
};

/** A process that holds namespaces, by its number on the host. */
type Member = { readonly name: string; readonly pid: number };
export type TestPod = Member & { readonly address: string; readonly node: string };

export async function until<T>(what: string, look: () => T | Promise<T>, timeoutMs = 60_000): Promise<NonNullable<T>> {
  for (const end = performance.now() + timeoutMs; ;) {
    let found: T | undefined;
    let why = "";
    try {
      found = await look();
    } catch (e) {
      why = `: ${(e as Error).message}`;
    }
    if (found !== undefined && found !== null && found !== false) return found;
    if (performance.now() > end) throw new Error(`Waited ${timeoutMs} ms in vain: ${what}${why}`);
    await sleep(20);
  }
}

export class Cluster {
  readonly directory: string = mkdtempSync(join(tmpdir(), "tortie-agent-test-"));
  readonly members = new Map<string, Member>();
  readonly #agents = new Map<string, ChildProcess>();
  readonly #everything = new Set<ChildProcess>();
  #tree: ChildProcess | undefined;
  #init = 0;
  client!: RestClient;

  /** Namespaces, server and pool; agents are started one by one, or all by startAgents(). */
  async start(): Promise<void> {
    // Its last word is a file on its own /run: a member made before that would keep the host's /proc, in which a pod's process has another number.
    const setup = "mount --make-rprivate /; mount -t tmpfs tmpfs /run; ip link set lo up; mkdir /run/tortie; : >/run/tree-is-set-up";
    const tree = startTree({ setup, main: ["sleep", "infinity"], stdio: "ignore", env: process.env, dieWithCaller: true });
    this.#tree = tree;
    this.#everything.add(tree);
    this.#init = (await initOf(tree)).pid;
    await until("the router's namespace", () => existsSync(`${rootOf(this.#init)}/run/tree-is-set-up`));
    for (const n of MODEL.nodes) await this.#hold(n.name);
    const pids = new Map([...this.members].map(([name, m]) => [name, m.pid]));
    this.#script(this.#init, toScript(routerSetup(MODEL, pids)));
    for (const n of MODEL.nodes) this.#script(pids.get(n.name)!, toScript(nodeSetup(n)));
    await this.startServer();
    await this.client.create(IP_POOL, {
      apiVersion: "projectcalico.org/v3",
      kind: "IPPool",
      metadata: { name: "pool" },
      spec: { cidr: "172.16.0.0/16", blockSize: 24, vxlanMode: "CrossSubnet" },
    });
    await this.configure("default", {});
  }

  get data(): string {
    return join(this.directory, "server");
  }

  #server: ChildProcess | undefined;

  /** SIGTERM, and waits for its end. */
  async stopServer(): Promise<void> {
    const ended = new Promise((resolve) => this.#server!.once("exit", resolve));
    for (const pid of childrenOf(this.#server!.pid!)) process.kill(pid, "SIGTERM");
    await ended;
  }

  async startServer(): Promise<void> {
    const socket = join(this.directory, "api.sock");
    const args = ["server", "--data", this.data, "--listen", "192.168.10.1:6443", "--kubeconfig", join(this.directory, "admin"), "--socket", socket];
    await this.client?.close();
    this.#server = this.#spawn("server", this.#enter(this.#init, ["--pid", "--net", "--mount"]), args);
    this.client = connectToSocket(socket);
    await until("the server to answer", async () => (await this.client.list(FELIX_CONFIGURATION)).items);
  }

  /** Creates or changes a FelixConfiguration. */
  async configure(
    name: string,
    spec: FelixConfigurationSpec | { [K in keyof FelixConfigurationSpec]: FelixConfigurationSpec[K] | null },
  ): Promise<void> {
    const patch = (): Promise<unknown> => this.client.patch(FELIX_CONFIGURATION, name, { spec }, { type: "merge" });
    await patch().catch(async () => {
      const empty = { apiVersion: "projectcalico.org/v3", kind: "FelixConfiguration", metadata: { name }, spec: {} };
      await this.client.create(FELIX_CONFIGURATION, empty).catch(() => {});
      await patch();
    });
  }

  /** The agent of a node that joins by a token before its first start. */
  startAgent(name: string, more: readonly string[] = []): ChildProcess {
    const kubeconfig = join(this.directory, `${name}.kubeconfig`);
    const enter = this.#enter(this.members.get(name)!.pid, ["--pid", "--net", "--mount", "--uts"]);
    if (!existsSync(kubeconfig)) {
      const where = ["--data", this.data, "--socket", join(this.directory, "api.sock")];
      const token = execFileSync(process.execPath, [TORTIE, "server", "token", "create", ...where, "--node", name], {
        stdio: ["ignore", "pipe", "ignore"],
      });
      const joining = ["agent", "join", URL, "--token-file", "-", "--kubeconfig", kubeconfig];
      execFileSync("nsenter", [...enter, process.execPath, TORTIE, ...joining], { input: token, stdio: ["pipe", "ignore", "inherit"] });
    }
    const agent = this.#spawn(`agent-${name}`, enter, ["agent", "--node", name, "--kubeconfig", kubeconfig, ...more]);
    this.#agents.set(name, agent);
    return agent;
  }

  /** All agents, until each has reported and has its plain routes. */
  async startAgents(): Promise<void> {
    for (const n of MODEL.nodes) this.startAgent(n.name);
    await until("every agent's report and plain routes", async () => {
      const reports = (await this.client.list(NODE_ENCRYPTION)).items.filter((r) => r.status);
      return (
        reports.length === MODEL.nodes.length &&
        MODEL.nodes.every((n) => this.on(n.name, "ip route").match(/172\.16\.\d+\.0\/24 via/g)?.length === MODEL.nodes.length - 1)
      );
    });
  }

  /** SIGKILL to the agent itself, not to the nsenter before it. */
  async killAgent(name: string): Promise<void> {
    const agent = this.#agents.get(name)!;
    const ended = new Promise((resolve) => agent.once("exit", resolve));
    for (const pid of this.pidsOf(name, "agent")) process.kill(pid, "SIGKILL");
    await ended;
  }

  /** Numbers on the host of a node's `tortie WHAT` processes. */
  pidsOf(node: string, what: "agent" | "device"): number[] {
    const net = readlinkSync(`/proc/${this.members.get(node)!.pid}/ns/net`);
    return processes()
      .filter(
        (p) => p.net === net && (p.args[0] === process.execPath ? p.args.includes(what) : what === "device" && p.args[0]!.endsWith("/wireguard-go")),
      )
      .map((p) => p.pid);
  }

  killDevice(node: string): void {
    for (const pid of this.pidsOf(node, "device")) process.kill(pid, "SIGKILL");
  }

  /** A pod as the CNI plug-in makes it. */
  async pod(name: string, node: string, given?: { address: string }): Promise<TestPod> {
    const member = await this.#hold(name);
    const address = given?.address ?? (await assignPodAddress(this.client, { node, namespace: "default", pod: name })).address;
    const model: PodModel = { namespace: "default", name, node };
    const setup = podSetup({ ...model, pid: member.pid, address });
    const host = this.members.get(node)!;
    this.#script(host.pid, toScript(setup.node));
    this.#script(member.pid, toScript(setup.pod));
    const file = `${rootOf(host.pid)}/run/tortie/pods/default/${name}.pid`;
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, `${/^NSpid:.*?(\d+)$/m.exec(readFileSync(`/proc/${member.pid}/status`, "utf8"))![1]}\n`);
    return { ...member, address, node };
  }

  /** A file of /proc/net on a node or pod. */
  net(name: string, file: string): string {
    return readFileSync(`/proc/${this.members.get(name)!.pid}/net/${file}`, "utf8");
  }

  /** Output of a shell command on a node or pod. */
  on(name: string, command: string): string {
    return this.sh(this.members.get(name)!, command);
  }
  sh(member: Member, command: string): string {
    const args = [...this.#enter(member.pid, ["--net", "--mount", "--uts"]), "sh", "-c", command];
    return execFileSync("nsenter", args, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
  }
  /** A command that goes on while the test does. */
  run(name: string, command: string): ChildProcess {
    const args = [...this.#enter(this.members.get(name)!.pid, ["--net", "--mount", "--uts"]), "sh", "-c", command];
    const child = spawn("nsenter", args, { stdio: ["ignore", "pipe", "pipe"] });
    this.#everything.add(child);
    return child;
  }

  /** Pings each of these for a while; gives how many answers are missing in all. */
  async pinging(from: string, to: readonly string[], count: number, interval: number): Promise<number> {
    const [sent, before] = [count * to.length, this.#replies(from)];
    await Promise.all(to.map((a) => once(this.run(from, `exec ping -q -n -i ${interval} -c ${count} -W 1 ${a} >/dev/null`), "exit")));
    // A ping that has had answers waits for its last one hardly longer than its interval, whatever -W says; the kernel counts what came after it left.
    let missing = sent - (this.#replies(from) - before);
    for (
      const end = performance.now() + 2_000;
      missing > 0 && missing < sent && performance.now() < end;
      missing = sent - (this.#replies(from) - before)
    )
      await sleep(20);
    return missing;
  }

  /** Echo replies that the kernel of a node or pod has heard so far. */
  #replies(name: string): number {
    const [names, values] = [...this.net(name, "snmp").matchAll(/^Icmp: (.*)$/gm)].map((m) => m[1]!.split(" "));
    return Number(values![names!.indexOf("InEchoReps")]);
  }

  /** Handshakes of all ordered pairs, as the devices say. */
  handshakes(nodes: readonly string[] = MODEL.nodes.map((n) => n.name)): number {
    return nodes.reduce((sum, n) => {
      const lines = this.on(n, "wg show all latest-handshakes").trim().split("\n");
      return sum + lines.filter((l) => /\t[1-9]\d*$/.test(l)).length;
    }, 0);
  }

  log(name: string): string {
    return readFileSync(join(this.directory, `${name}.log`), "utf8");
  }

  /** Ends everything; the kernel takes the namespaces. */
  async stop(): Promise<void> {
    await this.client?.close();
    const running = [...this.#everything].filter((c) => c.exitCode === null && c.signalCode === null);
    const ends = new Map(running.map((c) => [c, once(c, "exit")]));
    if (this.#init > 0) {
      try {
        process.kill(this.#init, "SIGKILL");
        // Who started the tree ends when all of it is gone.
        await ends.get(this.#tree!);
      } catch {
        // it is gone
      }
    }
    for (const child of running) child.kill("SIGKILL");
    await Promise.all(ends.values());
    rmSync(this.directory, { recursive: true, force: true });
  }

  /** nsenter's arguments: namespaces of one process, and on request the process numbers of the tree. */
  #enter(pid: number, kinds: readonly string[]): string[] {
    const paths: Record<string, string> = {
      "--pid": `${this.#init}/ns/pid`,
      "--net": `${pid}/ns/net`,
      "--mount": `${pid}/ns/mnt`,
      "--uts": `${pid}/ns/uts`,
    };
    return [...kinds.map((k) => `${k}=/proc/${paths[k]}`), "--"];
  }

  #script(pid: number, text: string): void {
    execFileSync("nsenter", [...this.#enter(pid, ["--net"]), "sh", "-es"], { input: text, stdio: ["pipe", "pipe", "pipe"] });
  }

  #spawn(name: string, enter: readonly string[], args: readonly string[]): ChildProcess {
    const log = openSync(join(this.directory, `${name}.log`), "a");
    const child = spawn("nsenter", [...enter, process.execPath, TORTIE, ...args], { stdio: ["ignore", log, log] });
    this.#everything.add(child);
    return child;
  }

  /** A process in new network, mount and UTS namespaces of the tree, with a /run and /var/lib/calico of its own. */
  async #hold(name: string): Promise<Member> {
    const prepare = `mount -t tmpfs tmpfs /run; mkdir -p /var/lib/calico; mount -t tmpfs tmpfs /var/lib/calico; hostname ${name}; echo ready; exec sleep infinity`;
    const enter = this.#enter(this.#init, ["--pid", "--mount"]);
    const args = [...enter, "unshare", "--net", "--mount", "--uts", "--", "sh", "-ec", prepare];
    const child = spawn("nsenter", args, { stdio: ["ignore", "pipe", "inherit"] });
    this.#everything.add(child);
    await new Promise((resolve, reject) => {
      child.stdout.once("data", resolve);
      child.once("exit", () => reject(new Error(`Cannot make ${name}`)));
    });
    // nsenter into a PID namespace forks: the member is its child.
    const pid = childrenOf(child.pid!)[0]!;
    const member = { name, pid };
    this.members.set(name, member);
    return member;
  }
}

export const nodeModel = (name: string): NodeModel => MODEL.nodes.find((n) => n.name === name)!;
