import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { loadKubeconfig, parseKubeconfig } from "./kubeconfig.ts";

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "tortie-kubeconfig-"));
  mkdirSync(join(directory, "pki"));
  writeFileSync(join(directory, "pki/ca.crt"), pem("CA FROM FILE"));
});
afterAll(() => rmSync(directory, { recursive: true }));

const config = (cluster: string, user: string, more = ""): string => `apiVersion: v1
kind: Config
current-context: main
clusters: [{name: c, cluster: {${cluster}}}]
users: [{name: u, user: {${user}}}]
contexts:
- {name: main, context: {cluster: c, user: u, namespace: lab}}
- {name: bare, context: {cluster: c}}
- {name: lost, context: {cluster: nowhere}}
${more}`;
const write = (name: string, text: string): string => {
  writeFileSync(join(directory, name), text);
  return join(directory, name);
};
const base64 = (text: string): string => Buffer.from(text).toString("base64");
const pem = (text: string): string => `-----BEGIN ${text}-----\n`;

test("inline data, and the context's namespace", () => {
  const text = config(
    `server: "https://h:6443/", certificate-authority-data: ${base64(pem("CA"))}, tls-server-name: api`,
    `client-certificate-data: ${base64(pem("CERT"))}, client-key-data: ${base64(pem("KEY"))}`,
  );
  const expected = { url: "https://h:6443", ca: pem("CA"), serverName: "api" };
  expect(parseKubeconfig(text)).toEqual({ ...expected, cert: pem("CERT"), key: pem("KEY"), namespace: "lab" });
  expect(parseKubeconfig(text, { context: "bare" })).toEqual(expected);
});

test("paths are relative to the file that names them; data wins over files; a token wins over its file", () => {
  const path = write("files", config("server: https://h, certificate-authority: pki/ca.crt", "tokenFile: tok"));
  expect(loadKubeconfig(path)).toEqual({ url: "https://h", ca: pem("CA FROM FILE"), tokenFile: join(directory, "tok"), namespace: "lab" });
  const both = config(
    `server: https://h, certificate-authority: /nonexistent, certificate-authority-data: ${base64(pem("X"))}`,
    "token: t, tokenFile: /nonexistent",
  );
  expect(parseKubeconfig(both)).toEqual({ url: "https://h", ca: pem("X"), token: "t", namespace: "lab" });
});

test("a unix socket as server", () => {
  for (const server of ["unix:/run/api.sock", "unix:///run/api.sock"])
    expect(parseKubeconfig(config(`server: "${server}"`, "")).socketPath).toBe("/run/api.sock");
});

test("of several files the first that has an entry wins, and missing ones are skipped", () => {
  const first = write("first", "current-context: other\ncontexts: [{name: other, context: {cluster: c}}]\n");
  const second = write("second", config("server: https://second", ""));
  expect(loadKubeconfig(`${first}:/nonexistent:${second}`).url).toBe("https://second");
});

test.for([
  { name: "no file", path: "/nonexistent", why: 'Cannot read the kubeconfig "/nonexistent": it does not exist' },
  { name: "no YAML", text: "a: [secret-token", why: /it is not YAML \(line [0-9]+\)$/ },
  { name: "no mapping", text: "words", why: /it is not a mapping$/ },
  { name: "empty", text: "", why: /it is not a mapping$/ },
  { name: "no context", text: "a: 1", why: /it has no current-context$/ },
  { name: "an unknown context", text: config("server: https://h", "").replace("main", "gone"), why: /there is no context "gone"$/ },
  { name: "a context of no cluster", text: config("server: https://h", "").replace("main", "lost"), why: /names no cluster with a server$/ },
  { name: "lists that are none", text: "current-context: a\ncontexts: 7\n", why: /there is no context "a"$/ },
  {
    name: "a plug-in",
    text: config("server: https://h", "exec: {command: aws}"),
    why: /gets its credentials from a plug-in, which tortie does not run$/,
  },
  {
    name: "a key that is no base64",
    text: config("server: https://h", 'client-key-data: "secret-token!"'),
    why: /client-key-data is not base64$/,
  },
  {
    name: "a certificate that is none",
    text: config("server: https://h", `client-certificate-data: ${base64("secret-token")}`),
    why: /client-certificate-data holds no PEM text$/,
  },
  { name: "a number for a key", text: config("server: https://h", "client-key-data: 7"), why: /client-key-data is no text$/ },
  { name: "a missing certificate", text: config("server: https://h, certificate-authority: gone.crt", ""), why: /gone\.crt": it does not exist$/ },
])("a kubeconfig is refused in one sentence: $name", ({ path, text, why }) => {
  const load = (): unknown => loadKubeconfig(path ?? write("bad", text!));
  expect(load).toThrow(why);
  expect(load).not.toThrow("secret-token");
});
