import { expect, test } from "vitest";
import { toHex } from "../../base/bytes.ts";
import { nodeCrypto } from "../../crypto/node.ts";
import { ethernet } from "../../packet/build.ts";
import type { CapturedPacket } from "../packet.ts";
import { Audit } from "./audit.ts";
import { clean, inventory, provable, WHOLE } from "./audit.cases.ts";
import { bypassPackets, NEAREST_BRIDGE } from "./bypass.ts";
import { Inventory } from "./inventory.ts";
import type { AuditOptions } from "./audit.ts";

const marker = Uint8Array.from({ length: 32 }, (_, i) => i * 7);
const packets = bypassPackets(inventory, marker);
const [four, six] = packets as [Uint8Array, Uint8Array];
const bypass = { packets: packets.map(toHex), wires: ["node-a/eth0"] };
const MAC = new Uint8Array(6).fill(2);
const template = clean.at(-1)!;
const frame = (packet: Uint8Array, dst: Uint8Array = NEAREST_BRIDGE, kept?: number): CapturedPacket => {
  const data = ethernet(dst, MAC, packet[0]! >> 4 === 4 ? 0x0800 : 0x86dd, packet);
  return { ...template, data: data.subarray(0, kept), originalLength: data.length };
};
const wire = provable.observed![0]!.links[0]!;
const judged = (sent: readonly CapturedPacket[], before = clean, options: AuditOptions = { sources: [WHOLE] }) => {
  const all = [...before, ...sent];
  const counted = { packets: all.length, bytes: all.reduce((n, p) => n + p.originalLength, 0) };
  const observed = [{ ...provable.observed![0]!, links: [{ ...wire, counted }] }];
  const audit = new Audit(nodeCrypto, new Inventory({ ...provable, observed, canary: { ...provable.canary!, bypass } }), options);
  for (const p of all) audit.add(p, WHOLE);
  audit.statistics({ osDropped: 0n });
  const { verdict, preconditions } = audit.judge();
  return { verdict, p2: preconditions[1]!, own: audit.classes.get("AUDIT_CONTROL") ?? 0 };
};
// Frames 59 and 60 of the fixture are all that is no WireGuard in it, but for 4 and 6.
const onlyWireGuard = clean.filter((p) => ![4, 6, 59, 60].includes(p.number));
const changed = (at: number): Uint8Array => four.map((b, i) => (i === at ? b ^ 1 : b));

test("a packet a family, from a pod's address to another node's", () => expect(packets.map((p) => p[0]! >> 4)).toEqual([4, 6]));
test("a quiet wire with the audit's own packets on it proves what one without does not", () => {
  expect(judged([frame(four), frame(six)], onlyWireGuard)).toMatchObject({ verdict: "PASS", own: 2, p2: { state: "ok" } });
  expect(judged([], onlyWireGuard)).toMatchObject({ verdict: "INCONCLUSIVE", p2: { state: "missing" } });
});
test("other packets do not stand for it, where it was sent and is not there", () =>
  expect(judged([])).toMatchObject({
    verdict: "INCONCLUSIVE",
    p2: { evidence: expect.stringMatching(/was not captured, or not recognised, on node-a\/eth0/) },
  }));
test("cut, it is known by what was kept", () => expect(judged([frame(four, NEAREST_BRIDGE, 90)])).toMatchObject({ own: 1, verdict: "INCONCLUSIVE" }));
test.for<[string, CapturedPacket]>([
  ["one more hop", frame(changed(8))],
  ["another port", frame(changed(23))],
  ["another byte of its marker", frame(changed(40))],
  ["a byte at its end", frame(changed(four.length - 1))],
  ["another receiver on the link", frame(four, MAC)],
  ["a byte more", frame(Uint8Array.of(...four, 0))],
  ["cut within its headers", frame(four, NEAREST_BRIDGE, 50)],
])("with %s it is a leak like any other", ([, packet]) => expect(judged([frame(four), packet])).toMatchObject({ verdict: "FAIL", own: 1 }));
