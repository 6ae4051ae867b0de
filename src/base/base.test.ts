import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { delay, RECONNECT } from "./backoff.ts";
import { concat, equal, fromBase64, fromHex, isZero, toBase64, toHex, utf8 } from "./bytes.ts";
import { contains, covers, formatCidr, mask, overlaps, parseCidr } from "./cidr.ts";
import { messageOf } from "./errors.ts";
import { addToIp, formatEndpoint, formatIp, parseEndpoint, parseIp } from "./ip.ts";

describe("bytes", () => {
  test("hex and base64 agree with Buffer for any bytes", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), (b) => {
        expect(toHex(b)).toBe(Buffer.from(b).toString("hex"));
        expect(toBase64(b)).toBe(Buffer.from(b).toString("base64"));
        expect(fromHex(toHex(b).toUpperCase())).toEqual(new Uint8Array(b));
        expect(fromBase64(toBase64(b))).toEqual(new Uint8Array(b));
      }),
    );
  });
  test.for(["a", "0g", "g0", "/0", ":0", "@0", "`0", " 0"])("fromHex(%j) is refused", (t) => expect(fromHex(t)).toBeUndefined());
  test.for(["A", "AA=A", "A===", "AB==", "AAB=", "A-==", "A_==", "AA A", "AAA\n"])("fromBase64(%j) is refused", (t) =>
    expect(fromBase64(t)).toBeUndefined(),
  );
  test("equal, isZero and concat", () => {
    expect(equal(utf8("ab"), concat(utf8("a"), utf8("b")))).toBe(true);
    expect(equal(utf8("ab"), utf8("ac"))).toBe(false);
    expect(equal(utf8("ab"), utf8("abc"))).toBe(false);
    expect(isZero(new Uint8Array(3))).toBe(true);
    expect(isZero(new Uint8Array([0, 0, 1]))).toBe(false);
  });
});

describe("ip", () => {
  test.for([
    ["::", "::"],
    ["0:0:1::", "0:0:1::"],
    ["2001:DB8:0:0:1:0:0:1", "2001:db8::1:0:0:1"],
    ["1:0:3:4:5:6:7:8", "1:0:3:4:5:6:7:8"],
    ["::ffff:192.0.2.1", "::ffff:192.0.2.1"],
    ["192.0.2.255", "192.0.2.255"],
  ])("parseIp(%s) prints as %s", ([text, want]) => expect(formatIp(parseIp(text!)!)).toBe(want));
  test.for([
    "",
    "1.2.3",
    "1.2.3.4.5",
    "01.2.3.4",
    "256.1.1.1",
    "1.2.3.4 ",
    ":",
    ":::",
    "1::2::3",
    "12345::",
    "1:2:3:4:5:6:7",
    "::1.2.3",
    "1.2.3.4::",
    "::1%eth0",
  ])("parseIp(%j) is refused", (t) => expect(parseIp(t)).toBeUndefined());
  test("endpoints round trip and refuse what wg refuses", () => {
    for (const t of ["192.0.2.1:51820", "[2001:db8::1]:1"]) {
      const e = parseEndpoint(t)!;
      expect(formatEndpoint(e.ip, e.port)).toBe(t);
    }
    for (const t of ["[192.0.2.1]:1", "::1:1", "192.0.2.1:65536", "192.0.2.1", "host:1", "192.0.2.1:-1"]) expect(parseEndpoint(t)).toBeUndefined();
  });
  test("addToIp carries", () => expect(formatIp(addToIp(parseIp("10.0.255.250")!, 10))).toBe("10.1.0.4"));
});

describe("cidr", () => {
  test("parseCidr masks host bits", () => expect(formatCidr(parseCidr("10.1.2.3/20")!)).toBe("10.1.0.0/20"));
  test.for(["10.0.0.0/33", "10.0.0.0/", "10.0.0.0/01", "::/129", "10.0.0.0/8/8", "/8", "10.0.0.0/+8"])("parseCidr(%j) is refused", (t) =>
    expect(parseCidr(t)).toBeUndefined(),
  );
  test("mask agrees with arithmetic on 32-bit addresses", () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 4, maxLength: 4 }), fc.integer({ min: 0, max: 32 }), (b, p) => {
        const v = new DataView(b.buffer, b.byteOffset).getUint32(0);
        const want = p === 0 ? 0 : (v & (0xffffffff << (32 - p))) >>> 0;
        expect(new DataView(mask(b, p).ip.buffer).getUint32(0)).toBe(want);
      }),
    );
  });
  test("an address that is part of a Buffer is not changed: a Buffer's slice() is no copy", () => {
    const packet = Buffer.from([10, 1, 2, 3]);
    expect(contains(parseCidr("10.1.0.0/16")!, packet.subarray(0, 4))).toBe(true);
    expect(addToIp(packet.subarray(0, 4), 1)).toEqual(new Uint8Array([10, 1, 2, 4]));
    expect([...packet]).toEqual([10, 1, 2, 3]);
  });
  test("contains, covers and overlaps", () => {
    const a = parseCidr("10.0.0.0/8")!;
    const b = parseCidr("10.2.0.0/16")!;
    expect([contains(a, parseIp("10.9.9.9")!), contains(a, parseIp("11.0.0.0")!), contains(a, parseIp("::a")!)]).toEqual([true, false, false]);
    expect([covers(a, b), covers(b, a), overlaps(b, a)]).toEqual([true, false, true]);
  });
});

test("delay() grows to its maximum and adds jitter", () => {
  expect([0, 1, 9].map((n) => delay(RECONNECT, n, 0))).toEqual([800, 1600, 30_000]);
  expect(delay(RECONNECT, 0, 0.5)).toBe(1200);
});

test.for([
  ["ENOSPC: no space left on device, write", "no space left on device"],
  ["EISDIR: illegal operation on a directory, open '/tmp'", "illegal operation on a directory"],
  ["EXDEV: cross-device link not permitted, rename '/a' -> '/b'", "cross-device link not permitted"],
  ["EXAMPLE: this, that and more", "EXAMPLE: this, that and more"],
  ["connect ECONNREFUSED 127.0.0.1:1", "connect ECONNREFUSED 127.0.0.1:1"],
])("the words of %j", ([message, words]) => expect(messageOf(new Error(message))).toBe(words));
