import { describe, expect, test } from "vitest";
import { formatIp, parseIp } from "../../base/ip.ts";
import { nodeCrypto } from "../../crypto/node.ts";
import { ethernet, ip, udp } from "../../packet/build.ts";
import { decode } from "../../packet/decode.ts";
import { open, textOf } from "../fixtures.cases.ts";
import type { CapturedPacket, CaptureInterface } from "../packet.ts";
import { Audit, type Source } from "./audit.ts";
import { audited, clean, document, inventory, leak, provable, range, WHOLE } from "./audit.cases.ts";
import { Inventory, type InventoryDocument } from "./inventory.ts";
import type { NodeObservation } from "./observed.ts";

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
    expect(audit.encrypted).toEqual({
      packets: 32,
      bytes: 5280,
      provenPackets: 32,
      provenBytes: 5280,
      authenticatedPackets: 0,
      handshakes: 2,
    });
    expect(audit.plain).toEqual({ packets: 35, bytes: 10_287 });
    const share = audit.share()!;
    expect([(share.packets * 100).toFixed(2), (share.bytes * 100).toFixed(2)]).toEqual(["47.76", "33.92"]);
    expect(audit.proof.gaps()).toBe(0);
  });
  test("counters are contiguous from 0 to 15 in each direction", () => {
    expect([...audit.proof.counters.values()].map((c) => [c.lowest, c.highest, c.messages])).toEqual([
      [0n, 15n, 16],
      [0n, 15n, 16],
    ]);
  });
  test("its ciphertext is uniform, and nothing on the port is unexplained", () => {
    expect(audit.proof.notUniform()).toEqual([]);
    expect(audit.proof.unexplained(audit.first)).toEqual([]);
  });
  test("fragments are of their flow, an address without a pod is remarked, readable payload is named and not repeated", () => {
    const route = audit.findings.filter((f) => f.cause === "ROUTE_BYPASS");
    expect(route.map((f) => [f.packets, f.fragments])).toEqual([
      [3, 2],
      [3, 2],
      [1, 0],
    ]);
    expect([...route[2]!.notes].join()).toMatch(/UNASSIGNED_IP: no pod has 10\.244\.2\.99/);
    const readable = audit.findings.filter((f) => f.hint?.what === "payload readable (HTTP)");
    expect(readable.length).toBeGreaterThan(0);
    expect(readable.every((f) => f.hint!.sample!.length > 10 && !/secret/.test(f.hint!.sample!))).toBe(true);
  });
  test("by cause: flows, packets, seconds", () => {
    const totals = audit.found.byCause(audit.findings);
    expect(Object.fromEntries(totals.map((t) => [t.cause, t.packets]))).toEqual({
      TUNNEL_NOT_UP: 6,
      OVERLAY_BYPASS: 18,
      FAMILY_GAP: 4,
      ROUTE_BYPASS: 7,
      ICMP_ERROR: 5,
    });
    expect(totals.every((t) => t.flows > 0 && t.seconds > 0 && t.first! <= t.last!)).toBe(true);
  });
  test("exactly the findings' frames carry a comment", () => {
    const again = new Audit(nodeCrypto, inventory);
    const commented = leak.packets.flatMap((p) => again.add(p, { name: "a" })?.comment ?? []);
    expect(commented).toHaveLength(35 + 5);
    expect(new Set(commented.map((c) => c.replace(/ cause=.*/, "")))).toEqual(new Set(["LEAK POD_TO_POD", "LEAK ICMP_QUOTE"]));
  });
  test("the verdict", () => expect(audit.judge().verdict).toBe("FAIL"));
});

