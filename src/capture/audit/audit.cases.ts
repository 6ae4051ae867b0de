// The fixture of the audit, for tests: a capture of every kind of leak, and the part of it that is clean, with all that a proof needs.
import { nodeCrypto } from "../../crypto/node.ts";
import { open, textOf } from "../fixtures.cases.ts";
import type { CapturedPacket } from "../packet.ts";
import type { CaptureFile } from "../reader.ts";
import { Audit, type Source } from "./audit.ts";
import { Inventory, type InventoryDocument } from "./inventory.ts";

export const document = JSON.parse(textOf("leak-inventory.json")) as InventoryDocument;
export const inventory = new Inventory(document);
export const leak: CaptureFile = open("leak-nodeA.pcap");
export const range = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, i) => from + i);

/** Frame numbers by class and path, and by cause. */
export function audited(
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

export const clean: readonly CapturedPacket[] = leak.packets.filter((p) =>
  [4, 6, ...range(20, 25), ...range(27, 42), 59, 60, ...range(67, 70), ...range(95, 102)].includes(p.number),
);
/** The clean part's capture, and an inventory with all the evidence that a proof needs. */
export const WHOLE: Source = { name: "node-a/eth0", node: "node-a", link: "eth0" };
const seconds = (t: bigint): number => Number(t / 1_000_000n) / 1000;
export const provable: InventoryDocument = {
  ...document,
  observed: [
    {
      node: "node-a",
      from: seconds(clean[0]!.time!),
      to: seconds(clean.at(-1)!.time!) + 1,
      links: [{ name: "eth0", role: "wire", counted: { packets: clean.length, bytes: clean.reduce((n, p) => n + p.originalLength, 0) } }],
      conntrack: "",
    },
  ],
  canary: {
    marker: "00112233445566778899aabbccddeeff",
    paths: [{ path: "native", from: "default/client", to: "default/server", sent: 12, received: 12 }],
    controls: [{ what: "wg0", seen: 24, needed: true }],
  },
};
