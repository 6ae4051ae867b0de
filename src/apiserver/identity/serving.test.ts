import { X509Certificate } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { SecureContextOptions } from "node:tls";
import { afterEach, expect, test, vi } from "vitest";
import { silent } from "../../base/log.ts";
import { authorityOf, newAuthority, openAuthority } from "./authority.ts";
import { serving } from "./serving.ts";

const [HOUR_MS, DAY_MS] = [3_600_000, 86_400_000];
const START = Date.parse("2026-11-23T12:00:00Z");
afterEach(() => void vi.useRealTimers());

/** A server's certificate under a clock that the test moves, `days` before the authority ends. */
function begin(days: number, seconds: number) {
  vi.useFakeTimers({ now: START });
  const authority = authorityOf(newAuthority(START - (3650 - days) * DAY_MS), Date.now);
  const warned: unknown[] = [];
  const log = { ...silent, warn: (_m: string, fields?: object) => void warned.push(fields) };
  const made = serving({ authority, names: () => ["localhost"], seconds, context: { minVersion: "TLSv1.3" }, now: Date.now, log });
  const contexts: SecureContextOptions[] = [made.context];
  const stop = made.keep({ setSecureContext: (context) => void contexts.push(context) });
  const ends = (): number[] => contexts.map((c) => (Date.parse(new X509Certificate(c.cert as string).validTo) - START) / HOUR_MS);
  return { contexts, warned, stop, ends };
}

test("it is renewed when two thirds of its life are over, with a key of its own each time, and keeps what else the context has", () => {
  const { contexts, warned, stop, ends } = begin(1000, 3 * 3600);
  vi.advanceTimersByTime(2 * HOUR_MS - 60_000);
  expect(ends()).toEqual([3]);
  vi.advanceTimersByTime(60_000 + 2 * HOUR_MS);
  expect(ends()).toEqual([3, 5, 7]);
  expect(new Set(contexts.map((c) => c.key)).size).toBe(3);
  expect(contexts.map((c) => c.minVersion)).toEqual(["TLSv1.3", "TLSv1.3", "TLSv1.3"]);
  stop();
  vi.advanceTimersByTime(10 * HOUR_MS);
  expect([contexts.length, warned]).toEqual([3, []]);
});

test("the end of the authority is warned of once a day from half a year ahead; what lasts as long as the authority is not renewed over and over", () => {
  const { contexts, warned, stop, ends } = begin(182, 365 * 86_400);
  vi.advanceTimersByTime(DAY_MS);
  expect(warned).toEqual([]);
  vi.advanceTimersByTime(4 * DAY_MS);
  expect(warned.slice(0, 3)).toEqual([180, 179, 178].map((days) => ({ days, expires: new Date(START + 182 * DAY_MS).toISOString() })));
  expect([warned.length, contexts.length, ends()]).toEqual([4, 1, [182 * 24]]);
  stop();
});

test("an authority that has expired is refused with what to do", () => {
  const directory = mkdtempSync(join(tmpdir(), "tortie-authority-"));
  try {
    openAuthority(directory, () => START, { create: true });
    const late = (): unknown => openAuthority(directory, () => START + 3651 * DAY_MS, { create: true });
    expect(late).toThrow(/Cannot use the certificate authority in ".*": its certificate expired on 2036-11-20/);
  } finally {
    rmSync(directory, { recursive: true });
  }
});
