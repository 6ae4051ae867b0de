import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { fromHex, fromUtf8, toHex, utf8 } from "../base/bytes.ts";
import { formatCidr, parseCidr } from "../base/cidr.ts";
import { parseIp } from "../base/ip.ts";
import {
  encodeSet,
  encodeState,
  HandshakeOperation,
  LineTooLong,
  Lines,
  MAX_LINE,
  type Operation,
  parseKey,
  ReplyReader,
  SetOperation,
} from "./codec.ts";
import { MemoryDevice } from "./memory.ts";
import type { DeviceConfig, DeviceState } from "./types.ts";
import { parseAllowedIp, parseNumber, parseUapiEndpoint } from "./values.ts";

const A = "aa".repeat(32);
const B = "bb".repeat(32);

async function apply(operation: Operation, text: string): Promise<number> {
  for (const line of text.split("\n")) await operation.line(utf8(line));
  return operation.end();
}
const set = async (text: string, device = new MemoryDevice(fromHex("0f".repeat(32))!)): Promise<{ errno: number; calls: string[] }> => {
  const errno = await apply(new SetOperation(device), text);
  return { errno, calls: device.calls.map((c) => c.trim().replace(A, "A").replace(B, "B")) };
};

describe("Lines", () => {
  test("gives the same lines however the bytes are cut", () => {
    fc.assert(
      fc.property(fc.array(fc.stringMatching(/^[a-z=0-9]{0,30}$/), { maxLength: 20 }), fc.array(fc.nat(20)), (want, cuts) => {
        const bytes = utf8(want.map((l) => `${l}\n`).join(""));
        const lines = new Lines();
        const got: string[] = [];
        for (let at = 0, i = 0; at < bytes.length; i++) {
          const n = 1 + (cuts[i % Math.max(1, cuts.length)] ?? 7);
          for (const line of lines.push(bytes.slice(at, at + n))) got.push(fromUtf8(line));
          at += n;
        }
        expect(got).toEqual(want);
        expect(lines.empty).toBe(true);
      }),
    );
  });
  test("wipes what was handed in, and the line after it was used", () => {
    const chunk = utf8(`private_key=${A}\nrest`);
    const seen: Uint8Array[] = [];
    for (const line of new Lines().push(chunk)) seen.push(line);
    expect([...chunk, ...seen[0]!].every((b) => b === 0)).toBe(true);
  });
  test("refuses a line longer than MAX_LINE, in one chunk or in many", () => {
    expect(() => [...new Lines().push(new Uint8Array(MAX_LINE + 1).fill(97))]).toThrow(LineTooLong);
    expect(() => [...new Lines().push(utf8(`${"a".repeat(MAX_LINE + 1)}\n`))]).toThrow(LineTooLong);
    const lines = new Lines();
    expect([...lines.push(new Uint8Array(MAX_LINE).fill(97))]).toEqual([]);
    expect(() => [...lines.push(utf8("a"))]).toThrow(LineTooLong);
  });
});

describe("values", () => {
  test.for(["", "-1", "+1", "01", " 1", "1 ", "0x1", "1e3", "65536", "1.0", "٣"])("number %j is refused", (t) =>
    expect(parseNumber(t, 65535)).toBeUndefined(),
  );
  test("keys: 64 hex digits of either case, nothing else", () => {
    expect(toHex(parseKey(utf8("Ab".repeat(32)))!)).toBe("ab".repeat(32));
    for (const t of ["", "a".repeat(63), "a".repeat(65), `${"a".repeat(63)}g`, `${"a".repeat(63)} `, `0x${"a".repeat(62)}`]) {
      expect(parseKey(utf8(t))).toBeUndefined();
    }
  });
  test.for(["10.0.0.0", "10.0.0.0/33", "--10.0.0.0/8", "+10.0.0.0/8", "fd00::/129", "/8", "10.0.0.0/8 "])("allowed ip %j is refused", (t) =>
    expect(parseAllowedIp(t)).toBeUndefined(),
  );
  test.for(["1.2.3.4", "1.2.3.4:", "1.2.3.4:65536", "host:1", "[1.2.3.4]:1", "::1:1", "[fe80::1%]:1", "[fe80::1%averyveryverylongzone]:1"])(
    "endpoint %j is refused",
    (t) => expect(parseUapiEndpoint(t)).toBeUndefined(),
  );
  test("endpoint with a zone", () => expect(parseUapiEndpoint("[fe80::1%eth0]:5")).toEqual({ ip: parseIp("fe80::1"), port: 5, zone: "eth0" }));
});

