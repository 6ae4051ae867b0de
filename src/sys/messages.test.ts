import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Endpoint, ENDPOINT_WORDS, readEndpoint, writeEndpoint } from "../wireguard/endpoint.ts";
import { share } from "./memory.ts";
import { Messages } from "./messages.ts";
import { Slab } from "./slab.ts";

const inLinkLocal = (b: Uint8Array): Uint8Array => (b.set([0xfe, 0x80]), b);
const ip = (length: number): fc.Arbitrary<Uint8Array> =>
  fc.uint8Array({ minLength: length, maxLength: length }).map((b) => (b.some((x) => x) ? b : b.fill(1)));
const port = fc.integer({ min: 1, max: 65535 });
const index = fc.integer({ min: 1, max: 0x7fffffff });
const endpoint: fc.Arbitrary<Endpoint> = fc.oneof(
  fc.record({ ip: ip(4), port, source: fc.option(fc.record({ ip: ip(4), interface: index }), { nil: undefined }) }),
  fc.record({
    ip: ip(16),
    port,
    scope: fc.option(index, { nil: undefined }),
    source: fc.option(fc.record({ ip: fc.oneof(ip(16), ip(16).map(inLinkLocal)), interface: index }), { nil: undefined }),
  }),
);

describe("Messages", () => {
  test("source() reads from a message header what setDestination() laid out, whatever was there before", () => {
    const slab = new Slab(share(1 << 16));
    const messages = new Messages(slab, 2);
    const [from, to] = [slab.take(4 * ENDPOINT_WORDS), slab.take(4 * ENDPOINT_WORDS)];
    fc.assert(
      fc.property(endpoint, (e) => {
        writeEndpoint(slab.u8, slab.u32, from, e);
        messages.setDestination(1, from);
        expect(messages.isIpv6(1)).toBe(e.ip.length === 16);
        expect(messages.hasSource(1)).toBe(e.source !== undefined);
        messages.source(1, to);
        const want = readEndpoint(slab.u8, slab.u32, from)!;
        // The interface goes along only with a link-local address.
        const linkLocal = e.source?.ip.length === 16 && e.source.ip[0] === 0xfe && (e.source.ip[1]! & 0xc0) === 0x80;
        const source = want.source && { ip: want.source.ip, interface: linkLocal ? want.source.interface : 0 };
        expect(readEndpoint(slab.u8, slab.u32, to)).toEqual(source ? { ...want, source } : want);
      }),
    );
  });

  test("setDestination() lays out struct sockaddr_in as the kernel reads it", () => {
    const slab = new Slab(share(1 << 16));
    const messages = new Messages(slab, 1);
    const at = slab.take(4 * ENDPOINT_WORDS);
    writeEndpoint(slab.u8, slab.u32, at, { ip: new Uint8Array([192, 0, 2, 7]), port: 0x1234 });
    messages.setDestination(0, at);
    // Header (64), iovec (16), name.
    expect(Array.from(slab.u8.slice(80, 88))).toEqual([2, 0, 0x12, 0x34, 192, 0, 2, 7]);
  });
});

describe("Slab", () => {
  test("take() aligns, and refuses what does not fit", () => {
    const slab = new Slab(share(1 << 16), 100, 1000);
    expect(slab.take(10)).toBe(112);
    expect(slab.take(1, 64)).toBe(128);
    expect(() => slab.take(1000)).toThrow(RangeError);
  });

  test("point() stores a native address in two words", () => {
    const slab = new Slab(share(1 << 16));
    slab.point(8, 4321);
    expect(new DataView(slab.buffer).getBigUint64(8, true)).toBe(BigInt(slab.base) + 4321n);
  });
});
