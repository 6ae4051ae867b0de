import { expect, test } from "vitest";
import { announcement, Announced } from "./announcement.ts";
import type { Lease } from "./lease.ts";

const lease = (name: string, now: number): Lease => announcement(name, `https://${name}:6443`, now);

test("a server is there while its lease is renewed, whatever the clocks say", () => {
  const announced = new Announced();
  const years = 5e10;
  expect(announced.urls([lease("a", years), lease("b", 0)], 0)).toEqual(["https://a:6443", "https://b:6443"]);
  expect(announced.urls([lease("a", years + 10_000), lease("b", 0)], 20_000)).toEqual(["https://a:6443", "https://b:6443"]);
  expect(announced.urls([lease("a", years + 20_000), lease("b", 0)], 31_000)).toEqual(["https://a:6443"]);
  // It comes back, and goes with its lease.
  expect(announced.urls([lease("b", 1)], 40_000)).toEqual(["https://b:6443"]);
  expect(announced.urls([], 41_000)).toEqual([]);
  expect(announced.urls([lease("b", 1)], 90_000)).toEqual(["https://b:6443"]);
});

test("only https is gone to, each place once", () => {
  const [a, b] = [lease("a", 0), lease("b", 0)];
  const evil = { ...b, spec: { ...b.spec, holderIdentity: "http://b" } };
  expect(new Announced().urls([a, { ...a, metadata: { ...a.metadata, name: "a2" } }, evil, { ...a, metadata: { name: "c" }, spec: {} }], 0)).toEqual([
    "https://a:6443",
  ]);
});
