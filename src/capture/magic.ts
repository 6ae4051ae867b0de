// What a file is, by its first four bytes, and never by its name (sections 4.1, 4.3).
import type { Format } from "./format.ts";
import { pcapFormat } from "./pcap.ts";
import { pcapngFormat } from "./pcapng.ts";

/** By the first bytes as they stand, and by their number where writers of either byte order exist. */
const REFUSALS: Readonly<Record<number, string>> = {
  0xa1b234cd: "pcap with the longer records of Mesquita's patch is not read here: editcap -F pcapng IN OUT converts it",
  0xa12b3c4d: "Navtel's variant of pcap is not read here: editcap -F pcapng IN OUT converts it",
  0xa1b2c3cb: "a saved filter program, not a capture",
  0x1c0001ac: "a capture of Ixia's hardware is not read here: editcap -F pcapng IN OUT converts it",
  0x1c0001ab: "a capture of Ixia's software is not read here: editcap -F pcapng IN OUT converts it",
  0x736e6f6f: "a capture of snoop is not read here: editcap -F pcapng IN OUT converts it",
  0x474d4255: "a capture of Network Monitor is not read here: editcap -F pcapng IN OUT converts it",
  0x52545353: "a capture of Network Monitor 1 is not read here: editcap -F pcapng IN OUT converts it",
  0x28b52ffd: "it is packed with zstd: zstd -d unpacks it",
  0x04224d18: "it is packed with lz4: lz4 -d unpacks it",
  0xfd377a58: "it is packed with xz: xz -d unpacks it",
  0x504b0304: "it is packed with zip: unzip unpacks it",
};
const refusal = (magic: number): string | undefined => {
  if (magic >>> 16 === 0x1f8b) return "it is packed with gzip: gzip -d unpacks it";
  if (magic >>> 8 === 0x425a68) return "it is packed with bzip2: bzip2 -d unpacks it";
  return REFUSALS[magic];
};

/** The parser of a file that starts so, or why there is none. */
export function formatOf(start: Uint8Array, salvage: boolean): Format | string {
  if (start.length === 0) return "empty file";
  if (start.length < 4) return "not a capture file: shorter than any magic number";
  const v = new DataView(start.buffer, start.byteOffset, 4);
  const [magic, swapped] = [v.getUint32(0), v.getUint32(0, true)];
  if (magic === 0x0a0d0d0a) return pcapngFormat(salvage);
  return (
    pcapFormat(magic, false, salvage) ??
    pcapFormat(swapped, true, salvage) ??
    refusal(magic) ??
    REFUSALS[swapped] ??
    `not a capture file: it starts with ${magic.toString(16).padStart(8, "0")}, no magic number of pcap or pcapng`
  );
}
