// Plug-ins that really run: small shell scripts. With a real server, and beside a real kubectl: test/client/plugin.test.ts.
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { authorityOf, newAuthority } from "../apiserver/identity/authority.ts";
import { TortieError } from "../base/errors.ts";
import type { Credentials } from "./credentials.ts";
import { pluginCredentials, type PluginOptions } from "./execcredential.ts";
import type { ExecPlugin } from "./execplugin.ts";

const V1 = "client.authentication.k8s.io/v1";
let directory: string;
beforeAll(() => void (directory = mkdtempSync(join(tmpdir(), "tortie-plugin-"))));
afterAll(() => rmSync(directory, { recursive: true }));

const script = (text: string): string => {
  const path = join(directory, "plugin");
  writeFileSync(path, `#!/bin/sh\n${text}\n`);
  chmodSync(path, 0o755);
  return path;
};
const answer = (status: object, apiVersion = V1): string => JSON.stringify({ apiVersion, kind: "ExecCredential", status });
const prints = (text: string): string => `cat <<'END'\n${text}\nEND`;
const running = (command: string, more: Partial<ExecPlugin> = {}, options: PluginOptions = {}): Credentials =>
  pluginCredentials(
    { user: "dev", apiVersion: V1, command, args: [], env: {}, interactiveMode: "IfAvailable", installHint: "", ...more },
    { terminal: false, ...options },
  );

test("a token is kept until it expires or is refused; those who ask meanwhile wait for the same run", async () => {
  const count = join(directory, "count");
  writeFileSync(count, "");
  let now = Date.parse("2026-01-01T00:00:00Z");
  const token = `printf x >>"${count}"; printf '{"apiVersion":"${V1}","kind":"ExecCredential","status":{"token":"t%s","expirationTimestamp":"2026-01-01T01:00:00Z"}}' "$(wc -c <"${count}")"`;
  const credentials = running(script(token), {}, { now: () => now });
  const first = await Promise.all([credentials.current(), credentials.current()]);
  expect(first).toEqual([{ token: "t1" }, { token: "t1" }]);
  now += 3_599_000;
  expect(await credentials.current()).toEqual({ token: "t1" });
  expect(credentials.refused(first[0])).toBe(true);
  expect(await credentials.current()).toEqual({ token: "t2" });
  // The refusal of a request that was sent before comes late.
  expect(credentials.refused(first[0])).toBe(true);
  expect(await credentials.current()).toEqual({ token: "t2" });
  now += 1_000;
  expect(await credentials.current()).toEqual({ token: "t3" });
  expect(readFileSync(count, "utf8")).toBe("xxx");
});

test("it is given its arguments, its variables beside ours, and what is asked", async () => {
  const seen = join(directory, "seen");
  const path = script(`printf '%s\\n' "$1" "$2" "$OWN" "$HOME" "$KUBERNETES_EXEC_INFO" >"${seen}"; ${prints(answer({ token: "t" }))}`);
  await running(path, { args: ["a b", "$c"], env: { OWN: "value" }, cluster: { server: "https://h" } }).current();
  const [one, two, own, home, info] = readFileSync(seen, "utf8").split("\n");
  expect([one, two, own, home]).toEqual(["a b", "$c", "value", process.env.HOME ?? ""]);
  expect(JSON.parse(info!)).toEqual({ apiVersion: V1, kind: "ExecCredential", spec: { interactive: false, cluster: { server: "https://h" } } });
});

test("a certificate with its key; both with a token", async () => {
  const now = Date.now();
  const { certificate, key } = authorityOf(newAuthority(now), () => now).issue({ commonName: "dev" }, "client");
  const status = { clientCertificateData: certificate, clientKeyData: key };
  expect(await running(script(prints(answer(status)))).current()).toEqual({ cert: certificate, key });
  expect(await running(script(prints(answer({ ...status, token: "t" })))).current()).toEqual({ cert: certificate, key, token: "t" });
});

test.for<[string, string, RegExp]>([
  ["fails", "exit 3", /failed: exit code 3$/],
  ["is killed", "kill -9 $$", /failed: SIGKILL$/],
  ["prints no JSON", "echo secret-token", /printed no ExecCredential$/],
  ["prints something else", prints('{"kind":"Status","status":{"token":"secret-token"}}'), /printed no ExecCredential$/],
  [
    "prints another version",
    prints(answer({ token: "secret-token" }, "client.authentication.k8s.io/v1beta1")),
    /v1beta1"; the kubeconfig says client/,
  ],
  ["gives no status", prints(`{"apiVersion":"${V1}","kind":"ExecCredential"}`), /without a status$/],
  ["gives nothing", prints(answer({})), /gave neither a token nor a certificate$/],
  ["gives half an identity", prints(answer({ clientKeyData: "secret-token" })), /gave only one of certificate and key$/],
  ["gives an odd identity", prints(answer({ clientCertificateData: "x", clientKeyData: "secret-token" })), /do not belong together, or are no PEM$/],
  ["gives an odd time", prints(answer({ token: "secret-token", expirationTimestamp: "soon" })), /an expirationTimestamp that is no time$/],
  ["never stops printing", "exec 2>/dev/null; yes secret-token", /failed: it printed more than 1 MiB$/],
])("a plug-in that %s is said in one sentence", async ([, text, why]) => {
  const path = script(text);
  const thrown = await running(path)
    .current()
    .catch((e: unknown) => e);
  expect(thrown).toBeInstanceOf(TortieError);
  const { message } = thrown as TortieError;
  expect(message).toMatch(why);
  expect(message).toContain(`Cannot get the credentials of the user "dev": the plug-in "${path}" `);
  expect(message).not.toContain("secret-token");
});

test("a plug-in that is not there is said with the kubeconfig's own advice, or ours", async () => {
  const missing = { message: 'Cannot get the credentials of the user "dev": the plug-in "no-such-plugin" is not installed' };
  await expect(running("no-such-plugin", { installHint: "Get it from example.com" }).current()).rejects.toMatchObject({
    ...missing,
    hint: "Get it from example.com",
  });
  await expect(running("no-such-plugin").current()).rejects.toMatchObject({ ...missing, hint: expect.stringContaining("PATH") as string });
  const path = script("");
  chmodSync(path, 0o644);
  await expect(running(path).current()).rejects.toThrow("is no program that may be run");
});

test("one that must ask a person is not run where there is none", async () => {
  const path = script(prints(answer({ token: "t" })));
  await expect(running(path, { interactiveMode: "Always" }).current()).rejects.toThrow("has to ask a person, and standard input is no terminal");
});

test("after a failure it is run again with the next question; close() ends one that hangs", async () => {
  const path = script("exit 1");
  const credentials = running(path);
  await expect(credentials.current()).rejects.toThrow("exit code 1");
  script("exec sleep 1000");
  const hanging = credentials.current();
  setTimeout(() => credentials.close(), 50);
  await expect(hanging).rejects.toThrow("was given up");
  script(prints(answer({ token: "t" })));
  expect(await credentials.current()).toEqual({ token: "t" });
});
