import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { fromHex, toBase64, utf8 } from "../../base/bytes.ts";
import { parseCidr } from "../../base/cidr.ts";
import { parseUapiEndpoint } from "../../uapi/codec.ts";
import { parseConfig, parseWords } from "./config.ts";
import { configOf, difference } from "./conf.ts";
import { keyFromBase64, keyOfInput, publicKeyOf } from "./key.ts";
import { pretty } from "./pretty.ts";
import { type Device, FIELDS } from "./show.ts";
import { parseFwmark, parseKeepalive } from "./values.ts";
import { strerror } from "../strerror.ts";

const key = (n: number): Uint8Array => new Uint8Array(32).fill(n);
const text = (n: number): string => toBase64(key(n));

describe("keys", () => {
  test("base64 agrees with Buffer, and whatever Buffer would not write is refused", () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 32, maxLength: 32 }), fc.nat(43), fc.integer({ min: 0, max: 255 }), (bytes, at, other) => {
        const right = Buffer.from(Buffer.from(bytes).toString("base64"));
        expect(keyFromBase64(right)).toEqual(new Uint8Array(bytes));
        right[at] = other;
        const decoded = Buffer.from(right.toString("latin1"), "base64");
        const canonical = decoded.length === 32 && decoded.toString("base64") === right.toString("latin1");
        expect(keyFromBase64(right) !== undefined).toBe(canonical);
      }),
    );
  });
  test("the public key is RFC 7748's (section 6.1, Alice)", () => {
    const secret = fromHex("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a")!;
    expect(toBase64(publicKeyOf(secret))).toBe(toBase64(fromHex("8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a")!));
  });
  test("input: 44 characters, then blanks and NULs only", () => {
    expect(keyOfInput(utf8(`${text(7)}\n \0`), "wg")).toEqual(key(7));
    expect(() => keyOfInput(utf8(`${text(7)}x`), "wg")).toThrow("wg: Trailing characters found after key");
    expect(() => keyOfInput(utf8(text(7).slice(1)), "wg")).toThrow("wg: Key is not the correct length or format");
  });
});

const device: Device = {
  privateKey: key(0x58),
  listenPort: 51820,
  fwmark: 0xca6c,
  peers: [
    {
      publicKey: key(1),
      presharedKey: key(0),
      lastHandshakeSec: 0,
      lastHandshakeNsec: 0,
      txBytes: 0,
      rxBytes: 0,
      persistentKeepalive: 0,
      allowedIps: [],
    },
    {
      publicKey: key(2),
      presharedKey: key(3),
      endpoint: parseUapiEndpoint("[2001:db8::1]:51820"),
      lastHandshakeSec: 935,
      lastHandshakeNsec: 0,
      txBytes: 3.5 * 2 ** 20,
      rxBytes: 1239,
      persistentKeepalive: 25,
      allowedIps: [parseCidr("10.0.0.2/32")!, parseCidr("fd00::2/128")!],
    },
  ],
};

test("show, for people: the newest handshake first, secrets hidden", () => {
  expect(pretty("wg0", device, () => "", 1_000_000).split("\n")).toEqual([
    "interface: wg0",
    `  public key: ${toBase64(publicKeyOf(key(0x58)))}`,
    "  private key: (hidden)",
    "  listening port: 51820",
    "  fwmark: 0xca6c",
    "",
    `peer: ${text(2)}`,
    "  preshared key: (hidden)",
    "  endpoint: [2001:db8::1]:51820",
    "  allowed ips: 10.0.0.2/32, fd00::2/128",
    "  latest handshake: 1 minute, 5 seconds ago",
    "  transfer: 1.21 KiB received, 3.50 MiB sent",
    "  persistent keepalive: every 25 seconds",
    "",
    `peer: ${text(1)}`,
    "  allowed ips: (none)",
    "",
  ]);
});
test.for<[number, string]>([
  [0, "Now"],
  [-1, "(System clock wound backward; connection problems may ensue.)"],
  [1, "1 second ago"],
  [7200, "2 hours ago"],
  [366 * 86_400 + 3661, "1 year, 1 day, 1 hour, 1 minute, 1 second ago"],
])("a handshake %d s ago: %s", ([ago, words]) => {
  const now = 1_700_000_000;
  const seen = { ...device, peers: [{ ...device.peers[1]!, lastHandshakeSec: now - ago }] };
  expect(pretty("wg0", seen, () => "", now * 1000 + 999)).toContain(`latest handshake: ${words}
`);
});

