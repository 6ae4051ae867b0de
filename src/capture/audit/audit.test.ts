import { describe, expect, test } from "vitest";
import { concat, utf8 } from "../../base/bytes.ts";
import { formatIp, parseIp } from "../../base/ip.ts";
import { nodeCrypto } from "../../crypto/node.ts";
import { ethernet, geneve, gre, icmp, ipv4, ipv6, tcp, udp, vlan, vxlan } from "../../packet/build.ts";
import { decode } from "../../packet/decode.ts";
import { open, textOf } from "../fixtures.cases.ts";
import type { CapturedPacket, CaptureInterface } from "../packet.ts";
import { Audit } from "./audit.ts";
import { Inventory } from "./inventory.ts";
import type { Precondition } from "./types.ts";

const document = JSON.parse(textOf("leak-inventory.json")) as Record<string, unknown>;
const inventory = new Inventory(document);
const leak = open("leak-nodeA.pcap");

function audited(
  packets: readonly CapturedPacket[],
  of: Inventory = inventory,
): { audit: Audit; by: Map<string, number[]>; causes: Map<string, number[]> } {
  const audit = new Audit(nodeCrypto, of);
  const by = new Map<string, number[]>();
  const causes = new Map<string, number[]>();
  const put = (map: Map<string, number[]>, key: string, n: number): void => void map.set(key, [...(map.get(key) ?? []), n]);
  for (const p of packets) {
    const r = audit.add(p, { name: "node-a" })!;
    put(by, [r.classified.class, ...r.classified.path].join(" "), p.number);
    if (r.cause) put(causes, r.cause, p.number);
  }
  return { audit, by, causes };
}
const range = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, i) => from + i);

describe("the fixture: two nodes, one window with every kind of leak", () => {
  const { audit, by, causes } = audited(leak.packets);
  test("every frame's class", () => {
    expect(Object.fromEntries(by)).toEqual({
      WG_HANDSHAKE: [20, 21],
      WG_DATA: [...range(22, 25), ...range(27, 42), ...range(67, 70), ...range(95, 102)],
      POD_TO_POD: [10, 11, 12, 13, 17, 18, 61, 64, 65, 66, ...range(75, 81)],
      "POD_TO_POD vxlan": range(45, 58),
      "POD_TO_POD ipip": [87, 89, 91],
      "POD_TO_POD gre": [93],
      NODE_TO_POD: range(71, 74),
      ICMP_QUOTE: [86],
      "ICMP_QUOTE ipip": [88, 90, 92],
      "ICMP_QUOTE gre": [94],
      "OVERLAY_CONTROL vxlan": [1, 2, 3, 5, 7, 8, 9, 14, 15, 16, 19, 26, 43, 44],
      LINK_CONTROL: [4, 6, 59, 60, 62, 63, 82, 83, 84, 85],
    });
  });
  test("is the same when each node tells its own port", () => {
    const nodes = (document.nodes as object[]).map((n) => ({ ...n, wgPort: document.wireguardPort }));
    expect(audited(leak.packets, new Inventory({ ...document, wireguardPort: 1, nodes })).by).toEqual(by);
    expect(audited(leak.packets, new Inventory({ ...document, wireguardPort: 1 })).by.get("WG_DATA")).toBeUndefined();
  });
  test("every finding's cause", () => {
    expect(Object.fromEntries(causes)).toEqual({
      TUNNEL_NOT_UP: [10, 11, 12, 13, 17, 18],
      OVERLAY_BYPASS: [...range(45, 58), 87, 89, 91, 93],
      FAMILY_GAP: [61, 64, 65, 66],
      HOST_NETWORK: range(71, 74),
      ROUTE_BYPASS: range(75, 81),
      ICMP_ERROR: [86, 88, 90, 92, 94],
    });
  });
  test("encrypted share, all of it proven", () => {
    expect(audit.encrypted).toEqual({ packets: 32, bytes: 5280, provenPackets: 32, provenBytes: 5280, handshakes: 2 });
    expect(audit.plain).toEqual({ packets: 35, bytes: 10_287 });
    const share = audit.share()!;
    expect([(share.packets * 100).toFixed(2), (share.bytes * 100).toFixed(2)]).toEqual(["47.76", "33.92"]);
    expect(audit.gaps()).toBe(0);
  });
  test("fragments are of their flow, an address without a pod is remarked, readable payload is named", () => {
    const route = audit.findings.filter((f) => f.cause === "ROUTE_BYPASS");
    expect(route.map((f) => f.packets)).toEqual([3, 3, 1]);
    expect([...route[2]!.notes].join()).toMatch(/UNASSIGNED_IP: no pod has 10\.244\.2\.99/);
    expect(audit.findings.some((f) => f.notes.has("payload readable (HTTP)"))).toBe(true);
  });
  test("the verdict", () => expect(audit.verdict([]).verdict).toBe("FAIL"));
});

