// Names and labels of Calico's IPAM objects on Kubernetes, where a name has at most 253 characters and a label at most 63.
import { sha256 } from "@noble/hashes/sha2.js";
import { sha3_256 } from "@noble/hashes/sha3.js";
import { blockName } from "../../api/ipamblock.ts";
import { toHex, utf8 } from "../../base/bytes.ts";

const LONGEST = 253;
const HASH_DIGITS = 11;

/** Name of a node's claim on a block: "NODE-10-65-0-0-26". One of 253 characters or more is cut, and a hash of the whole is put behind. */
export function affinityName(node: string, cidr: string): string {
  const block = blockName(cidr);
  const name = `${node}-${block}`;
  if (name.length < LONGEST) return name;
  const hash = toHex(sha256(utf8(`${node}+${block}`))).slice(0, HASH_DIGITS);
  return `${node.slice(0, LONGEST - 1 - block.length - HASH_DIGITS - 2)}-${block}-${hash}`;
}

const BASE32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/** RFC 4648 base32 without padding. */
export function base32(bytes: Uint8Array): string {
  let [text, bits, held] = ["", 0, 0];
  for (const byte of bytes) {
    held = (held << 8) | byte;
    for (bits += 8; bits >= 5; bits -= 5) text += BASE32[(held >>> (bits - 5)) & 31]!;
    held &= (1 << bits) - 1;
  }
  return bits === 0 ? text : text + BASE32[(held << (5 - bits)) & 31]!;
}

/** The labels by which the claims of one node are found; a host's name itself may be too long for a label. */
export const affinityLabels = (claim: { node: string; type?: string; cidr: string }): Record<string, string> => ({
  "projectcalico.org/hostname-hash": base32(sha3_256(utf8(claim.node))),
  "projectcalico.org/affinity-type": claim.type ?? "host",
  "projectcalico.org/ip-version": claim.cidr.includes(":") ? "6" : "4",
});
