// An audit of one real host: a namespace that plays it, with a pod, two network cards, and a WireGuard device of ours on each.
//
//   pod 10.1.0.2 ── pod0  host  nic0 10.9.0.1 ── 10.9.0.2  b, wg0: 10.2.0.0/24, fd02::/64
//        fd01::2               nic1 10.8.0.1 ── 10.8.0.2  c, wg1: 10.3.0.0/24
import { afterAll, beforeAll, expect, test } from "vitest";
import { Host } from "../device/host.ts";
import { describeRoot, describeWith, TORTIE } from "../peers.ts";
import { programElf } from "./xdp.ts";

describeRoot("audit of a host", () => {
  describeWith(["wg"], "with two devices", () => {
    const hosts: Host[] = [];
    let [host, pod, b, c] = hosts as [Host, Host, Host, Host];
    const ip = (h: Host, words: string): string => h.run("ip", ...words.split(" "));
    const keys = new Map<Host, { path: string; pub: string }>();
    const withKey = (h: Host, name: string): void => {
      const key = h.run("wg", "genkey").trim();
      keys.set(h, { path: h.write(`${name}.key`, key), pub: h.feed(`${key}\n`, "wg", "pubkey").trim() });
    };
    const audit = async (...more: string[]): Promise<{ code: number; said: string }> => {
      const canaries = ["10.2.0.5", "10.3.0.5", "fd02::5"].flatMap((a) => ["--canary", a]);
      const ranges = ["10.1.0.0/24", "10.2.0.0/24", "10.3.0.0/24", "fd01::/64", "fd02::/64"].flatMap((r) => ["--pod-cidr", r]);
      const run = host.spawn([
        process.execPath,
        TORTIE,
        "audit",
        "--host",
        "--duration",
        "2",
        ...ranges,
        ...canaries,
        "--canary-from",
        String(pod.pid),
        ...more,
      ]);
      const code = (await run.exit)!;
      return { code, said: run.output() };
    };

    beforeAll(async () => {
      for (let i = 0; i < 4; i++) hosts.push(await Host.create());
      [host, pod, b, c] = hosts as [Host, Host, Host, Host];
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
        withKey(h, "node");
      }
      await host.device("tortie", "wg0");
      await host.device("tortie", "wg1");
      await b.device("tortie", "wg0");
      await c.device("tortie", "wg1");
      const set = (h: Host, dev: string, port: number, peer: Host, allowed: string, endpoint: string): string =>
        h.run(
          "wg",
          "set",
          dev,
          "private-key",
          keys.get(h)!.path,
          "listen-port",
          String(port),
          "peer",
          keys.get(peer)!.pub,
          "allowed-ips",
          allowed,
          "endpoint",
          endpoint,
        );
      set(host, "wg0", 51_820, b, "10.2.0.0/24,fd02::/64", "10.9.0.2:51820");
      set(host, "wg1", 51_821, c, "10.3.0.0/24", "10.8.0.2:51821");
      set(b, "wg0", 51_820, host, "10.1.0.0/24,fd01::/64", "10.9.0.1:51820");
      set(c, "wg1", 51_821, host, "10.1.0.0/24", "10.8.0.1:51821");
      for (const [h, dev] of [
        [host, "wg0"],
        [host, "wg1"],
        [b, "wg0"],
        [c, "wg1"],
      ] as const)
        ip(h, `link set ${dev} up`);
      ip(host, "route add 10.2.0.0/24 dev wg0");
      ip(host, "-6 route add fd02::/64 dev wg0");
      ip(host, "route add 10.3.0.0/24 dev wg1");
      ip(b, "addr add 10.2.0.5/32 dev lo");
      ip(b, "-6 addr add fd02::5/128 dev lo");
      ip(c, "addr add 10.3.0.5/32 dev lo");
      ip(b, "route add 10.1.0.0/24 dev wg0");
      ip(b, "-6 route add fd01::/64 dev wg0");
      ip(c, "route add 10.1.0.0/24 dev wg1");
    });
    afterAll(() => Promise.all(hosts.map((h) => h.close())));

    test("all through the tunnels, IPv4 and IPv6: a proof", async () => {
      const { code, said } = await audit();
      expect(code, said).toBe(0);
      expect(said.replace(/\s+/g, " ")).toMatch(
        /\/nic0, .*\/nic1; left out: lo \(loopback\); pod0 \(leads to pods of this node\); wg0 \(a WireGuard device\); wg1/,
      );
      expect(said).toMatch(/pod to pod, IPv4: 2 paths[^]*pod to pod, IPv6: 1 path/);
    });
    test("one path goes past its tunnel: found, with flow and cause", async () => {
      ip(host, "route replace 10.3.0.0/24 via 10.8.0.2 dev nic1");
      const { code, said } = await audit();
      expect(code, said).toBe(2);
      expect(said).toMatch(/ROUTE_BYPASS[^]*10\.1\.0\.2:[0-9]+ → 10\.3\.0\.5:40405, native/);
      expect(said).not.toMatch(/10\.2\.0\.5:40405, native/);
      ip(host, "route replace 10.3.0.0/24 dev wg1");
    });
    test("a range that no peer is sent: found, with another cause", async () => {
      host.run("wg", "set", "wg1", "peer", keys.get(c)!.pub, "allowed-ips", "10.99.0.0/24");
      ip(host, "route replace 10.3.0.0/24 via 10.8.0.2 dev nic1");
      const { code, said } = await audit();
      expect(code, said).toBe(2);
      expect(said).toMatch(/PEER_NOT_CONFIGURED/);
      host.run("wg", "set", "wg1", "peer", keys.get(c)!.pub, "allowed-ips", "10.3.0.0/24");
      ip(host, "route replace 10.3.0.0/24 dev wg1");
    });
    test("a pod that is masqueraded behind the host's address: found by the NAT table and by the marker", async () => {
      ip(c, "addr add 10.3.0.5/32 dev eth0");
      ip(host, "route replace 10.3.0.0/24 via 10.8.0.2 dev nic1");
      host.feed(
        "table ip m {\n chain out {\n type nat hook postrouting priority 100\n oifname nic1 ip saddr 10.1.0.0/24 masquerade\n }\n}\n",
        "nft",
        "-f",
        "-",
      );
      const { code, said } = await audit();
      expect(code, said).toBe(2);
      expect(said.replace(/\s+/g, " ")).toMatch(
        /NAT: [^]*NATTED_POD UDP 10\.8\.0\.1:[0-9]+ → 10\.3\.0\.5:40405[^]*really 10\.1\.0\.2 → 10\.3\.0\.5, by the NAT table/,
      );
      host.run("nft", "delete", "table", "ip", "m");
      ip(host, "route replace 10.3.0.0/24 dev wg1");
    });
    test("an XDP program on a link: nothing is proven, because it may pass packets by the capture", async () => {
      const object = host.write("pass.o", "");
      host.feed(programElf().toString("base64"), "sh", "-c", `base64 -d > ${object}`);
      ip(host, `link set dev nic1 xdpgeneric obj ${object} sec xdp`);
      const { code, said } = await audit();
      expect(code, said).toBe(3);
      expect(said.replace(/\s+/g, " ")).toMatch(/P7 missing .*an XDP program \(generic\) is on .*\/nic1/);
      ip(host, "link set dev nic1 xdpgeneric off");
    });
    test("without a canary nothing is proven; a host without a device cannot be audited", async () => {
      const run = host.spawn([process.execPath, TORTIE, "audit", "--host", "--duration", "1", "--pod-cidr", "10.1.0.0/24"]);
      expect(await run.exit, run.output()).toBe(3);
      expect(run.output()).toMatch(/no canary was sent/);
      const none = pod.spawn([process.execPath, TORTIE, "audit", "--host"]);
      expect(await none.exit).toBe(1);
      expect(none.output()).toMatch(/Cannot audit this machine: it has no WireGuard device/);
    });
  });
});
