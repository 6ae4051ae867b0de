// An audit of one real host (machine.ts).
import { afterAll, beforeAll, expect, test } from "vitest";
import { describeRoot, describeWith, TORTIE } from "../peers.ts";
import { Machine } from "./machine.ts";
import { programElf } from "./xdp.ts";

describeRoot("audit of a host", () => {
  describeWith(["wg"], "with two devices", () => {
    let m: Machine;
    beforeAll(async () => {
      m = await Machine.create();
    });
    afterAll(() => m?.close());

    test("all through the tunnels, IPv4 and IPv6: a proof", async () => {
      const { code, said } = await m.audit();
      expect(code, said).toBe(0);
      expect(said.replace(/\s+/g, " ")).toMatch(
        /\/nic0, .*\/nic1; left out: lo \(loopback\); pod0 \(leads to pods of this node\); wg0 \(a WireGuard device\); wg1/,
      );
      expect(said).toMatch(/pod to pod, IPv4: 2 paths[^]*pod to pod, IPv6: 1 path/);
    });
    test("one path goes past its tunnel: found, with flow and cause", async () => {
      m.ip(m.host, "route replace 10.3.0.0/24 via 10.8.0.2 dev nic1");
      const { code, said } = await m.audit();
      expect(code, said).toBe(2);
      expect(said).toMatch(/ROUTE_BYPASS[^]*10\.1\.0\.2:[0-9]+ → 10\.3\.0\.5:40405, native/);
      expect(said).not.toMatch(/10\.2\.0\.5:40405, native/);
      m.ip(m.host, "route replace 10.3.0.0/24 dev wg1");
    });
    test("a range that no peer is sent: found, with another cause", async () => {
      m.host.run("wg", "set", "wg1", "peer", m.publicKey(m.c), "allowed-ips", "10.99.0.0/24");
      m.ip(m.host, "route replace 10.3.0.0/24 via 10.8.0.2 dev nic1");
      const { code, said } = await m.audit();
      expect(code, said).toBe(2);
      expect(said).toMatch(/PEER_NOT_CONFIGURED/);
      m.host.run("wg", "set", "wg1", "peer", m.publicKey(m.c), "allowed-ips", "10.3.0.0/24");
      m.ip(m.host, "route replace 10.3.0.0/24 dev wg1");
    });
    test("a pod that is masqueraded behind the host's address: found by the NAT table and by the marker", async () => {
      m.ip(m.c, "addr add 10.3.0.5/32 dev eth0");
      m.ip(m.host, "route replace 10.3.0.0/24 via 10.8.0.2 dev nic1");
      m.host.feed(
        "table ip m {\n chain out {\n type nat hook postrouting priority 100\n oifname nic1 ip saddr 10.1.0.0/24 masquerade\n }\n}\n",
        "nft",
        "-f",
        "-",
      );
      const { code, said } = await m.audit();
      expect(code, said).toBe(2);
      expect(said.replace(/\s+/g, " ")).toMatch(
        /NAT: [^]*NATTED_POD UDP 10\.8\.0\.1:[0-9]+ → 10\.3\.0\.5:40405[^]*really 10\.1\.0\.2 → 10\.3\.0\.5, by the NAT table/,
      );
      m.host.run("nft", "delete", "table", "ip", "m");
      m.ip(m.host, "route replace 10.3.0.0/24 dev wg1");
    });
    test("an XDP program on a link: nothing is proven, because it may pass packets by the capture", async () => {
      const object = m.host.write("pass.o", "");
      m.host.feed(programElf().toString("base64"), "sh", "-c", `base64 -d > ${object}`);
      m.ip(m.host, `link set dev nic1 xdpgeneric obj ${object} sec xdp`);
      const { code, said } = await m.audit();
      expect(code, said).toBe(3);
      expect(said.replace(/\s+/g, " ")).toMatch(/P7 missing .*an XDP program \(generic\) is on .*\/nic1/);
      m.ip(m.host, "link set dev nic1 xdpgeneric off");
    });
    test("without a canary nothing is proven; a host without a device cannot be audited", async () => {
      const run = m.host.spawn([process.execPath, TORTIE, "audit", "--host", "--duration", "1", "--pod-cidr", "10.1.0.0/24"]);
      expect(await run.exit, run.output()).toBe(3);
      expect(run.output()).toMatch(/no\s+canary was sent/);
      const none = m.pod.spawn([process.execPath, TORTIE, "audit", "--host"]);
      expect(await none.exit).toBe(1);
      expect(none.output()).toMatch(/Cannot audit this machine: it has no WireGuard device/);
    });
    test("a host on which nothing else goes on: the packet that the audit itself sends past the tunnel shows that nothing is filtered", async () => {
      m.quiet();
      const { code, said } = await m.audit("-o", "json");
      expect(code, said).toBe(0);
      const report = JSON.parse(said.slice(said.indexOf("{"))) as Report;
      expect(Object.keys(report.classes).filter((c) => !c.startsWith("WG_"))).toEqual(["AUDIT_CONTROL"]);
      // A family each, by each wire: from pods here to pods of a peer.
      expect(report.classes.AUDIT_CONTROL).toBe(4);
      expect(report.preconditions[1]!.evidence).toMatch(/sent by each wire is there \(2 of 2\)/);
      expect(report.canary.notProbed).toEqual([expect.stringMatching(/^services/)]);
    });
  });
});

type Report = { classes: Record<string, number>; preconditions: { evidence: string }[]; canary: { notProbed: string[] } };