test("dump and fields", () => {
  expect(FIELDS.dump!(device)[2]).toBe(`${text(2)}\t${text(3)}\t[2001:db8::1]:51820\t10.0.0.2/32,fd00::2/128\t935\t1239\t3670016\t25`);
  expect(FIELDS.dump!(device)[1]).toBe(`${text(1)}\t(none)\t(none)\t(none)\t0\t0\t0\toff`);
  expect(FIELDS["allowed-ips"]!(device)).toEqual([`${text(1)}\t(none)`, `${text(2)}\t10.0.0.2/32 fd00::2/128`]);
  expect(FIELDS["public-key"]!({ listenPort: 0, fwmark: 0, peers: [] })).toEqual(["(none)"]);
});

test("what showconf prints, setconf reads", async () => {
  const config = await parseConfig(utf8(configOf(device)), false);
  expect(config).toMatchObject({ privateKey: key(0x58), listenPort: 51820, fwmark: 0xca6c, replacePeers: true });
  expect(config.peers).toMatchObject([
    { publicKey: key(1), allowedIps: [], replaceAllowedIps: true },
    {
      publicKey: key(2),
      presharedKey: key(3),
      endpoint: device.peers[1]!.endpoint,
      persistentKeepalive: 25,
      allowedIps: device.peers[1]!.allowedIps,
    },
  ]);
});
test("parseConfig() wipes what it read, and clears what is absent unless appending", async () => {
  const content = utf8(`[Interface]\nPrivateKey=${text(9)}\n`);
  expect(await parseConfig(content, true)).toEqual({ privateKey: key(9), peers: [] });
  expect(content.every((b) => b === 0)).toBe(true);
  expect(await parseConfig(utf8(""), false)).toEqual({ privateKey: key(0), listenPort: 0, fwmark: 0, replacePeers: true, peers: [] });
});
test.for(["constructor = 1", "__proto__ = 1", "toString=1"])("%j is no key", async (line) => {
  await expect(parseConfig(utf8(`[Interface]\n${line}\n`), false)).rejects.toThrow("Line unrecognized");
  await expect(parseConfig(utf8(`[Peer]\n${line}\n`), false)).rejects.toThrow("Line unrecognized");
});
test("any file is read or refused in words", async () => {
  const line = fc.constantFrom(
    "[Interface]",
    "[Peer]",
    "ListenPort=1",
    `PublicKey=${text(1)}`,
    "AllowedIPs=10.0.0.0/8,",
    "AllowedIPs=",
    "#",
    "x",
    "FwMark=0x",
  );
  await fc.assert(
    fc.asyncProperty(fc.array(fc.oneof(line, fc.string()), { maxLength: 12 }), async (lines) => {
      await parseConfig(utf8(lines.join("\n")), false).catch((e: Error) =>
        expect(e.message).toMatch(/(Configuration parsing error|Invalid configuration)$/),
      );
    }),
  );
});

test("numbers", async () => {
  expect(["off", "OFF", "0", "7", "0xfF", "007"].map(parseFwmark)).toEqual([0, 0, 0, 7, 255, 7]);
  for (const t of ["", "-1", "0x", "4294967296", "1 ", "0XF"]) expect(() => parseFwmark(t)).toThrow("Fwmark is neither 0/off nor 0-0xffffffff");
  expect(["off", "65535"].map(parseKeepalive)).toEqual([0, 65_535]);
  for (const t of ["", "65536", "1s"]) expect(() => parseKeepalive(t)).toThrow("Persistent keepalive interval is neither 0/off nor 1-65535");
  await expect(parseWords(["listen-port", "99999"])).rejects.toThrow("Servname not supported");
});

test("syncconf with the file of the present state changes nothing that matters", async () => {
  const config = await parseConfig(utf8(configOf(device)), false);
  expect(difference(config, device)).toEqual({ ...config, replacePeers: false });
});

test("strerror says what glibc says", () =>
  expect([98, 22, 5, 19, 9999].map(strerror)).toEqual([
    "Address already in use",
    "Invalid argument",
    "Input/output error",
    "No such device",
    "Unknown error 9999",
  ]));
