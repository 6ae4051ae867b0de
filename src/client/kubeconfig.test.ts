import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
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

test("paths are relative to the file that names them; data wins over files; a token is for as long as its file could not be read", () => {
  const path = write("files", config("server: https://h, certificate-authority: pki/ca.crt", "tokenFile: tok"));
  expect(loadKubeconfig(path)).toEqual({ url: "https://h", ca: pem("CA FROM FILE"), tokenFile: join(directory, "tok"), namespace: "lab" });
  const both = config(
    `server: https://h, certificate-authority: /nonexistent, certificate-authority-data: ${base64(pem("X"))}`,
    "token: t, tokenFile: /run/t",
  );
  expect(parseKubeconfig(both)).toEqual({ url: "https://h", ca: pem("X"), token: "t", tokenFile: "/run/t", namespace: "lab" });
});

test("acting as somebody else: the headers", () => {
  const user = `token: t, as: "jörg", as-uid: u1, as-groups: [a, b], as-user-extra: {Scopes: [x, y], "a/b": [z]}`;
  expect(parseKubeconfig(config("server: https://h", user)).impersonate).toEqual({
    "impersonate-user": Buffer.from("jörg").toString("latin1"),
    "impersonate-uid": "u1",
    "impersonate-group": ["a", "b"],
    "impersonate-extra-scopes": ["x", "y"],
    "impersonate-extra-a%2Fb": ["z"],
  });
});

describe("a plug-in", () => {
  const exec = (fields: string): string => `exec: {apiVersion: client.authentication.k8s.io/v1, interactiveMode: Never, ${fields}}`;
  const pluginOf = (user: string, cluster = "server: https://h"): unknown => loadKubeconfig(write("plugin", config(cluster, user))).plugin;

  test("as it stands: a name is for PATH, a path is relative to the file", () => {
    const plain = { user: "u", apiVersion: "client.authentication.k8s.io/v1", args: [], env: {}, interactiveMode: "Never", installHint: "" };
    expect(pluginOf(exec("command: aws, args: [eks, get-token], env: [{name: A, value: b}], installHint: brew"))).toEqual({
      ...plain,
      command: "aws",
      args: ["eks", "get-token"],
      env: { A: "b" },
      installHint: "brew",
    });
    expect(pluginOf(exec("command: ./bin/login"))).toEqual({ ...plain, command: join(directory, "bin/login") });
    expect(pluginOf(exec("command: bin/login, args: null, env: null"))).toEqual({ ...plain, command: join(directory, "bin/login") });
    expect(pluginOf("exec: {apiVersion: client.authentication.k8s.io/v1beta1, command: x}")).toEqual({
      ...plain,
      apiVersion: "client.authentication.k8s.io/v1beta1",
      command: "x",
      interactiveMode: "IfAvailable",
    });
  });

  test("is told of the cluster where it wants to be, with the authority of a file and its own extension", () => {
    const cluster =
      'server: "https://h/", certificate-authority: pki/ca.crt, tls-server-name: api, extensions: [{name: other, extension: 1}, {name: client.authentication.k8s.io/exec, extension: {audience: a}}]';
    expect(pluginOf(exec("command: x, provideClusterInfo: true"), cluster)).toMatchObject({
      cluster: {
        server: "https://h/",
        "tls-server-name": "api",
        "certificate-authority-data": base64(pem("CA FROM FILE")),
        config: { audience: "a" },
      },
    });
    expect(pluginOf(exec("command: x"), cluster)).not.toHaveProperty("cluster");
  });
});

test("a unix socket as server", () => {
  for (const server of ["unix:/run/api.sock", "unix:///run/api.sock"])
    expect(parseKubeconfig(config(`server: "${server}"`, "")).socketPath).toBe("/run/api.sock");
});

test("of several files the first that has an entry wins, and missing ones are skipped", () => {
  const first = write("first", "current-context: other\ncontexts: [{name: other, context: {cluster: c}}]\n");
  const second = write("second", config("server: https://second", "token: second"));
  const empty = write("empty", "");
  expect(loadKubeconfig(`${first}:/nonexistent:${empty}:${second}`).url).toBe("https://second");
  // Whole entries: nothing of a later file's entry of the same name is added.
  const half = write("half", "users: [{name: u, user: {tokenFile: tok}}]\n");
  expect(loadKubeconfig(`${half}:${second}`)).toEqual({ url: "https://second", tokenFile: join(directory, "tok"), namespace: "lab" });
});

test.for([
  { name: "no file", path: "/nonexistent", why: 'Cannot read the kubeconfig "/nonexistent": it does not exist' },
  { name: "no YAML", text: "a: [secret-token", why: /it is not YAML \(line [0-9]+\)$/ },
  { name: "no mapping", text: "words", why: /it is not a mapping$/ },
  { name: "empty", text: "", why: /it has no current-context$/ },
  { name: "no context", text: "a: 1", why: /it has no current-context$/ },
  { name: "an unknown context", text: config("server: https://h", "").replace("main", "gone"), why: /there is no context "gone"$/ },
  { name: "a context of no cluster", text: config("server: https://h", "").replace("main", "lost"), why: /names no cluster with a server$/ },
  { name: "lists that are none", text: "current-context: a\ncontexts: 7\n", why: /there is no context "a"$/ },
  ...(
    [
      [
        "of an old version",
        "apiVersion: client.authentication.k8s.io/v1alpha1, command: x",
        /has the apiVersion "client.*v1alpha1"; those that can be run/,
      ],
      ["without a command", "apiVersion: client.authentication.k8s.io/v1, interactiveMode: Never", /has no command$/],
      ["of v1 without a mode", "apiVersion: client.authentication.k8s.io/v1, command: x", /needs an interactiveMode: Never, IfAvailable, Always$/],
      ["with odd args", "apiVersion: client.authentication.k8s.io/v1beta1, command: x, args: [1]", /has args that are no list of texts$/],
      ["with an odd env", "apiVersion: client.authentication.k8s.io/v1beta1, command: x, env: {A: secret-token}", /has an env that is no list/],
    ] as const
  ).map(([name, exec, why]) => ({ name: `a plug-in ${name}`, text: config("server: https://h", `exec: {${exec}}`), why })),
  { name: "an auth-provider", text: config("server: https://h", "auth-provider: {name: gcp}"), why: /the user "u" has an auth-provider/ },
  { name: "a password", text: config("server: https://h", "username: a, password: secret-token"), why: /the user "u" logs in with a password/ },
  { name: "groups of nobody", text: config("server: https://h", "as-groups: [a]"), why: /need as$/ },
  { name: "a proxy", text: config("server: https://h, proxy-url: http://p", ""), why: /it has a proxy-url, and tortie goes through no proxy$/ },
  {
    name: "an authority that is not asked",
    text: config(`server: https://h, insecure-skip-tls-verify: true, certificate-authority-data: ${base64(pem("X"))}`, ""),
    why: /both a certificate authority and insecure-skip-tls-verify$/,
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
