// Every way by which a packet can leave, and what it must be called.
import { describe, expect, test } from "vitest";
import { concat, utf8 } from "../../base/bytes.ts";
import { type Ip, parseIp } from "../../base/ip.ts";
import { nodeCrypto } from "../../crypto/node.ts";
import { ethernet, geneve, gre, icmp, ipv4, ipv6, tcp, udp, vlan, vxlan } from "../../packet/build.ts";
import { LINK_ETHERNET } from "../../packet/link.ts";
import type { CapturedPacket } from "../packet.ts";
import { Audit } from "./audit.ts";
import { audited, document, inventory, leak } from "./audit.cases.ts";
import { Classifier } from "./classify.ts";
import { control } from "./control.ts";
import { Inventory, type InventoryDocument } from "./inventory.ts";
import { WireGuardProof } from "./wireguard.ts";

const [mac1, mac2] = [new Uint8Array(6).fill(2), new Uint8Array(6).fill(4)];
const ip = (text: string): Ip => parseIp(text)!;
const [n1, n2] = [ip("10.77.0.1"), ip("10.77.0.2")];
const [p1, p2] = [ip("10.244.1.10"), ip("10.244.2.20")];
const [q1, q2] = [ip("fd44:1::10"), ip("fd44:2::20")];
const world = ip("1.1.1.1");
const IP4 = 0x0800;
const IP6 = 0x86dd;
const eth = (type: number, payload: Uint8Array): Uint8Array => ethernet(mac1, mac2, type, payload);
const ping = ipv4({ src: p1, dst: p2, protocol: 1 }, icmp(p1, p2, { type: 8 }, utf8("secret")));
const ping6 = ipv6({ src: q1, dst: q2, protocol: 58 }, icmp(q1, q2, { type: 128 }, utf8("x")));
const outer = (protocol: number, payload: Uint8Array): Uint8Array => eth(IP4, ipv4({ src: n1, dst: n2, protocol }, payload));
const toPort = (port: number, payload: Uint8Array): Uint8Array => outer(17, udp(n1, n2, 40_000, port, payload));
const tcp4 = (src: Ip, dst: Ip, srcPort: number, dstPort: number, payload?: Uint8Array): Uint8Array =>
  eth(IP4, ipv4({ src, dst, protocol: 6 }, tcp(src, dst, { srcPort, dstPort }, payload)));
const packet = (data: Uint8Array): CapturedPacket => ({ ...leak.packets[0]!, data, originalLength: data.length });
const classOf = (data: Uint8Array, of?: Inventory): string => [...audited([packet(data)], of).by.keys()][0]!;
/** GRE with every optional field: checksum, key, sequence. */
const greAll = (type: number, payload: Uint8Array): Uint8Array =>
  concat(Uint8Array.of(0xb0, 0, type >> 8, type & 255), new Uint8Array(4), Uint8Array.of(0, 0, 0, 5), Uint8Array.of(0, 0, 0, 9), payload);
/** An authentication header that carries protocol `next`. */
const ah = (next: number, payload: Uint8Array): Uint8Array => concat(Uint8Array.of(next, 4), new Uint8Array(22), payload);

