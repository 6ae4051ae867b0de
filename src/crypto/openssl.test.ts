import { describe, expect, test } from "vitest";
import { cryptoCases, packetCases } from "./crypto.cases.ts";
import { opensslCrypto } from "./openssl.ts";
import { opensslPackets } from "./packets.ts";
import { directPackets } from "./packets-direct.ts";
import { evpPackets } from "./packets-evp.ts";

cryptoCases(opensslCrypto());
// Node of a distribution (shared libcrypto) exports the EVP functions alone.
describe.skipIf(!directPackets(new ArrayBuffer(64)))("direct", () => packetCases((memory) => directPackets(memory)!));
describe.skipIf(!evpPackets(new ArrayBuffer(64)))("EVP", () => packetCases((memory) => evpPackets(memory)!));

test("what was picked has a name and works", () => {
  expect(["openssl (direct)", "openssl (EVP)", "node"]).toContain(opensslPackets(new ArrayBuffer(64)).name);
  expect(["openssl (direct)", "node"]).toContain(opensslCrypto().name);
});
