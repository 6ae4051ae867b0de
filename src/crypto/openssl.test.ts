import { describe, expect, test } from "vitest";
import { cryptoCases, packetCases } from "./crypto.cases.ts";
import { opensslCrypto } from "./openssl.ts";
import { opensslPackets } from "./packets.ts";
import { directPackets } from "./packets-direct.ts";
import { evpPackets } from "./packets-evp.ts";
import { nodePackets } from "./packets-node.ts";
import { SHORT, shortPackets } from "./packets-short.ts";
import type { PacketCrypto } from "../wireguard/crypto.ts";

const wasm = new WebAssembly.Memory({ initial: 4, maximum: 4, shared: true });
const short = shortPackets(wasm, nodePackets(wasm.buffer));
/** `short` as if it worked in any memory: it is copied there and back. */
function shortIn(memory: ArrayBufferLike): PacketCrypto {
  const theirs = new Uint8Array(memory);
  const ours = new Uint8Array(wasm.buffer, 0, theirs.length);
  const there = <T>(f: () => T): T => {
    ours.set(theirs);
    const result = f();
    theirs.set(ours);
    return result;
  };
  return { name: short.name, seal: (...a) => there(() => short.seal(...a)), open: (...a) => there(() => short.open(...a)) };
}

cryptoCases(opensslCrypto());
// Node of a distribution (shared libcrypto) exports the EVP functions alone.
describe.skipIf(!directPackets(new ArrayBuffer(64)))("direct", () => packetCases((memory) => directPackets(memory)!));
describe.skipIf(!evpPackets(new ArrayBuffer(64)))("EVP", () => packetCases((memory) => evpPackets(memory)!));

describe("short packets in WebAssembly, long ones by node:crypto", () => packetCases(shortIn));

// Limbs of Poly1305 at their greatest, and sums that come out just below, at and above the modulus: chosen texts are not enough, many random ones are.
test("short packets: 20,000 random keys, counters and texts, against node:crypto", () => {
  const u8 = new Uint8Array(wasm.buffer, 0, 4096);
  const right = new Uint8Array(4096);
  const oracle = nodePackets(right.buffer);
  for (let i = 0; i < 20_000; i++) {
    crypto.getRandomValues(right);
    // Texts whose ciphertext is mostly ones cannot be had without the key stream; keys and texts of ones can.
    if (i % 4 === 0) right.fill(0xff, 64, 96);
    u8.set(right);
    const length = i % (SHORT + 1);
    const [lo, hi] = [i * 0x9e3779b1, i << 20];
    short.seal(64, lo >>> 0, hi >>> 0, 256, 1024, length);
    oracle.seal(64, lo >>> 0, hi >>> 0, 256, 1024, length);
    if (!Buffer.from(u8.buffer, 1024, length + 16).equals(right.subarray(1024, 1040 + length))) expect.unreachable(`text ${i} of ${length} bytes`);
  }
});

test("what was picked has a name and works", () => {
  expect(["openssl (direct)", "openssl (EVP)", "node"]).toContain(opensslPackets(new ArrayBuffer(64)).name);
  expect(opensslPackets(wasm.buffer, { wasm }).name).toMatch(/; short: WebAssembly$/);
  expect(["openssl (direct)", "node"]).toContain(opensslCrypto().name);
});
