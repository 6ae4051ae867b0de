import { mkdtempSync, rmSync, unlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { inClusterEndpoint } from "./kubeconfig.ts";
import { rateLimited } from "./ratelimit.ts";
import { tokenIn } from "./token.ts";
import type { Transport } from "./transport.ts";

function directory(): string {
  const made = mkdtempSync(join(tmpdir(), "tortie-token-"));
  onTestFinished(() => rmSync(made, { recursive: true }));
  return made;
}

test("a token is read again after a minute, and kept while its file is away or empty", () => {
  const file = join(directory(), "token");
  let now = 0;
  const token = tokenIn(file, undefined, () => now);
  expect(token).toThrow(/^Cannot read the token in ".*": no such file or directory$/);
  writeFileSync(file, "one\n");
  expect(token()).toBe("one");
  writeFileSync(file, "two");
  now += 59_000;
  expect(token()).toBe("one");
  now += 2_000;
  expect(token()).toBe("two");
  unlinkSync(file);
  now += 61_000;
  expect(token()).toBe("two");
  writeFileSync(file, "");
  expect(token()).toBe("two");
  writeFileSync(file, "three");
  now += 61_000;
  expect(token()).toBe("three");
});

test("a token that stands beside its file is good until the file could be read", () => {
  const file = join(directory(), "token");
  const token = tokenIn(file, "first");
  expect(token()).toBe("first");
  writeFileSync(file, "from the file");
  expect(token()).toBe("from the file");
});

test("in a pod: the service's address, the account's files", () => {
  const at = directory();
  writeFileSync(join(at, "ca.crt"), "CA");
  writeFileSync(join(at, "token"), "t");
  const env = { KUBERNETES_SERVICE_HOST: "fd00::1", KUBERNETES_SERVICE_PORT: "6443" };
  expect(inClusterEndpoint(env, at)).toEqual({ url: "https://[fd00::1]:6443", ca: "CA", tokenFile: join(at, "token") });
  writeFileSync(join(at, "namespace"), "lab\n");
  expect(inClusterEndpoint({ KUBERNETES_SERVICE_HOST: "10.96.0.1" }, at)).toMatchObject({ url: "https://10.96.0.1:443", namespace: "lab" });
  expect(inClusterEndpoint({}, at)).toBeUndefined();
});

test("a bucket of tokens: a burst goes at once, the rest at its rate, and rest refills it", async () => {
  let now = 0;
  const sent: number[] = [];
  const request = async (): Promise<never> => {
    sent.push(now);
    return undefined as never;
  };
  const transport = rateLimited(
    { where: "", request, webSocket: request, close: async () => {} } as Transport,
    { perSecond: 100, burst: 3 },
    () => now,
  );
  const ask = (): Promise<unknown> => transport.request({ method: "GET", path: "/" });
  await Promise.all([ask(), ask(), ask()]);
  expect(sent).toEqual([0, 0, 0]);
  let done = false;
  const fourth = ask().then(() => (done = true));
  await Promise.resolve();
  expect(done).toBe(false);
  await fourth;
  now = 1000;
  await Promise.all([ask(), ask(), ask()]);
  expect(sent).toHaveLength(7);
});