describe("SetOperation", () => {
  test.for<[string, string, number, string[]]>([
    ["device keys", `listen_port=51820\nfwmark=1\nreplace_peers=true`, 0, ["listen_port 51820", "fwmark 1", "replace_peers"]],
    ["unknown key", `listen_port=1\nnonsense=1\nfwmark=1`, 22, ["listen_port 1"]],
    ["what came before a bad line stays", `fwmark=7\nlisten_port=70000`, 22, ["fwmark 7"]],
    ["a line without =", `fwmark=7\nlisten_port`, 71, ["fwmark 7"]],
    ["an empty number", `listen_port=`, 22, []],
    ["replace_peers takes only true", `replace_peers=false`, 22, []],
    ["a peer's key before any peer", `endpoint=1.2.3.4:5`, 22, []],
    ["a device's key after a peer", `public_key=${A}\nlisten_port=1`, 22, []],
    ["a peer alone", `public_key=${A}`, 0, ["peer A", "done"]],
    ["two peers", `public_key=${A}\npublic_key=${B}\nprotocol_version=1`, 0, ["peer A", "done", "peer B", "done"]],
    ["protocol_version other than 1", `public_key=${A}\nprotocol_version=2`, 22, []],
    ["a bad value makes no peer", `public_key=${A}\nendpoint=host:1`, 22, []],
    ["update_only of a peer that is not there", `public_key=${A}\nupdate_only=true\nallowed_ip=10.0.0.0/8`, 0, ["peer A update_only"]],
    ["update_only=false", `public_key=${A}\nupdate_only=false`, 22, []],
    ["remove never creates", `public_key=${A}\nremove=true`, 0, ["peer A update_only"]],
    ["remove=1", `public_key=${A}\nremove=1`, 22, []],
    [
      "late update_only removes what this operation made",
      `public_key=${A}\npersistent_keepalive_interval=5\nupdate_only=true\nallowed_ip=10.0.0.0/8`,
      0,
      ["peer A", "persistent_keepalive_interval 5", "remove"],
    ],
    [
      "the peer is done also when a later line is bad",
      `public_key=${A}\nallowed_ip=10.1.2.3/8\nallowed_ip=10.0.0.0\nallowed_ip=11.0.0.0/8`,
      22,
      ["peer A", "allowed_ip 10.0.0.0/8", "done"],
    ],
    ["own key: its lines are read and ignored", `public_key=${"0f".repeat(32)}\nallowed_ip=10.0.0.0/8`, 0, [`peer ${"0f".repeat(32)}`]],
    ["own key: a bad line is an error all the same", `public_key=${"0f".repeat(32)}\nallowed_ip=x`, 22, []],
    ["minus takes away", `public_key=${A}\nallowed_ip=-10.0.0.0/8`, 0, ["peer A", "allowed_ip -10.0.0.0/8", "done"]],
  ])("%s", async ([, text, errno, calls]) => expect(await set(text)).toEqual({ errno, calls }));

  test("remove of a peer that is there", async () => {
    const device = new MemoryDevice();
    await set(`public_key=${A}`, device);
    expect(await set(`public_key=${A}\nremove=true\npublic_key=${B}`, device)).toEqual({
      errno: 0,
      calls: ["peer A", "done", "peer A update_only", "remove", "peer B", "done"],
    });
    expect([...device.peers.keys()]).toEqual([B]);
  });
  test("errors of the device come back, also late ones, and end the effects", async () => {
    class Busy extends MemoryDevice {
      override setListenPort(): number {
        return Promise.resolve(98) as unknown as number;
      }
    }
    expect(await set("listen_port=1\nfwmark=2", new Busy())).toEqual({ errno: 98, calls: [] });
  });
});

