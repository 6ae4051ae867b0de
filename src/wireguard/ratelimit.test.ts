import { expect, test } from "vitest";
import { parseIp } from "../base/ip.ts";
import { RateLimiter } from "./ratelimit.ts";

const ip = (text: string): Uint8Array => parseIp(text)!;

// wireguard-go's and the kernel's self-tests: [wait before it, allowed].
test("five at once, then one each 50 ms", () => {
  const limiter = new RateLimiter();
  let now = 0;
  let other = 0;
  for (const [wait, want] of [
    [0, true],
    [0, true],
    [0, true],
    [0, true],
    [0, true],
    [0, false],
    [50, true],
    [0, false],
    [100, true],
    [0, true],
    [0, false],
  ] as const) {
    now += wait;
    expect(limiter.allow(ip("192.0.2.1"), now)).toBe(want);
    expect(limiter.allow(ip(`198.51.100.${other++}`), now), "another source").toBe(true);
  }
});

test("an IPv6 source is its /64", () => {
  const limiter = new RateLimiter();
  for (let i = 1; i <= 5; i++) expect(limiter.allow(ip(`2001:db8::${i}`), 0)).toBe(true);
  expect(limiter.allow(ip("2001:db8::6"), 0)).toBe(false);
  expect(limiter.allow(ip("2001:db8:0:1::6"), 0)).toBe(true);
});

test("the table is bounded: new sources are denied, until old ones were idle for a second", () => {
  const limiter = new RateLimiter(3);
  for (let i = 1; i <= 3; i++) expect(limiter.allow(ip(`192.0.2.${i}`), 0)).toBe(true);
  expect(limiter.allow(ip("192.0.2.4"), 500)).toBe(false);
  expect(limiter.allow(ip("192.0.2.1"), 900)).toBe(true);
  expect(limiter.allow(ip("192.0.2.4"), 1500)).toBe(true);
  expect(limiter.size).toBe(2);
});
