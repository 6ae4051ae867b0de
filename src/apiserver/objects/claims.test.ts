import { beforeEach, describe, expect, test } from "vitest";
import { fromUtf8, toBase64, utf8 } from "../../base/bytes.ts";
import { type Answer, MERGE, call, freshWorlds, world } from "../world.cases.ts";

freshWorlds();

describe("one WireGuard key, one node", () => {
  const key = toBase64(new Uint8Array(32).fill(9));
  const claim = (name: string, value: string | null, annotation = "WireguardPublicKey"): Promise<Answer> =>
    call("PATCH", `/api/v1/nodes/${name}/status`, {
      headers: MERGE,
      body: { metadata: { annotations: { [`projectcalico.org/${annotation}`]: value } } },
    });
  beforeEach(async () => {
    for (const name of ["n1", "n2"]) await call("POST", "/api/v1/nodes", { body: { metadata: { name } } });
  });
  test("the second claim is refused and names the holder, for either family", async () => {
    expect((await claim("n1", key)).code).toBe(200);
    for (const annotation of ["WireguardPublicKey", "WireguardPublicKeyV6"]) {
      const second = await claim("n2", key, annotation);
      expect([second.code, second.body.message]).toEqual([422, expect.stringContaining('is held by node "n1"')]);
      expect(second.body.details.causes[0].field).toBe(`metadata.annotations[projectcalico.org/${annotation}]`);
    }
    expect((await claim("n1", key)).code).toBe(200);
    expect((await claim("n1", key, "WireguardPublicKeyV6")).code).toBe(200);
  });
  test("of two claims in one moment one is refused", async () => {
    expect((await Promise.all([claim("n1", key), claim("n2", key)])).map((r) => r.code).toSorted((a, b) => a - b)).toEqual([200, 422]);
  });
  test("a key that was given back, or whose node is gone, can be claimed", async () => {
    await claim("n1", key);
    await claim("n1", toBase64(new Uint8Array(32).fill(8)));
    expect((await claim("n2", key)).code).toBe(200);
    await call("DELETE", "/api/v1/nodes/n2");
    expect((await claim("n1", key)).code).toBe(200);
    await claim("n1", null);
    expect((await world.store.range("/claims/")).items).toEqual([]);
  });
  test("where two nodes have one key all the same, the second one can go back to its own, and the first one's claim stays", async () => {
    const own = toBase64(new Uint8Array(32).fill(8));
    await claim("n1", key);
    await claim("n2", own);
    // Behind the back of the API, as a store from elsewhere would have it.
    const at = "/registry/core/nodes/n2";
    const text = fromUtf8((await world.store.get(at))!.value).replace(own, key);
    await world.store.commit({ conditions: [], writes: [{ key: at, value: utf8(text) }] });
    expect((await claim("n2", own)).code).toBe(200);
    expect((await world.store.range("/claims/")).items.map((i) => fromUtf8(i.value)).toSorted()).toEqual(["n1", "n2"]);
    expect((await claim("n2", key)).code).toBe(422);
  });
  test("a created node claims too, and a malformed key claims nothing", async () => {
    await claim("n1", key);
    expect(
      (await call("POST", "/api/v1/nodes", { body: { metadata: { name: "n3", annotations: { "projectcalico.org/WireguardPublicKey": key } } } }))
        .code,
    ).toBe(422);
    expect([(await claim("n1", "foobar")).code, (await claim("n2", "foobar")).code]).toEqual([200, 200]);
  });
});