test("HandshakeOperation names peers, or none for all", async () => {
  const device = new MemoryDevice();
  await set(`public_key=${A}`, device);
  expect(await apply(new HandshakeOperation(device), `public_key=${A}`)).toBe(0);
  expect(await apply(new HandshakeOperation(device), `public_key=${B}`)).toBe(2);
  const nothing = new HandshakeOperation(device);
  expect(await nothing.end()).toBe(0);
  expect(await apply(new HandshakeOperation(device), "private_key=1")).toBe(22);
  expect(device.calls.slice(2)).toEqual([`handshake ${A}`, `handshake ${B}`, "handshake"]);
});

test("secret keys are decoded where the device wants them, and wiped there before the next line, whatever became of them", async () => {
  const seen: string[] = [];
  class Cells extends MemoryDevice {
    readonly keyCell = new Uint8Array(32);
    override setPrivateKey(key: Uint8Array): number {
      expect(key).toBe(this.keyCell);
      return super.setPrivateKey(key);
    }
  }
  const device = new Cells();
  const operation = new SetOperation(device);
  for (const line of [`private_key=${A}`, `public_key=${B}`, `preshared_key=${A}`, `preshared_key=${A.slice(1)}x`]) {
    await operation.line(utf8(line));
    seen.push(toHex(device.keyCell));
  }
  expect(seen).toEqual(Array.from({ length: 4 }, () => "00".repeat(32)));
  expect([toHex(device.privateKey!), toHex([...device.peers.values()][0]!.presharedKey)]).toEqual([A, A]);
  expect(await operation.end()).toBe(22);
});

const key = fc.uint8Array({ minLength: 32, maxLength: 32 }).map((k) => new Uint8Array(k));
const cidr = fc.constantFrom("10.0.0.0/8", "0.0.0.0/0", "fd00::1/128", "::/0", "172.16.3.0/24").map((t) => parseCidr(t)!);
const peers = fc.array(
  fc.record({
    publicKey: key,
    presharedKey: key,
    endpoint: fc.option(
      fc.constantFrom("192.0.2.1:51820", "[2001:db8::1]:1", "[fe80::1%eth0]:2").map((t) => parseUapiEndpoint(t)!),
      { nil: undefined },
    ),
    lastHandshakeSec: fc.nat(),
    lastHandshakeNsec: fc.nat(999_999_999),
    txBytes: fc.oneof(fc.nat(), fc.constant(2n ** 63n)),
    rxBytes: fc.nat(),
    persistentKeepalive: fc.nat(65535),
    allowedIps: fc.array(cidr, { maxLength: 4 }),
  }),
  { maxLength: 4 },
);

test("what a device says, a client understands", () => {
  const state = fc.record({ privateKey: fc.option(key, { nil: undefined }), listenPort: fc.nat(65535), fwmark: fc.nat(0xffffffff), peers });
  fc.assert(
    fc.property(state, (s: DeviceState) => {
      const reader = new ReplyReader();
      const lines = new Lines();
      for (const chunk of encodeState(s)) for (const line of lines.push(chunk)) if (line.length > 0) reader.line(line);
      const reply = reader.end();
      expect("state" in reply && JSON.stringify(reply.state, plain)).toBe(JSON.stringify({ ...s, peers: [...s.peers] }, plain));
    }),
  );
});

