import { expect, test } from "vitest";
import { StoreError } from "../../store/store.ts";
import { answerError } from "./answer.ts";

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
