// A host to be audited: a namespace that plays it, with a pod, two network cards, and a WireGuard device of ours on each.
//
//   pod 10.1.0.2 ── pod0  host  nic0 10.9.0.1 ── 10.9.0.2  b, wg0: 10.2.0.0/24, fd02::/64
//        fd01::2               nic1 10.8.0.1 ── 10.8.0.2  c, wg1: 10.3.0.0/24
import { Host, type Spawned } from "../device/host.ts";
import { TORTIE } from "../peers.ts";

const RANGES = ["10.1.0.0/24", "10.2.0.0/24", "10.3.0.0/24", "fd01::/64", "fd02::/64"].flatMap((r) => ["--pod-cidr", r]);
const CANARIES = ["10.2.0.5", "10.3.0.5", "fd02::5"].flatMap((a) => ["--canary", a]);

export class Machine {
  readonly #hosts: readonly Host[];
  readonly #keys = new Map<Host, { path: string; pub: string }>();
  readonly host: Host;
  readonly pod: Host;
  readonly b: Host;
  readonly c: Host;

  private constructor(hosts: readonly Host[]) {
    this.#hosts = hosts;
    [this.host, this.pod, this.b, this.c] = hosts as [Host, Host, Host, Host];
  }
  static async create(): Promise<Machine> {
    const machine = new Machine(await Promise.all([1, 2, 3, 4].map(() => Host.create())));
    await machine.#build();
    return machine;
  }
  async close(): Promise<void> {
    await Promise.all(this.#hosts.map((h) => h.close()));
  }

  ip(h: Host, words: string): string {
    return h.run("ip", ...words.split(" "));
  }
  publicKey(h: Host): string {
    return this.#keys.get(h)!.pub;
  }
  start(...more: string[]): Spawned {
    const { host, pod } = this;
    const words = ["audit", "--host", "--duration", "2", ...RANGES, ...CANARIES, "--canary-from", String(pod.pid), ...more];
    return host.spawn([process.execPath, TORTIE, ...words]);
  }
  async audit(...more: string[]): Promise<{ code: number; said: string }> {
    const run = this.start(...more);
    return { code: (await run.exit)!, said: run.output() };
  }

  /** Sets a device up with its one peer. */
  peer(h: Host, dev: string, port: number, peer: Host, allowed: string, endpoint: string): void {
    const words = ["private-key", this.#keys.get(h)!.path, "listen-port", String(port)];
    h.run("wg", "set", dev, ...words, "peer", this.publicKey(peer), "allowed-ips", allowed, "endpoint", endpoint);
  }
  peers(): void {
    const { host, b, c } = this;
    this.peer(host, "wg0", 51_820, b, "10.2.0.0/24,fd02::/64", "10.9.0.2:51820");
    this.peer(host, "wg1", 51_821, c, "10.3.0.0/24", "10.8.0.2:51821");
    this.peer(b, "wg0", 51_820, host, "10.1.0.0/24,fd01::/64", "10.9.0.1:51820");
    this.peer(c, "wg1", 51_821, host, "10.1.0.0/24", "10.8.0.1:51821");
  }

  /** Nothing on the wires but what somebody asks for: no neighbour is looked for, no router asked. */
  quiet(): void {
    const { host, b, c } = this;
    for (const [h, dev, other, address, far] of [
      [host, "nic0", b, "10.9.0.2", "eth0"],
      [host, "nic1", c, "10.8.0.2", "eth0"],
      [b, "eth0", host, "10.9.0.1", "nic0"],
      [c, "eth0", host, "10.8.0.1", "nic1"],
    ] as const) {
      const [{ address: mac }] = JSON.parse(other.run("ip", "-json", "link", "show", far)) as [{ address: string }];
      h.run("sysctl", "-qw", `net.ipv6.conf.${dev}.disable_ipv6=1`);
      this.ip(h, `neigh replace ${address} lladdr ${mac} nud permanent dev ${dev}`);
    }
  }

  async #build(): Promise<void> {
    const { host, pod, b, c } = this;
    const ip = (h: Host, words: string): string => this.ip(h, words);
    Host.join(host, "nic0", ["10.9.0.1/24"], b, "eth0", ["10.9.0.2/24"]);
    Host.join(host, "nic1", ["10.8.0.1/24"], c, "eth0", ["10.8.0.2/24"]);
    Host.join(host, "pod0", ["169.254.1.1/32", "fd01::1/128"], pod, "eth0", ["10.1.0.2/32", "fd01::2/128"]);
    ip(host, "route add 10.1.0.2/32 dev pod0");
    ip(host, "-6 route add fd01::2/128 dev pod0");
    ip(pod, "route add 169.254.1.1 dev eth0");
    ip(pod, "route add default via 169.254.1.1");
    ip(pod, "-6 route add fd01::1 dev eth0");
    ip(pod, "-6 route add default via fd01::1");
    for (const h of [host, b, c]) {
      h.run("sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1", "net.ipv4.conf.all.rp_filter=0");
      const key = h.run("wg", "genkey").trim();
      this.#keys.set(h, { path: h.write("node.key", key), pub: h.feed(`${key}\n`, "wg", "pubkey").trim() });
    }
    const devices = [
      [host, "wg0"],
      [host, "wg1"],
      [b, "wg0"],
      [c, "wg1"],
    ] as const;
    for (const [h, dev] of devices) await h.device("tortie", dev);
    this.peers();
    for (const [h, dev] of devices) ip(h, `link set ${dev} up`);
    ip(host, "route add 10.2.0.0/24 dev wg0");
    ip(host, "-6 route add fd02::/64 dev wg0");
    ip(host, "route add 10.3.0.0/24 dev wg1");
    ip(b, "addr add 10.2.0.5/32 dev lo");
    ip(b, "-6 addr add fd02::5/128 dev lo");
    ip(c, "addr add 10.3.0.5/32 dev lo");
    ip(b, "route add 10.1.0.0/24 dev wg0");
    ip(b, "-6 route add fd01::/64 dev wg0");
    ip(c, "route add 10.1.0.0/24 dev wg1");
  }
}
