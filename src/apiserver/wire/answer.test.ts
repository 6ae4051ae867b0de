import { expect, test } from "vitest";
import { parse } from "yaml";
import { StoreError } from "../../store/store.ts";
import { answer, answerError } from "./answer.ts";
import type { ApiRequest } from "./request.ts";

test("what a store cannot do is 413 or 503 in its words; anything unforeseen is 500 without its inside", () => {
  const answered = (thrown: unknown): unknown[] => {
    const { code, body } = answerError(thrown);
    const status = JSON.parse(body as string) as { reason: string; message: string };
    return [code, status.reason, status.message];
  };
  expect(answered(new StoreError("too large", "1.5 MiB is the most"))).toEqual([413, "RequestEntityTooLarge", "1.5 MiB is the most"]);
  expect(answered(new StoreError("unavailable", "etcd is away"))).toEqual([503, "ServiceUnavailable", "etcd is away"]);
  expect(answered(new Error("inside"))).toEqual([500, "InternalError", expect.not.stringContaining("inside")]);
});

test("YAML says the same to readers of YAML 1.1, who know more words than those of 1.2", async () => {
  const request = { headers: { accept: "application/yaml" }, query: new URLSearchParams() } as unknown as ApiRequest;
  const shared = { on: "off" };
  const value = { data: { a: "on", b: "no", c: "1_000", d: "0x1f", e: "012", f: "2026-11-24T01:44:52Z", g: "1:30", h: "~" }, x: shared, y: shared };
  const { body } = await answer(request, 200, value);
  for (const version of ["1.1", "1.2"] as const) expect(parse(body as string, { version })).toEqual(value);
  expect(body).not.toMatch(/[&*%]/);
});