describe("a proof", () => {
  const clean = leak.packets.filter((p) =>
    [4, 6, ...range(20, 25), ...range(27, 42), 59, 60, ...range(67, 70), ...range(95, 102)].includes(p.number),
  );
  const ok: Precondition = { id: "P1", what: "", state: "ok", evidence: "" };
  const judge = (packets: readonly CapturedPacket[], more: Precondition[] = [ok], of = inventory): string =>
    audited(packets, of).audit.verdict(more).verdict;
  const changed = (i: Partial<CaptureInterface>): CapturedPacket[] => clean.map((p) => ({ ...p, iface: { ...p.iface, ...i } }));

  test("of a window with encrypted traffic only: PASS", () => expect(judge(clean)).toBe("PASS"));
  test.for<[string, CapturedPacket[], Precondition[]?]>([
    ["P1: an interface was not captured", clean, [{ ...ok, state: "missing" }]],
    ["P2: a capture filter", changed({ filter: "udp port 51820" })],
    ["P2: nothing but WireGuard, as with a filter that nobody recorded", clean.filter((p) => p.number > 19 && p.number !== 59 && p.number !== 60)],
    ["P3: packets dropped", clean.map((p, i) => (i === 5 ? { ...p, dropped: 2n } : p))],
    ["P3: a data message is missing", clean.filter((p) => p.number !== 69)],
    ["P4: snap length", changed({ snaplen: 96 })],
    ["P4: cut packets", clean.map((p) => ({ ...p, data: p.data.subarray(0, 120) }))],
    ["P5: no interface identity", open("leak-anyA-sll1.pcap").packets.filter((p) => p.number < 24)],
    ["no WireGuard that is proven: the handshake is not in the window", clean.filter((p) => p.number !== 20 && p.number !== 21)],
    ["nothing at all", []],
  ])("is not given without %s", ([, packets, more]) => expect(judge(packets, more)).toBe("INCONCLUSIVE"));
  test("is not given for one node only (P6)", () => {
    const one = new Inventory({ ...document, nodes: (document.nodes as unknown[]).slice(0, 1), pods: [] });
    expect(judge(clean, [ok], one)).toBe("INCONCLUSIVE");
  });
  test("drops that a counter tells", () => {
    const { audit } = audited(clean);
    audit.statistics({ osDropped: 3n });
    expect(audit.verdict([ok]).verdict).toBe("INCONCLUSIVE");
  });
  test("one plain pod packet: FAIL, whatever else is missing", () => {
    expect(judge([...clean, leak.packets[74]!], [{ ...ok, state: "missing" }])).toBe("FAIL");
  });
  test("of the link type that does not tell interfaces: never", () => expect(judge(open("leak-anyA-sll1.pcap").packets)).toBe("INCONCLUSIVE"));
});