describe("a proof", () => {
  const judged = (packets: readonly CapturedPacket[], of: InventoryDocument, source: Source = WHOLE) => {
    const audit = new Audit(nodeCrypto, new Inventory(of), { sources: [source] });
    for (const p of packets) audit.add(p, source);
    audit.statistics({ osDropped: 0n });
    return audit.judge();
  };
  const missing = (packets: readonly CapturedPacket[], of: InventoryDocument, source?: Source): string => {
    const { verdict, preconditions } = judged(packets, of, source);
    return [verdict, ...preconditions.filter((p) => p.state === "missing").map((p) => p.id)].join(" ");
  };
  const changed = (i: Partial<CaptureInterface>): CapturedPacket[] => clean.map((p) => ({ ...p, iface: { ...p.iface, ...i } }));
  const observed = (change: Partial<NodeObservation>): InventoryDocument => ({
    ...provable,
    observed: [{ ...provable.observed![0]!, ...change }],
  });
  const stranger = (to: string): CapturedPacket => {
    const [src, dst] = [parseIp("192.0.2.7")!, parseIp(to)!];
    const mac = new Uint8Array(6).fill(2);
    const data = ethernet(mac, mac, 0x0800, ip({ src, dst, protocol: 17 }, udp(src, dst, 1000, 2000, new Uint8Array(8))));
    return { ...clean.at(-1)!, data, originalLength: data.length, direction: "out" };
  };
  const [wire] = provable.observed![0]!.links;

  test("of a window with encrypted traffic only: PASS", () => {
    expect(judged(clean, provable)).toMatchObject({ verdict: "PASS", doubts: [] });
    expect(missing(clean, provable)).toBe("PASS");
  });
  test.for<[string, readonly CapturedPacket[], InventoryDocument, string, Source?]>([
    [
      "P1: a second link was not captured",
      clean,
      observed({ links: [wire!, { name: "eth1", role: "wire", counted: { packets: 0, bytes: 0 } }] }),
      "P1",
    ],
    [
      "P1: another machine was watched, and its capture is not there",
      clean,
      { ...provable, observed: [...provable.observed!, { ...provable.observed![0]!, node: "node-b" }] },
      "P1",
    ],
    ["P1: the capture broke off", clean, provable, "P1", { ...WHOLE, broken: "it was killed" }],
    ["P1, P7, P8: nothing is known of the node", clean, { ...provable, observed: [] }, "P1 P7 P8"],
    ["P2: a capture filter", changed({ filter: "udp port 51820" }), provable, "P2"],
    [
      "P2: nothing but WireGuard, as with a filter that nobody recorded",
      clean.filter((p) => p.number > 19 && p.number !== 59 && p.number !== 60),
      provable,
      "P2",
    ],
    ["P3: packets dropped", clean.map((p, i) => (i === 5 ? { ...p, dropped: 2n } : p)), provable, "P3"],
    ["P3: a data message is missing", clean.filter((p) => p.number !== 69), provable, "P3"],
    ["P4: snap length", changed({ snaplen: 96 }), provable, "P4"],
    ["P4: cut packets", clean.map((p) => ({ ...p, data: p.data.subarray(0, 120) })), provable, "P4"],
    ["P5: no interface identity", open("leak-anyA-sll1.pcap").packets.filter((p) => p.number < 10), provable, "P5"],
    ["P6: one node only", clean, { ...provable, nodes: provable.nodes.slice(0, 1), pods: [] }, "P6 P9"],
    ["P6: no address of a node", clean, { ...provable, nodes: provable.nodes.map((n, i) => (i === 1 ? { ...n, ips: [] } : n)) }, "P6 P9"],
    ["P6: an address of nobody leaves the node, for a pod", [...clean, stranger("10.244.2.20")], provable, "P6"],
    ["P6: an address of nobody leaves the node, for nobody", [...clean, stranger("192.0.2.8")], provable, "P6"],
    ["P7: an XDP program", clean, observed({ links: [{ ...wire!, xdp: "driver" }] }), "P7"],
    ["P7: virtual functions", clean, observed({ links: [{ ...wire!, vfs: 2 }] }), "P7"],
    ["P7: the kernel counted more", clean, observed({ links: [{ ...wire!, counted: { packets: clean.length + 1, bytes: 1 } }] }), "P7"],
    ["P7: the kernel's counters are not known", clean, observed({ links: [{ name: "eth0", role: "wire" }] }), "P7"],
    ["P6, P8: an inventory of another time", clean, observed({ from: 1, to: 2 }), "P6 P8"],
    ["P9: no canary", clean, Object.fromEntries(Object.entries(provable).filter(([k]) => k !== "canary")) as InventoryDocument, "P9"],
    [
      "P9: a canary that did not arrive",
      clean,
      { ...provable, canary: { ...provable.canary!, paths: [{ path: "native", from: "a", to: "b", sent: 9, received: 0 }] } },
      "P9",
    ],
    [
      "P9: a marker that was not seen on the tunnel device",
      clean,
      { ...provable, canary: { ...provable.canary!, controls: [{ what: "wg0", seen: 0, needed: true }] } },
      "P9",
    ],
  ])("is not given without %s", ([, packets, of, want, source]) => {
    const said = missing(packets, of, source);
    expect(said).toMatch(/^INCONCLUSIVE/);
    expect(said).toContain(want);
  });
  test("nor without WireGuard that is proven, nor of nothing at all", () => {
    expect(
      judged(
        clean.filter((p) => p.number !== 20 && p.number !== 21),
        provable,
      ),
    ).toMatchObject({ verdict: "INCONCLUSIVE", doubts: [expect.stringMatching(/no WireGuard data/)] });
    expect(judged([], provable).verdict).toBe("INCONCLUSIVE");
  });
  test("what was not checked can be vouched for, what was seen not to hold cannot", () => {
    const state = (of: InventoryDocument): string => {
      const audit = new Audit(nodeCrypto, new Inventory(of), { sources: [WHOLE] });
      for (const p of clean) audit.add(p, WHOLE);
      audit.statistics({});
      const { verdict, preconditions } = audit.judge(new Set(["P1", "P7", "P8", "P9"]));
      return [verdict, ...preconditions.filter((p) => p.state !== "ok").map((p) => `${p.id} ${p.state}`)].join(", ");
    };
    expect(state({ ...provable, observed: [] })).toBe("PASS, P1 trusted, P7 trusted, P8 trusted");
    expect(state(observed({ links: [{ ...wire!, xdp: "driver" }] }))).toBe("INCONCLUSIVE, P7 missing");
  });
  test("drops that a counter tells", () => {
    const audit = new Audit(nodeCrypto, new Inventory(provable), { sources: [WHOLE] });
    for (const p of clean) audit.add(p, WHOLE);
    audit.statistics({ osDropped: 3n });
    expect(audit.judge().verdict).toBe("INCONCLUSIVE");
  });
  test("damage in the file", () => {
    const audit = new Audit(nodeCrypto, new Inventory(provable), { sources: [WHOLE] });
    for (const p of clean) audit.add(p, WHOLE);
    audit.statistics({});
    audit.damage(WHOLE, { offset: 99, block: "x", reason: "y" });
    expect(audit.judge().verdict).toBe("INCONCLUSIVE");
  });
  test("one plain pod packet: FAIL, whatever else is missing", () => {
    expect(judged([...clean, leak.packets[74]!], { ...provable, observed: [] }).verdict).toBe("FAIL");
  });
  test("of the link type that does not tell interfaces: never", () => {
    expect(judged(open("leak-anyA-sll1.pcap").packets, provable).verdict).toBe("INCONCLUSIVE");
  });
  test("of a tunnel device, where plain packets are right: never, and no leak either", () => {
    expect(missing(open("leak-wgA-raw-nano.pcap").packets, document, { name: "wg0" })).toMatch(/^INCONCLUSIVE.*P5/);
  });
  test("of a capture of all links that tells them apart: plain packets on inner links are no leak", () => {
    const sll2 = open("wggo-rekey-any-sll2.pcap");
    const ends = ["10.77.0.1", "10.77.0.2"];
    const nodes = ends.map((ip, i) => ({ name: `n${i}`, ips: [ip, `fd77::${i + 1}`], podCIDRs: [`10.78.0.${i + 1}/32`, `fd78::${i + 1}/128`] }));
    const links = [
      { name: "eth0", index: 2, role: "wire" as const },
      { name: "wg0", index: 3, role: "inside" as const },
    ];
    const of = (o: NodeObservation[]): Inventory => new Inventory({ wireguardPort: 51_820, nodes, pods: [], observed: o });
    const source = { name: "any", node: "n0", link: "any" };
    const seen = (inv: Inventory): Audit => {
      const audit = new Audit(nodeCrypto, inv, { sources: [source] });
      for (const p of sll2.packets) audit.add(p, source);
      return audit;
    };
    const known = seen(of([{ node: "n0", from: 0, to: 1, links }]));
    expect(known.findings.filter((f) => f.class === "POD_TO_POD")).toEqual([]);
    expect(known.inside).toBeGreaterThan(0);
    expect(known.judge().preconditions.find((p) => p.id === "P5")!.state).toBe("ok");
    expect(
      seen(of([]))
        .judge()
        .preconditions.find((p) => p.id === "P5")!.state,
    ).toBe("missing");
  });
});

