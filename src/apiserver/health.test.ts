// What /healthz, /readyz and /livez say when the disk has failed: the store takes nothing more until a new start.
import { beforeEach, describe, expect, test } from "vitest";
import { call, FELIX, freshWorlds, MERGE, NOBODY, world } from "./world.cases.ts";

let failing = false;
const disk = (): Promise<void> => (failing ? Promise.reject(new Error("No space left on device")) : Promise.resolve());
beforeEach(() => void (failing = false));
freshWorlds({ write: disk, compact: disk, close: () => Promise.resolve() });

const CHECKS = ["healthz", "readyz", "livez"];
const change = (mtu: number): ReturnType<typeof call> => call("PATCH", `${FELIX}/default`, { headers: MERGE, body: { spec: { wireguardMTU: mtu } } });
const why = "the store cannot be written (No space left on device): no more writes until the server is started again";

test.for(CHECKS)("/%s: ok, and the checks by name where they are asked for", async (name) => {
  expect(await call("GET", `/${name}`, { user: NOBODY })).toMatchObject({ code: 200, body: "ok" });
  expect((await call("GET", `/${name}?verbose`)).body).toBe(`[+]ping ok\n[+]store ok\n${name} check passed\n`);
});
describe.for([
  ["a write", (): Promise<unknown> => change(1300)],
  ["a compaction", (): Promise<unknown> => world.store.compact(world.store.revision).catch(() => {})],
] as const)("after %s that failed", ([, fail]) => {
  beforeEach(async () => {
    failing = true;
    await fail();
    // The disk is well again, but nobody knows what is on it.
    failing = false;
  });
  test.for(CHECKS)("/%s tells why", async (name) => {
    expect(await call("GET", `/${name}`, { user: NOBODY })).toMatchObject({
      code: 500,
      body: `[+]ping ok\n[-]store failed: ${why}\n${name} check failed\n`,
    });
  });
  test("writes are refused with the same words, and reads go on", async () => {
    expect(await change(1400)).toMatchObject({ code: 503, body: { reason: "ServiceUnavailable", message: why } });
    expect((await call("GET", `${FELIX}/default`)).body.spec).toEqual({});
  });
});