describe("every way out", () => {
  test.for<[string, Uint8Array, string]>([
    ["native", eth(IP4, ping), "POD_TO_POD"],
    ["in a VLAN", eth(0x8100, vlan(7, IP4, ping)), "POD_TO_POD"],
    ["in two VLANs (QinQ)", eth(0x88a8, vlan(7, 0x8100, vlan(9, IP4, ping))), "POD_TO_POD"],
    ["VXLAN", toPort(4789, vxlan(42, eth(IP4, ping))), "POD_TO_POD vxlan"],
    ["VXLAN, other port", toPort(8472, vxlan(1, eth(IP4, ping))), "POD_TO_POD vxlan"],
    ["VXLAN with a VLAN inside", toPort(4789, vxlan(42, eth(0x8100, vlan(3, IP4, ping)))), "POD_TO_POD vxlan"],
    ["Geneve with options", toPort(6081, geneve(1, 0x6558, eth(IP4, ping), new Uint8Array(12))), "POD_TO_POD geneve"],
    ["Geneve without Ethernet", toPort(6081, geneve(1, IP4, ping)), "POD_TO_POD geneve"],
    ["IP in IP", outer(4, ping), "POD_TO_POD ipip"],
    ["IP in IP behind an authentication header", outer(51, ah(4, ping)), "POD_TO_POD ipip"],
    ["GRE with a key", outer(47, gre(IP4, ping, 5)), "POD_TO_POD gre"],
    ["GRE with checksum, key and sequence", outer(47, greAll(IP4, ping)), "POD_TO_POD gre"],
    ["NVGRE", outer(47, gre(0x6558, eth(IP4, ping), 5)), "POD_TO_POD gre"],
    ["ERSPAN II", outer(47, concat(Uint8Array.of(0x10, 0, 0x88, 0xbe, 0, 0, 0, 1), new Uint8Array(8), eth(IP4, ping))), "POD_TO_POD gre"],
    ["ERSPAN III", outer(47, concat(Uint8Array.of(0x10, 0, 0x22, 0xeb, 0, 0, 0, 1), new Uint8Array(12), eth(IP4, ping))), "POD_TO_POD gre"],
    ["GRE in VXLAN", toPort(4789, vxlan(42, outer(47, gre(IP4, ping)))), "POD_TO_POD vxlan gre"],
    ["IPv6", eth(IP6, ping6), "POD_TO_POD"],
    ["IPv6, a later fragment", eth(IP6, ipv6({ src: q1, dst: q2, protocol: 17, fragmentOffset: 1200, id: 3 }, utf8("xxxx"))), "POD_TO_POD"],
    ["IPv6 in IPv4 (6in4)", outer(41, ping6), "POD_TO_POD 6in4"],
    ["an ICMP error that quotes a pods' packet", outer(1, icmp(n1, n2, { type: 3, code: 1 }, ping.subarray(0, 28))), "ICMP_QUOTE"],
    ["a quote of VXLAN", outer(1, icmp(n1, n2, { type: 11 }, toPort(4789, vxlan(1, eth(IP4, ping))).subarray(14))), "ICMP_QUOTE vxlan"],
    ["an unknown encapsulation in UDP", toPort(5555, concat(utf8("FOU?"), ping)), "POD_TO_POD unrecognised"],
    ["an unknown encapsulation in UDP, IPv6", toPort(2152, concat(new Uint8Array(8), ping6)), "POD_TO_POD unrecognised"],
    ["MPLS", eth(0x8847, concat(Uint8Array.of(0, 1, 1, 64), ping)), "POD_TO_POD unrecognised"],
    ["EtherIP", outer(97, concat(Uint8Array.of(0x30, 0), eth(IP4, ping))), "POD_TO_POD unrecognised"],
    ["ESP that does not encrypt", outer(50, concat(new Uint8Array(8), ping)), "POD_TO_POD unrecognised"],
    ["more layers than are walked", [1, 2, 3, 4, 5, 6, 7, 8].reduce((inner) => ipv4({ src: n1, dst: n2, protocol: 4 }, inner), ping), ""],
    ["an EtherType that is not walked", eth(0x8847, new Uint8Array(60)), "UNKNOWN"],
    ["a GRE payload that is not walked", outer(47, gre(0x880b, new Uint8Array(40))), "UNKNOWN gre"],
    ["LLDP", eth(0x88cc, new Uint8Array(40)), "LINK_CONTROL"],
    ["plain bytes on WireGuard's port", toPort(51_820, utf8("GET / HTTP/1.0\r\n\r\n")), "WG_PORT_ABUSE"],
    ["a made-up handshake on WireGuard's port", toPort(51_820, concat(Uint8Array.of(1, 0, 0, 0), new Uint8Array(144))), "WG_PORT_ABUSE"],
    [
      "a data message with a plain packet in it",
      toPort(51_820, concat(Uint8Array.of(4), new Uint8Array(15), ping, new Uint8Array(18))),
      "WG_PORT_ABUSE",
    ],
    [
      "a data message of text",
      toPort(51_820, concat(Uint8Array.of(4), new Uint8Array(15), utf8("all work and no play ".repeat(30)))),
      "WG_PORT_ABUSE",
    ],
    ["a data message with reserved bytes", toPort(51_820, concat(Uint8Array.of(4, 1), new Uint8Array(62))), "WG_PORT_ABUSE"],
    ["a node to a pod", tcp4(n1, p2, 9, 80), "NODE_TO_POD"],
    ["a pod to the world", tcp4(p1, world, 9, 443), "POD_EXTERNAL"],
    ["the world to a node", tcp4(world, n1, 9, 443), "OTHER_NODE"],
    ["ESP", outer(50, new Uint8Array(40).fill(0xa5)), "ENCRYPTED_OTHER"],
    ["ESP in UDP", toPort(4500, new Uint8Array(40).fill(0xa5)), "ENCRYPTED_OTHER"],
    ["MACsec", eth(0x88e5, new Uint8Array(40)), "ENCRYPTED_OTHER"],
    ["the nodes' own ssh", tcp4(n1, n2, 40_000, 22), "CONTROL"],
    ["something else between nodes", tcp4(n1, n2, 40_000, 5000), "OTHER_NODE"],
    ["nonsense", Uint8Array.of(1, 2, 3), "UNKNOWN"],
  ])("%s", ([name, data, want]) => {
    if (want !== "") expect(classOf(data)).toBe(want);
    else {
      // Eight headers around a pods' packet: the recursion ends, and what is left is not waved through.
      const c = classOf(eth(IP4, data));
      expect([name, /^(POD_TO_POD|UNKNOWN)/.test(c)]).toEqual([name, true]);
    }
  });

  test.for<[string, number, Uint8Array, string, boolean]>([
    ["HTTP", 80, utf8("GET /secret HTTP/1.1\r\n\r\n"), "payload readable (HTTP)", false],
    ["gRPC", 80, utf8("PRI * HTTP/2.0\r\n\r\nSM"), "payload readable (HTTP/2, gRPC)", false],
    ["SQL", 3306, utf8("SELECT password FROM users"), "payload readable (SQL)", false],
    ["text", 9, utf8("hello, world and all"), "payload readable", false],
    ["TLS", 443, Uint8Array.of(0x16, 3, 1, 0, 9, 1, 2, 3), "payload protected (TLS)", true],
    ["SSH", 22, utf8("SSH-2.0-OpenSSH_9.2"), "payload protected (SSH)", true],
    ["HBONE", 15_008, Uint8Array.of(1, 2, 3, 4), "payload protected (HBONE)", true],
  ])("what is in it: %s", ([, port, payload, what, isProtected]) => {
    const hint = audited([packet(tcp4(p1, p2, 40_000, port, payload))]).audit.findings[0]!.hint;
    expect(hint).toMatchObject({ what, protected: isProtected });
    expect(hint?.sample ?? "").not.toMatch(/secret|password|world/);
  });
});

