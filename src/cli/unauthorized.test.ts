import { expect, test } from "vitest";
import { notFound, unauthorized as refusal } from "../api/status.ts";
import { NODE } from "../api/node.ts";
import { unauthorized } from "./unauthorized.ts";

test("who is not let in is told why that may be; other errors stay as they are", () => {
  expect(unauthorized(refusal())).toMatchObject({
    message: "Cannot go on: the API server does not take these credentials (Unauthorized)",
    hint: expect.stringContaining("expired") as string,
    exitCode: 1,
  });
  const missing = notFound(NODE, "n1");
  expect(unauthorized(missing)).toBe(missing);
});
