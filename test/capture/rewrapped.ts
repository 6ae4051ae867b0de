// One capture's IP packets again behind other link layers' headers: what captures at hand do not have.
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { concat, fromHex } from "../../src/base/bytes.ts";
import { CaptureReader } from "../../src/capture/reader.ts";
import { PcapWriter } from "../../src/capture/writer.ts";

const MACS = "020000000002020000000001";
const SLL = "0004000100060200000000010000";
/** Name, link type, and what stands before the IP packet (hex). */
const WRAPPINGS: readonly (readonly [name: string, link: number, header: string])[] = [
  ["vlan", 1, `${MACS}8100 a064 0800`],
  ["provider-vlan", 1, `${MACS}88a8 b064 0800`],
  ["vlan-in-provider-vlan", 1, `${MACS}88a8 0064 8100 7065 0800`],
  ["three-vlans", 1, `${MACS}9100 0064 8100 0065 8100 0066 0800`],
  ["vlan-in-sll", 113, `${SLL}8100 0064 0800`],
  ["null-little", 0, "02000000"],
  ["null-big", 0, "00000002"],
  ["loop", 108, "00000002"],
  ["ipv4", 228, ""],
];

/** Ethernet frames of `file` (IPv4), rewrapped, in a directory that is the caller's to remove. */
export function rewrapped(file: string): { directory: string; files: readonly string[] } {
  const directory = mkdtempSync(join(tmpdir(), "tortie-rewrapped-"));
  const reader = new CaptureReader();
  const packets = [...reader.push(new Uint8Array(readFileSync(file))), ...reader.end()].flatMap((e) => (e.kind === "packet" ? [e.packet] : []));
  const files = WRAPPINGS.map(([name, link, header]) => {
    const parts: Uint8Array[] = [];
    const writer = new PcapWriter((b) => void parts.push(b.slice()), { link });
    const before = fromHex(header.replaceAll(" ", ""))!;
    for (const p of packets) writer.packet(0, { time: p.time!, data: concat(before, p.data.subarray(14)) });
    const path = join(directory, `${name}.pcap`);
    writeFileSync(path, concat(...parts));
    return path;
  });
  return { directory, files };
}
