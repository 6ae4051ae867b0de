import { expect, test } from "vitest";
import { ageOf } from "./age.ts";

// Ages that kubectl prints (k8s.io/apimachinery, HumanDuration's own table of examples, rewritten).
test.for([
  [0, "0s"],
  [-5, "0s"],
  [1, "1s"],
  [119, "119s"],
  [120, "2m"],
  [162, "2m42s"],
  [599, "9m59s"],
  [600, "10m"],
  [10799, "179m"],
  [10800, "3h"],
  [18180, "5h3m"],
  [28800, "8h"],
  [172799, "47h"],
  [172800, "2d"],
  [273600, "3d4h"],
  [691200, "8d"],
  [62985600, "729d"],
  [63072000, "2y"],
  [66700800, "2y42d"],
  [283824000, "9y"],
] as const)("ageOf() %i seconds is %s", ([seconds, text]) => {
  const now = Date.parse("2026-11-23T12:00:00Z");
  expect(ageOf(new Date(now - seconds * 1000).toISOString(), now)).toBe(text);
});
test("ageOf() of no time is <unknown>", () => expect(ageOf("", 0)).toBe("<unknown>"));