describe("every way out", () => {
  const [mac1, mac2] = [new Uint8Array(6).fill(2), new Uint8Array(6).fill(4)];
  const [n1, n2] = [parseIp("10.77.0.1")!, parseIp("10.77.0.2")!];
  const [p1, p2] = [parseIp("10.244.1.10")!, parseIp("10.244.2.20")!];
  const [q1, q2] = [parseIp("fd44:1::10")!, parseIp("fd44:2::20")!];
  const ping = ipv4({ src: p1, dst: p2, protocol: 1 }, icmp(p1, p2, { type: 8 }, utf8("secret")));
  const eth = (type: number, payload: Uint8Array): Uint8Array => ethernet(mac1, mac2, type, payload);
  const outer = (protocol: number, payload: Uint8Array): Uint8Array => eth(0x0800, ipv4({ src: n1, dst: n2, protocol }, payload));
  const packet = (data: Uint8Array): CapturedPacket => ({ ...leak.packets[0]!, data, originalLength: data.length });
  const classOf = (data: Uint8Array): string => [...audited([packet(data)]).by.keys()][0]!;
  const udpTo = (port: number, payload: Uint8Array): Uint8Array => outer(17, udp(n1, n2, 40_000, port, payload));

  test.for<[string, Uint8Array, string]>([
    ["native", eth(0x0800, ping), "POD_TO_POD"],
    ["in a VLAN", eth(0x8100, vlan(7, 0x0800, ping)), "POD_TO_POD"],
    ["in two VLANs", eth(0x88a8, vlan(7, 0x8100, vlan(9, 0x0800, ping))), "POD_TO_POD"],
    ["VXLAN", udpTo(4789, vxlan(42, eth(0x0800, ping))), "POD_TO_POD vxlan"],
    ["VXLAN, other port", udpTo(8472, vxlan(1, eth(0x0800, ping))), "POD_TO_POD vxlan"],
    ["VXLAN with a VLAN inside", udpTo(4789, vxlan(42, eth(0x8100, vlan(3, 0x0800, ping)))), "POD_TO_POD vxlan"],
    ["Geneve with options", udpTo(6081, geneve(1, 0x6558, eth(0x0800, ping), new Uint8Array(12))), "POD_TO_POD geneve"],
    ["Geneve without Ethernet", udpTo(6081, geneve(1, 0x0800, ping)), "POD_TO_POD geneve"],
    ["IP in IP", outer(4, ping), "POD_TO_POD ipip"],
    ["GRE with a key", outer(47, gre(0x0800, ping, 5)), "POD_TO_POD gre"],
    ["NVGRE", outer(47, gre(0x6558, eth(0x0800, ping), 5)), "POD_TO_POD gre"],
    ["GRE in VXLAN", udpTo(4789, vxlan(42, outer(47, gre(0x0800, ping)))), "POD_TO_POD vxlan gre"],
    ["IPv6", eth(0x86dd, ipv6({ src: q1, dst: q2, protocol: 58 }, icmp(q1, q2, { type: 128 }, utf8("x")))), "POD_TO_POD"],
    ["IPv6, a later fragment", eth(0x86dd, ipv6({ src: q1, dst: q2, protocol: 17, fragmentOffset: 1200, id: 3 }, utf8("xxxx"))), "POD_TO_POD"],
    ["IPv6 in IPv4", outer(41, ipv6({ src: q1, dst: q2, protocol: 6 }, tcp(q1, q2, { srcPort: 1, dstPort: 2 }))), "POD_TO_POD 6in4"],
    ["an ICMP error that quotes a pods' packet", outer(1, icmp(n1, n2, { type: 3, code: 1 }, ping.subarray(0, 28))), "ICMP_QUOTE"],
    ["a quote of VXLAN", outer(1, icmp(n1, n2, { type: 11 }, udpTo(4789, vxlan(1, eth(0x0800, ping))).subarray(14))), "ICMP_QUOTE vxlan"],
    ["plain bytes on WireGuard's port", udpTo(51_820, utf8("GET / HTTP/1.0\r\n\r\n")), "WG_PORT_ABUSE"],
    ["a made-up handshake on WireGuard's port", udpTo(51_820, concat(Uint8Array.of(1, 0, 0, 0), new Uint8Array(144))), "WG_PORT_ABUSE"],
    ["a node to a pod", eth(0x0800, ipv4({ src: n1, dst: p2, protocol: 6 }, tcp(n1, p2, { srcPort: 9, dstPort: 80 }))), "NODE_TO_POD"],
    [
      "a pod to the world",
      eth(0x0800, ipv4({ src: p1, dst: parseIp("1.1.1.1")!, protocol: 6 }, tcp(p1, parseIp("1.1.1.1")!, { srcPort: 9, dstPort: 443 }))),
      "POD_EXTERNAL",
    ],
    ["ESP", outer(50, new Uint8Array(40)), "ENCRYPTED_OTHER"],
    ["the nodes' own ssh", outer(6, tcp(n1, n2, { srcPort: 40_000, dstPort: 22 })), "CONTROL"],
    ["something else between nodes", outer(6, tcp(n1, n2, { srcPort: 40_000, dstPort: 5000 })), "OTHER_NODE"],
    ["nonsense", Uint8Array.of(1, 2, 3), "UNKNOWN"],
  ])("%s", ([, data, want]) => expect(classOf(data)).toBe(want));

  test("a later fragment of an outer packet is what its first one is", () => {
    const whole = udp(n1, n2, 40_000, 4789, vxlan(42, eth(0x0800, ping)));
    const fields = { src: n1, dst: n2, protocol: 17, id: 5 };
    const parts = [ipv4({ ...fields, moreFragments: true }, whole.subarray(0, 64)), ipv4({ ...fields, fragmentOffset: 64 }, whole.subarray(64))];
    const { by, audit } = audited(parts.map((p) => packet(eth(0x0800, p))));
    expect([...by.keys()]).toEqual(["POD_TO_POD vxlan"]);
    expect(audit.findings.length).toBe(1);
  });
  test("tunnel addresses in a pod range are the nodes'", () => {
    const nodes = (document.nodes as Record<string, unknown>[]).map((n, i) => ({ ...n, tunnelIPs: [`10.244.${i + 1}.0`] }));
    const own = new Inventory({ ...document, nodes });
    const src = parseIp("10.244.1.0")!;
    const data = eth(0x0800, ipv4({ src, dst: p2, protocol: 1 }, icmp(src, p2, { type: 8 })));
    expect([...audited([packet(data)], own).by.keys()]).toEqual(["NODE_TO_POD"]);
  });
  test("a node without a key, an address that no peer has, encryption off", () => {
    const plain = packet(eth(0x0800, ping));
    const causes = (change: (n: Record<string, unknown>) => Record<string, unknown>, more = {}): string[] => [
      ...audited([plain], new Inventory({ ...document, ...more, nodes: (document.nodes as Record<string, unknown>[]).map(change) })).causes.keys(),
    ];
    expect(causes((n) => Object.fromEntries(Object.entries(n).filter(([k]) => k !== "wgPublicKey")))).toEqual(["PEER_NO_KEY"]);
    expect(causes((n) => ({ ...n, wgAllowedIPs: [] }))).toEqual(["PEER_NOT_CONFIGURED"]);
    expect(causes((n) => n, { encryption: false })).toEqual(["ENCRYPTION_OFF"]);
  });
  test("hostile frames throw nothing", () => {
    let seed = 3;
    const random = (n: number): number => (seed = (seed * 1_103_515_245 + 12_345) & 0x7fffffff) % n;
    const audit = new Audit(nodeCrypto, inventory);
    for (let i = 0; i < 5000; i++) {
      const p = leak.packets[random(leak.packets.length)]!;
      const data = new Uint8Array(p.data.subarray(0, random(6) === 0 ? random(p.data.length) : p.data.length));
      for (let k = random(5); k > 0 && data.length > 0; k--) data[random(data.length)] = random(256);
      audit.add({ ...p, data }, { name: "x" });
    }
    expect(audit.frames).toBe(5000);
  });
});