describe("fragments", () => {
  const whole = udp(n1, n2, 40_000, 4789, vxlan(42, eth(IP4, ping)));
  const parts = (cut: number): Uint8Array[] => {
    const fields = { src: n1, dst: n2, protocol: 17, id: 5 };
    return [ipv4({ ...fields, moreFragments: true }, whole.subarray(0, cut)), ipv4({ ...fields, fragmentOffset: cut }, whole.subarray(cut))].map(
      (p) => eth(IP4, p),
    );
  };
  test("a later fragment of an overlay's packet is what its first one is, and counts no bytes twice", () => {
    const { by, audit } = audited(parts(64).map(packet));
    expect([...by.keys()]).toEqual(["POD_TO_POD vxlan"]);
    expect(audit.findings.map((f) => [f.packets, f.fragments, f.bytes])).toEqual([[2, 1, ping.length]]);
  });
  test("a first fragment that is too short to tell: the whole packet does", () => {
    const { by } = audited(parts(40).map(packet));
    expect(by.get("POD_TO_POD vxlan")).toHaveLength(1);
  });
  test("in the wrong order: the whole packet does", () => {
    const { by, audit } = audited(parts(64).toReversed().map(packet));
    expect(by.get("POD_TO_POD vxlan")).toHaveLength(1);
    expect(audit.judge().preconditions.find((p) => p.id === "P4")!.state).toBe("ok");
  });
  test("a later fragment whose first one never comes leaves a doubt", () => {
    const { audit } = audited(parts(64).slice(1).map(packet));
    expect(audit.judge().preconditions.find((p) => p.id === "P4")).toMatchObject({ state: "missing" });
  });
});