test("prefixes are written as formatCidr() has them, whatever zeros they hold", () => {
  const group = fc.oneof({ arbitrary: fc.constant(0), weight: 3 }, fc.constantFrom(1, 0x10, 0x100, 0x1000, 0xffff), fc.nat(0xffff));
  const six = fc.array(group, { minLength: 8, maxLength: 8 }).map((g) => Uint8Array.from(g.flatMap((n) => [n >> 8, n & 255])));
  const ip = fc.oneof(
    fc.uint8Array({ minLength: 4, maxLength: 4 }),
    six,
    six.map((b) => b.fill(0, 0, 10).fill(255, 10, 12)),
  );
  fc.assert(
    fc.property(ip, fc.nat(32), fc.boolean(), (bytes, prefix, remove) => {
      const text = Array.from(encodeSet({ peers: [{ publicKey: new Uint8Array(32), allowedIps: [{ ip: bytes, prefix, remove }] }] }), fromUtf8).join(
        "",
      );
      expect(text.split("\n")[2]).toBe(`allowed_ip=${remove ? "-" : ""}${formatCidr({ ip: bytes, prefix })}`);
    }),
    { numRuns: 2000 },
  );
});

test("a chunk is wiped when the next one is asked for, or nothing more is", () => {
  const peers = Array.from({ length: 500 }, () => ({ publicKey: new Uint8Array(32), presharedKey: new Uint8Array(32).fill(7) }));
  const seen: Uint8Array[] = [];
  for (const chunk of encodeSet({ peers })) {
    expect(chunk.includes(48)).toBe(true);
    seen.push(chunk);
  }
  expect(seen.length).toBeGreaterThan(1);
  expect(seen.every((chunk) => chunk.every((b) => b === 0))).toBe(true);
});

const plain = (_: string, v: unknown): unknown => (typeof v === "bigint" ? `${v}` : v instanceof Uint8Array ? toHex(v) : sorted(v));
const sorted = (v: unknown): unknown =>
  v && typeof v === "object" && !Array.isArray(v)
    ? Object.fromEntries(
        Object.entries(v)
          .filter(([, x]) => x !== undefined)
          .toSorted(([a], [b]) => a.localeCompare(b)),
      )
    : v;

test("what a client sets, a device gets", async () => {
  const config: DeviceConfig = {
    privateKey: fromHex(A)!,
    listenPort: 0,
    fwmark: 0xffffffff,
    replacePeers: true,
    peers: [
      { publicKey: fromHex(A)!, remove: true },
      { publicKey: fromHex(B)!, updateOnly: true },
      {
        publicKey: fromHex(B)!,
        presharedKey: new Uint8Array(32),
        endpoint: parseUapiEndpoint("[::1]:9")!,
        persistentKeepalive: 0,
        replaceAllowedIps: true,
        allowedIps: [parseCidr("10.0.0.0/8")!, { ...parseCidr("fd00::/8")!, remove: true }],
      },
    ],
  };
  const text = Array.from(encodeSet(config), fromUtf8).join("");
  expect(text.startsWith("set=1\n") && text.endsWith("\n\n")).toBe(true);
  const { errno, calls } = await set(text.slice(6, -2));
  expect({ errno, calls }).toEqual({
    errno: 0,
    calls: [
      "private_key A",
      "listen_port 0",
      "fwmark 4294967295",
      "replace_peers",
      "peer A update_only",
      "peer B update_only",
      "peer B",
      `preshared_key ${"00".repeat(32)}`,
      "endpoint",
      "persistent_keepalive_interval 0",
      "replace_allowed_ips",
      "allowed_ip 10.0.0.0/8",
      "allowed_ip -fd00::/8",
      "done",
    ],
  });
});

test.for(["", "errno=x", "listen_port=99999\nerrno=0", "public_key=zz\nerrno=0", "=\nerrno=0", "public_key\nerrno=0"])(
  "the answer %j is malformed",
  (text) => {
    const reader = new ReplyReader();
    for (const line of text.split("\n")) if (line) reader.line(utf8(line));
    expect(reader.end()).toHaveProperty("malformed");
  },
);