describe("several nodes' captures", () => {
  const both: Source[] = ["node-a", "node-b"].map((name) => ({ name, node: name }));
  const fromA = (p: CapturedPacket): boolean => {
    const ip = decode(p.data, 1).find((l) => l.kind === "ipv4" || l.kind === "ipv6");
    return ip !== undefined && /^(10\.77\.0\.1$|10\.244\.1\.|fd77::1$|fd44:1:)/.test(formatIp((ip as { src: Uint8Array }).src));
  };
  test("a packet is counted where it was sent, and nowhere else; the other capture confirms it", () => {
    const audit = new Audit(nodeCrypto, inventory, { sources: both });
    for (const p of leak.packets) for (const s of both) audit.add({ ...p, direction: fromA(p) === (s.node === "node-a") ? "out" : "in" }, s);
    expect([audit.encrypted.packets, audit.plain]).toEqual([32, { packets: 35, bytes: 10_287 }]);
    expect(audit.findings.every((f) => f.confirmed === f.packets)).toBe(true);
  });
  test("what a sender's capture is blind to, the receiver's shows", () => {
    const audit = new Audit(nodeCrypto, inventory, { sources: both });
    for (const p of leak.packets) {
      const plain = p.number >= 75 && p.number <= 81;
      for (const s of both) if (!plain || (s.node === "node-a") !== fromA(p)) audit.add(p, s);
    }
    const { verdict, preconditions } = audit.judge();
    expect([verdict, audit.plain.packets]).toEqual(["FAIL", 35]);
    expect(preconditions.find((p) => p.id === "P3")!.evidence).toMatch(/captured where they arrived and not where they were sent/);
  });
  test("clocks that differ are noticed", () => {
    const audit = new Audit(nodeCrypto, inventory, { sources: both });
    for (const p of leak.packets) for (const s of both) audit.add({ ...p, time: p.time! + (s.node === "node-b" ? 90_000_000_000n : 0n) }, s);
    expect(audit.judge().preconditions.find((p) => p.id === "P8")).toMatchObject({
      state: "missing",
      evidence: expect.stringMatching(/ms after they are sent/),
    });
  });
  test("a gap in what one capture point saw is no less a gap because another saw it", () => {
    const audit = new Audit(nodeCrypto, inventory);
    for (const p of leak.packets) {
      audit.add(p, { name: "a" });
      if (p.number !== 69) audit.add(p, { name: "b" });
    }
    expect(audit.proof.gaps()).toBe(1);
  });
  test("but what the network lost between two captures is no loss of a capture", () => {
    const audit = new Audit(nodeCrypto, inventory, { sources: both });
    for (const p of leak.packets) for (const s of both) if (p.number !== 69 || (s.node === "node-a") === fromA(p)) audit.add(p, s);
    expect(audit.proof.gaps()).toBe(0);
  });
});

test.for<[string, unknown, RegExp]>([
  ["no object", 7, /must be an object/],
  ["no port", { nodes: [], pods: [] }, /wireguardPort: must be a port/],
  ["a node's port that is none", { ...document, nodes: [{ name: "n", ips: [], podCIDRs: [], wgPort: 0 }] }, /nodes\[0\].wgPort: must be a port/],
  ["a port that is none", { ...document, wireguardPort: 70_000 }, /wireguardPort: must be a port/],
  ["an address that is none", { ...document, pods: [{ name: "p", node: "node-a", ips: ["10.0.0"] }] }, /pods\[0\]\.ips\[0\]: must be an address/],
  ["an observation without links", { ...document, observed: [{ node: "a", from: 0, to: 1 }] }, /observed\[0\]\.links: must be a list/],
  ["a marker that is none", { ...document, canary: { marker: "xy", paths: [], controls: [] } }, /canary\.marker: must be hex/],
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

test("the fixture's inventory is one", () => expect(new Inventory(JSON.parse(textOf("leak-inventory.json"))).nodes).toHaveLength(2));