describe("several nodes' captures", () => {
  test("a packet is counted where it was sent, and nowhere else", () => {
    const audit = new Audit(nodeCrypto, inventory, ["node-a", "node-b"]);
    for (const p of leak.packets) {
      const ip = decode(p.data, 1).find((l) => l.kind === "ipv4" || l.kind === "ipv6");
      const fromA = ip !== undefined && /^(10\.77\.0\.1$|10\.244\.1\.|fd77::1$|fd44:1:)/.test(formatIp((ip as { src: Uint8Array }).src));
      audit.add({ ...p, direction: fromA ? "out" : "in" }, { name: "node-a", node: "node-a" });
      audit.add({ ...p, direction: fromA ? "in" : "out" }, { name: "node-b", node: "node-b" });
    }
    expect([audit.encrypted.packets, audit.plain.packets]).toEqual([32, 35]);
  });
});

test("a gap in what one capture point saw is no less a gap because another saw it", () => {
  const audit = new Audit(nodeCrypto, inventory);
  for (const p of leak.packets) {
    audit.add(p, { name: "a" });
    if (p.number !== 69) audit.add(p, { name: "b" });
  }
  expect(audit.gaps()).toBe(1);
});

test.for<[string, unknown, RegExp]>([
  ["no object", 7, /must be an object/],
  ["no port", { nodes: [], pods: [] }, /wireguardPort: must be a port/],
  ["a node's port that is none", { ...document, nodes: [{ name: "n", ips: [], podCIDRs: [], wgPort: 0 }] }, /nodes\[0\].wgPort: must be a port/],
  ["a port that is none", { ...document, wireguardPort: 70_000 }, /wireguardPort: must be a port/],
  ["an address that is none", { ...document, pods: [{ name: "p", node: "node-a", ips: ["10.0.0"] }] }, /pods\[0\]\.ips\[0\]: must be an address/],
  [
    "a node twice",
    {
      ...document,
      nodes: [
        { name: "a", ips: [], podCIDRs: [] },
        { name: "a", ips: [], podCIDRs: [] },
      ],
    },
    /nodes\[1\]\.name: is there twice/,
  ],
  ["a key that is none", { ...document, nodes: [{ name: "a", ips: [], podCIDRs: [], wgPublicKey: "xyz" }] }, /nodes\[0\]\.wgPublicKey/],
])("an inventory with %s is refused with the field's name", ([, value, message]) => expect(() => new Inventory(value)).toThrow(message));