describe("the NAT table", () => {
  const with_ = (observed: InventoryDocument["observed"]): Inventory => new Inventory({ ...document, observed: observed! });
  const table = (node: string, conntrack: string) => ({ node, from: 0, to: 1, links: [], conntrack });
  const wire = tcp4(n1, n2, 31_000, 5000);
  const line = (o: string, r: string): string => `ipv4     2 tcp      6 86399 ESTABLISHED ${o} ${r} [ASSURED] mark=0 zone=0 use=2\n`;
  const masqueraded = line("src=10.244.1.10 dst=10.77.0.2 sport=40000 dport=5000", "src=10.77.0.2 dst=10.77.0.1 sport=5000 dport=31000");
  const forwarded = line("src=10.77.0.1 dst=10.77.0.2 sport=31000 dport=5000", "src=10.244.2.20 dst=10.77.0.1 sport=80 dport=31000");
  const plain = line("src=10.77.0.1 dst=10.77.0.2 sport=31000 dport=5000", "src=10.77.0.2 dst=10.77.0.1 sport=5000 dport=31000");
  test.for<[string, InventoryDocument["observed"], string]>([
    ["nothing is translated", [table("node-a", plain), table("node-b", plain)], "OTHER_NODE"],
    ["a pod behind its node's address, the other end unknown", [table("node-a", masqueraded)], "NATTED_POD"],
    ["a pod behind its node's address to the other node itself", [table("node-a", masqueraded), table("node-b", plain)], "NODE_TO_POD"],
    ["a node port with a pod behind it, and a pod before it", [table("node-a", masqueraded), table("node-b", forwarded)], "NATTED_POD"],
  ])("%s", ([, observed, want]) => {
    expect(classOf(wire, with_(observed))).toBe(want);
    // The answer is the same flow.
    expect(classOf(tcp4(n2, n1, 5000, 31_000), with_(observed))).toBe(want);
  });
  test("a node's packet to a pod that is really another pod's", () => {
    const t = table("node-a", line("src=10.244.1.10 dst=10.96.0.1 sport=40000 dport=80", "src=10.244.2.20 dst=10.77.0.1 sport=80 dport=31000"));
    const { by, causes } = audited([packet(tcp4(n1, p2, 31_000, 80))], with_([t]));
    expect([...by.keys(), ...causes.keys()]).toEqual(["NATTED_POD", "NAT"]);
  });
  test("conntrack -L's lines, echoes by their identifier, and nonsense", () => {
    const echo =
      "icmp     1 29 src=10.244.1.10 dst=10.77.0.2 type=8 code=0 id=77 src=10.77.0.2 dst=10.77.0.1 type=0 code=0 id=77 mark=0 use=1\nnonsense\nudp 17 src=x\n";
    const data = eth(IP4, ipv4({ src: n1, dst: n2, protocol: 1 }, icmp(n1, n2, { type: 8, rest: (77 << 16) | 1 }, utf8("x"))));
    expect(classOf(data, with_([table("node-a", echo)]))).toBe("NATTED_POD");
  });
});

test("tunnel addresses in a pod range are the nodes'", () => {
  const nodes = document.nodes.map((n, i) => ({ ...n, tunnelIPs: [`10.244.${i + 1}.0`] }));
  const src = ip("10.244.1.0");
  const data = eth(IP4, ipv4({ src, dst: p2, protocol: 1 }, icmp(src, p2, { type: 8 })));
  expect(classOf(data, new Inventory({ ...document, nodes }))).toBe("NODE_TO_POD");
});
test("a service's address on a wire stands for its pods", () => {
  const own = new Inventory({ ...document, services: [{ name: "default/web", ips: ["10.96.0.7"] }] });
  const { audit } = audited([packet(tcp4(p1, ip("10.96.0.7"), 9, 80))], own);
  expect([...audit.findings[0]!.notes]).toEqual(["10.96.0.7 is the service default/web"]);
});
test("an address is a pod's only while the pod has it", () => {
  const old = new Inventory({ ...document, pods: [{ name: "default/gone", node: "node-a", ips: ["192.0.2.9"], since: 100, until: 200 }] });
  const kind = (t: bigint): string => old.owner(ip("192.0.2.9"), t * 1_000_000_000n).kind;
  expect([kind(99n), kind(150n), kind(201n)]).toEqual(["other", "pod", "other"]);
});

test("the detector finds every leak that is built from an inventory; blinded, it says what it missed", () => {
  expect(control(nodeCrypto, inventory)).toEqual({ found: 26, missed: [] });
  const none = new Inventory({ ...document, nodes: document.nodes.map((n) => ({ ...n, podCIDRs: [] })), pods: [] });
  expect(control(nodeCrypto, none).missed).toHaveLength(1);
});

test("hostile frames throw nothing", () => {
  let seed = 3;
  const random = (n: number): number => (seed = (seed * 1_103_515_245 + 12_345) & 0x7fffffff) % n;
  const audit = new Audit(nodeCrypto, inventory);
  const classifier = new Classifier(inventory, new WireGuardProof(nodeCrypto));
  for (let i = 0; i < 5000; i++) {
    const p = leak.packets[random(leak.packets.length)]!;
    const data = new Uint8Array(p.data.subarray(0, random(6) === 0 ? random(p.data.length) : p.data.length));
    for (let k = random(5); k > 0 && data.length > 0; k--) data[random(data.length)] = random(256);
    audit.add({ ...p, data }, { name: "x" });
    classifier.classify(data, LINK_ETHERNET, { time: undefined, tap: "x" });
  }
  expect(audit.frames).toBe(5000);
});
