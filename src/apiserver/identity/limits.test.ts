import { expect, test } from "vitest";
import { ApiError } from "../../api/status.ts";
import type { User } from "../wire/request.ts";
import { Limits } from "./limits.ts";
import { ADMINS, AUTHENTICATED, UNAUTHENTICATED } from "./roles.ts";

const EVE: User = { name: "eve", groups: [AUTHENTICATED] };
const BOB: User = { name: "bob", groups: [AUTHENTICATED] };
const ADMIN: User = { name: "eve", groups: [ADMINS] };
const NOBODY: User = { name: "system:anonymous", groups: [UNAUTHENTICATED] };
const VALUES = { perSecond: 10, burst: 5, watches: 2 };

function make(): { limits: Limits; pass: (ms: number) => void; take: (user: User, times: number, source?: string) => string[] } {
  let now = 0;
  const limits = new Limits(VALUES, () => now);
  return { limits, pass: (ms) => (now += ms), take: (user, times, source = "a") => Array.from({ length: times }, () => limits.take(user, source)) };
}

test("a burst, then the rate; the first refusal of a row is told from the others", () => {
  const { take, pass } = make();
  expect(take(EVE, 8)).toEqual(["yes", "yes", "yes", "yes", "yes", "first no", "no", "no"]);
  pass(99);
  expect(take(EVE, 1)).toEqual(["no"]);
  pass(1);
  expect(take(EVE, 2)).toEqual(["yes", "first no"]);
  pass(3_600_000);
  expect(take(EVE, 6).filter((r) => r === "yes")).toHaveLength(5);
});
test("each identity has its own; those who are not known by where they come from; administrators have none", () => {
  const { take } = make();
  const served = (results: string[]): number => results.filter((r) => r === "yes").length;
  expect(served(take(EVE, 9))).toBe(5);
  expect(served(take(BOB, 9))).toBe(5);
  expect(served(take(NOBODY, 9, "1.2.3.4"))).toBe(5);
  expect(served(take(NOBODY, 9, "1.2.3.5"))).toBe(5);
  expect(served(take(ADMIN, 1000))).toBe(1000);
});
test("many identities cost bounded memory and forget the oldest only", () => {
  const { take } = make();
  for (let i = 0; i < 20_000; i++) take({ name: `u${i}`, groups: [] }, 1);
  expect(take({ name: "u19999", groups: [] }, 5)).toEqual(["yes", "yes", "yes", "yes", "first no"]);
});
test("watches at a time", () => {
  const { limits } = make();
  const [first] = [limits.watch(EVE, "a"), limits.watch(EVE, "a")];
  expect(() => limits.watch(EVE, "a")).toThrow(ApiError);
  limits.watch(BOB, "a");
  first!();
  first!();
  limits.watch(EVE, "a");
  expect(() => limits.watch(EVE, "a")).toThrow("Too many requests");
});
