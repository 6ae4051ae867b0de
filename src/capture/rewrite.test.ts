import { describe, expect, test } from "vitest";
import { concat, fromBase64, toBase64, toHex, utf8 } from "../base/bytes.ts";
import { keyLogFor } from "./embed.ts";
import { bytesOf, follow, keyIn, open, rewrite, textOf } from "./fixtures.cases.ts";
import { keyLogOf, parseKeyLog } from "./keylog.ts";
import { readCapture } from "./reader.ts";
import { Rewriter } from "./rewrite.ts";

const KEYS = textOf("wggo-psk-v4.initiator.keys");
const SECRETS = ["LOCAL_STATIC_PRIVATE_KEY", "LOCAL_EPHEMERAL_PRIVATE_KEY", "PRESHARED_KEY"].map((type) => keyIn(KEYS, type));
const again = (file: ReturnType<typeof open>, keyLog: string): Uint8Array => {
  const parts: Uint8Array[] = [];
  rewrite(file, keyLog, (x) => parts.push(x));
  return concat(...parts);
};
/** Sections in which a text stands, as bytes. */
const holds = (bytes: Uint8Array, text: string): boolean =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).includes(Buffer.from(utf8(text)));

describe("Rewriter without keys", () => {
  test.for(["dsb_start", "dsb_split", "dsb_comment", "dsb_end", "dsb_after1", "dsb_beforeidb"])("%s: nothing of its key block is left", (name) => {
    const path = `dsb-placement/${name}.pcapng`;
    const bytes = again(open(path), "");
    expect(holds(bytesOf(path), SECRETS[1]!)).toBe(true);
    expect(toHex(bytes)).not.toContain("4c4b4757");
    for (const secret of SECRETS) {
      expect(holds(bytes, secret)).toBe(false);
      expect(toHex(bytes)).not.toContain(toHex(fromBase64(secret)!));
    }
    const file = readCapture(bytes);
    expect([file.secrets, file.packets.length]).toEqual([[], 25]);
  });

  test("remarks and names that hold a key go too; the others stay", () => {
    const file = open("wggo-psk-v4.pcap");
    const secret = SECRETS[0]!;
    const hex = toHex(fromBase64(secret)!);
    const iface = { ...file.interfaces[0]!, name: "eth0", description: `key ${secret}`, filter: "udp", comments: ["kept", `x=${hex}`] };
    const packets = file.packets.map((p) => ({
      ...p,
      iface,
      comments: [`LEAK cause=ROUTE_BYPASS`, `PrivateKey = ${secret}`, secret.slice(0, 43)],
      details: { hash: fromBase64(secret)! },
    }));
    const names = [{ ip: new Uint8Array(4), names: ["node-a", secret] }];
    const bytes = again({ ...file, interfaces: [iface], packets, names }, "");
    expect(toHex(bytes)).not.toContain(hex);
    for (const text of [secret, secret.slice(0, 43), hex]) expect(holds(bytes, text)).toBe(false);
    const read = readCapture(bytes);
    expect(read.packets.map((p) => p.comments)).toEqual(packets.map(() => ["LEAK cause=ROUTE_BYPASS"]));
    expect(read.interfaces[0]).toMatchObject({ name: "eth0", filter: "udp", comments: ["kept"] });
    expect(read.interfaces[0]!.description).toBeUndefined();
    expect(read.names.map((n) => n.names)).toEqual([["node-a"]]);
    // With keys in the file it makes no difference, and everything stays.
    expect(readCapture(again({ ...file, interfaces: [iface], packets }, KEYS)).packets[0]!.comments.length).toBe(3);
  });

  test("blocks that nobody here understands stay behind", () => {
    const bytes = again(open("malformed/n_unknown_block.pcapng"), "");
    const types = blockTypes(bytes);
    expect(types.filter((t) => ![0x0a0d0d0a, 1, 4, 5, 6].includes(t))).toEqual([]);
  });

  test("one file a link type, each with the keys in front, unless they must be together", () => {
    const file = open("malformed/n_two_lt.pcapng");
    for (const together of [false, true]) {
      const files = new Map<string, Uint8Array[]>();
      const facts = { ...file, packets: 0, first: undefined, last: undefined };
      const writer = new Rewriter(facts, (suffix) => (files.set(suffix, []), (x) => void files.get(suffix)!.push(x)) as (x: Uint8Array) => void, {
        keyLog: KEYS,
        together,
      });
      for (const p of file.packets) writer.packet(p);
      writer.end();
      const read = [...files.values()].map((parts) => readCapture(concat(...parts)));
      expect(read.reduce((n, f) => n + f.packets.length, 0)).toBe(file.packets.length);
      expect(read.length).toBe(together ? 1 : new Set(file.interfaces.map((i) => i.link)).size);
      for (const f of read) expect(keyLogOf(f.secrets)!.ephemerals.length).toBe(1);
    }
  });
});

/** Types of the blocks of a little-endian pcapng file. */
function blockTypes(bytes: Uint8Array): number[] {
  const v = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const types: number[] = [];
  for (let at = 0; at < bytes.length; at += v.getUint32(at + 4, true)) types.push(v.getUint32(at, true));
  return types;
}

describe("keyLogFor()", () => {
  const file = open("wggo-psk-v4.pcap");
  test("one session, its four lines, and not one more", () => {
    const { tracker, secrets } = follow(file, KEYS, textOf("leak.nodeA.keys"));
    const { text, forWireshark, onlyOurs } = keyLogFor(tracker.sessions, secrets);
    const log = parseKeyLog(text);
    expect([forWireshark, onlyOurs, text.split("\n").length - 1]).toEqual([1, 0, 4]);
    expect([log.staticPrivate.length, log.staticPublic.length, log.ephemerals.length]).toEqual([1, 1, 1]);
  });
  test("session keys only: they open the same packets, and no node's key is among them", () => {
    const { tracker, secrets } = follow(file, KEYS);
    const { text, forWireshark, onlyOurs } = keyLogFor(tracker.sessions, secrets, { sessionKeysOnly: true });
    expect([forWireshark, onlyOurs]).toEqual([0, 1]);
    expect(text).toMatch(/^(WGX_SESSION_KEY = 0x[0-9a-f]{8} .{44}\n){2}$/);
    const bytes = again(file, text);
    for (const secret of SECRETS) expect(holds(bytes, secret)).toBe(false);
    const read = readCapture(bytes);
    const counts = follow(read).tracker.sessions[0]!.counts;
    expect(counts.toResponder.decrypted + counts.toInitiator.decrypted).toBe(22);
    expect(keyLogOf(read.secrets)!.sessionKeys.size).toBe(2);
    expect(toBase64(keyLogOf(read.secrets)!.sessionKeys.values().next().value![0]!)).not.toBe("");
  });
});
