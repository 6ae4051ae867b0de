import { describe, expect, test } from "vitest";
import { IP_POOL } from "../../api/ippool.ts";
import type { Kind } from "../../api/kind.ts";
import { fromUtf8, utf8 } from "../../base/bytes.ts";
import { decodeStored, encodeStored, storedList, storedText } from "./stored.ts";

const KIND = IP_POOL as unknown as Kind;
const object = {
  spec: { cidr: "10.0.0.0/16" },
  metadata: { resourceVersion: "3", name: "p", labels: { é: "\u2028" } },
  kind: "IPPool",
  apiVersion: "projectcalico.org/v3",
};
const value = encodeStored(object);
const shown = { ...object, metadata: { ...object.metadata, resourceVersion: "77" } };

const DECODER = { decode: decodeStored };

describe("what goes out is what was stored, with the revision as its version", () => {
  test.for<[string, Uint8Array]>([
    ["as it is written", value],
    [
      "with its members in another order",
      utf8(`{"spec":{"cidr":"10.0.0.0/16"},"metadata":{"name":"p","labels":{"é":"\\u2028"}},"apiVersion":"x","kind":"IPPool"}`),
    ],
  ])("%s", ([, stored]) => {
    expect(decodeStored(KIND, stored, 77)).toEqual(shown);
    expect(JSON.parse(fromUtf8(storedText(DECODER, KIND, { value: stored, revision: 77 }, "", "")))).toEqual(shown);
  });
  test("the version is not stored", () => expect(fromUtf8(value)).not.toContain("resourceVersion"));
  test.for([0, 1, 3])("a list of %d", (n) => {
    const items = Array.from({ length: n }, (_, i) => ({ key: `k${i}`, value, revision: 77 }));
    expect(JSON.parse(fromUtf8(storedList(DECODER, KIND, items, { resourceVersion: "80" })))).toEqual({
      kind: "IPPoolList",
      apiVersion: "projectcalico.org/v3",
      metadata: { resourceVersion: "80" },
      items: items.map(() => shown),
    });
  });
});
