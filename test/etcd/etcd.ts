// A real etcd on loopback, of one or more members, for tests and benchmarks.
import { type ChildProcess, execFile, execFileSync, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { describe } from "vitest";
import { type Identity, openAuthority } from "../../src/apiserver/identity/authority.ts";
import { silent } from "../../src/base/log.ts";
import { type Endpoint, parseEndpoints } from "../../src/store/etcd/endpoints.ts";
import { Keyspace } from "../../src/store/etcd/keyspace.ts";
import { checkVersion, Member, type TlsFiles } from "../../src/store/etcd/member.ts";
import { type EtcdOptions, EtcdStore } from "../../src/store/etcd/store.ts";
import { find } from "../peers.ts";
import { freePorts } from "../ports.ts";

/** The etcd that is here, or why none can be used. */
function usable(): { path: string } | { why: string } {
  const path = find("etcd");
  if (!path) return { why: "no etcd here; scripts/peers brings a current one" };
  const version = /etcd Version: (\S+)/.exec(execFileSync(path, ["--version"], { encoding: "utf8" }))?.[1] ?? "";
  try {
    checkVersion(path, version);
    return { path };
  } catch {
    return { why: `${path} is version ${version}; scripts/peers brings a current one` };
  }
}

/** describe() for tests that need an etcd; skipped aloud without one. */
export function describeEtcd(title: string, body: () => void): void {
  const etcd = usable();
  if ("path" in etcd) return void describe(title, body);
  describe.skip(`${title} [skipped: ${etcd.why}]`, body);
}

/** `names`: what the members' certificates are for; the first of them is used here. */
export type EtcdStart = { members?: number; tls?: boolean; names?: readonly [string, ...string[]]; flags?: readonly string[] };
type Running = { readonly name: string; readonly client: string; readonly peer: string; child: ChildProcess | undefined; said: string };

export class Etcd {
  readonly directory: string = mkdtempSync(join(tmpdir(), "tortie-etcd-"));
  readonly #members: Running[] = [];
  readonly #flags: readonly string[];
  readonly #client: Identity | undefined;
  readonly #ca: string | undefined;
  readonly #name: string;

  private constructor(
    ports: readonly number[],
    { tls, names, flags }: { tls: boolean; names: readonly [string, ...string[]]; flags: readonly string[] },
  ) {
    this.#name = names[0];
    for (let i = 0; i < ports.length; i += 2)
      this.#members.push({
        name: `m${i / 2}`,
        client: `${tls ? "https" : "http"}://127.0.0.1:${ports[i]}`,
        peer: `http://127.0.0.1:${ports[i + 1]}`,
        child: undefined,
        said: "",
      });
    this.#flags = [...flags];
    if (!tls) return;
    const pki = join(this.directory, "authority");
    mkdirSync(pki);
    const authority = openAuthority(pki, Date.now, { create: true });
    this.#ca = authority.caCertificate;
    this.#client = authority.issue({ commonName: "tortie" }, "client");
    const server = authority.issue({ commonName: "etcd" }, "server", { names });
    const files = {
      "ca.crt": this.#ca,
      "server.crt": server.certificate,
      "server.key": server.key,
      "client.crt": this.#client.certificate,
      "client.key": this.#client.key,
    };
    for (const [name, text] of Object.entries(files)) writeFileSync(this.file(name), text, { mode: 0o600 });
    const named = { "cert-file": "server.crt", "key-file": "server.key", "trusted-ca-file": "ca.crt" };
    this.#flags = [...flags, "--client-cert-auth", ...Object.entries(named).map(([flag, name]) => `--${flag}=${this.file(name)}`)];
  }

  /** Resolves when it answers. */
  static async start({ members = 1, ...options }: EtcdStart = {}): Promise<Etcd> {
    const etcd = new Etcd(await freePorts(2 * members), { tls: false, names: ["127.0.0.1", "localhost"], flags: [], ...options });
    for (let i = 0; i < members; i++) etcd.run(i);
    await Promise.all(etcd.#members.map((_m, i) => etcd.answers(i)));
    return etcd;
  }

  file(name: string): string {
    return join(this.directory, name);
  }
  get urls(): string[] {
    return this.#members.map((m) => m.client);
  }
  get endpoints(): Endpoint[] {
    return parseEndpoints(this.urls.join(","));
  }
  /** As they are, by another name of this machine. */
  named(name: string): Endpoint[] {
    return parseEndpoints(this.urls.map((u) => u.replace("127.0.0.1", name)).join(","));
  }
  readonly tls = (): TlsFiles =>
    this.#client && this.#ca !== undefined
      ? { ca: Buffer.from(this.#ca), certificate: Buffer.from(this.#client.certificate), key: Buffer.from(this.#client.key) }
      : {};

  /** Starts a member (again) on its data. */
  run(i: number): void {
    const m = this.#members[i]!;
    const etcd = usable();
    if (!("path" in etcd)) throw new Error(etcd.why);
    const flags = {
      name: m.name,
      "data-dir": this.file(m.name),
      "listen-client-urls": m.client,
      "advertise-client-urls": m.client,
      "listen-peer-urls": m.peer,
      "initial-advertise-peer-urls": m.peer,
      "initial-cluster": this.#members.map(({ name, peer }) => `${name}=${peer}`).join(","),
      "initial-cluster-state": "new",
      "log-level": "error",
      "enable-grpc-gateway": "false",
    };
    const child = spawn(etcd.path, [...Object.entries(flags).map(([k, v]) => `--${k}=${v}`), ...this.#flags], {
      stdio: ["ignore", "ignore", "pipe"],
    });
    child.stderr.on("data", (d: Buffer) => (m.said = (m.said + d.toString()).slice(-4000)));
    m.child = child;
  }

  /** Waits until the member answers a linearizable read. */
  async answers(i: number, login?: EtcdOptions["login"]): Promise<void> {
    const m = this.#members[i]!;
    for (const end = performance.now() + 60_000; ;) {
      if (m.child && m.child.exitCode !== null) throw new Error(`etcd ended: ${m.said}`);
      try {
        const member = await Member.connect(this.named(this.#name)[i]!, this.tls(), login);
        await new Keyspace("/none").newest(member).finally(() => member.close());
        return;
      } catch (thrown) {
        if (performance.now() > end) throw new Error(`etcd does not answer: ${m.said}`, { cause: thrown });
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    }
  }

  async kill(i: number): Promise<void> {
    const child = this.#members[i]!.child;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGKILL");
    await ended;
  }

  /** Halts a member; resolves when none of its threads runs any more. */
  async halt(i: number): Promise<void> {
    const { pid } = this.#members[i]!.child!;
    process.kill(pid!, "SIGSTOP");
    const halted = (task: string): boolean => {
      try {
        return /\) T /.test(readFileSync(`/proc/${pid}/task/${task}/stat`, "latin1"));
      } catch {
        // It has ended meanwhile.
        return false;
      }
    };
    while (!readdirSync(`/proc/${pid}/task`).every(halted)) await new Promise((resolve) => setTimeout(resolve, 1));
  }
  /** Lets a member that was halted go on. */
  resume(i: number): void {
    this.#members[i]!.child!.kill("SIGCONT");
  }

  /** Runs etcdctl on the first member. */
  async ctl(...args: string[]): Promise<string> {
    const tls = this.#client ? [`--cacert=${this.file("ca.crt")}`, `--cert=${this.file("client.crt")}`, `--key=${this.file("client.key")}`] : [];
    const { stdout } = await promisify(execFile)(find("etcdctl") ?? "etcdctl", [`--endpoints=${this.urls[0]}`, ...tls, ...args]);
    return stdout;
  }

  /** A store on all members. */
  store(options: Partial<EtcdOptions> = {}): Promise<EtcdStore> {
    return EtcdStore.open({ endpoints: this.endpoints, tls: this.tls, login: undefined, log: silent, wall: Date.now, ...options });
  }

  async remove(): Promise<void> {
    for (let i = 0; i < this.#members.length; i++) await this.kill(i);
    rmSync(this.directory, { recursive: true, force: true });
  }
}
