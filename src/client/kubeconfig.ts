// Where the API is and who we are, from kubeconfig files. https://kubernetes.io/docs/concepts/configuration/organize-cluster-access-kubeconfig/
import { existsSync, readFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { parse } from "yaml";
import type { JsonValue } from "../api/json.ts";
import { messageOf, TortieError } from "../base/errors.ts";
import { type ExecPlugin, execPluginOf } from "./execplugin.ts";
import { type ImpersonationFields, type ImpersonationHeaders, impersonationOf } from "./impersonate.ts";

/** One server and one identity. PEM texts are never logged. */
export type Endpoint = {
  /** "https://192.168.10.1:6443", with a path prefix where the config has one; ignored when `socketPath` is set. */
  url: string;
  socketPath?: string;
  ca?: string;
  cert?: string;
  key?: string;
  /** Files that `cert` and `key` came from; read anew every minute: certificates are renewed. */
  certFile?: string;
  keyFile?: string;
  token?: string;
  /** Read anew every minute: such tokens rotate. `token` is good until it could be read. */
  tokenFile?: string;
  /** A program that gives the credentials, in place of the above. */
  plugin?: ExecPlugin;
  /** Whom to act as: headers of each request. */
  impersonate?: ImpersonationHeaders;
  serverName?: string;
  insecure?: boolean;
  /** The context's namespace. @default "default" */
  namespace?: string;
};

type Named<K extends string, T> = { name: string } & { [P in K]?: T };
type Cluster = {
  server?: string;
  "certificate-authority"?: string;
  "certificate-authority-data"?: string;
  "insecure-skip-tls-verify"?: boolean;
  "tls-server-name"?: string;
  "proxy-url"?: string;
  extensions?: JsonValue;
};
type User = {
  "client-certificate"?: string;
  "client-certificate-data"?: string;
  "client-key"?: string;
  "client-key-data"?: string;
  token?: string;
  tokenFile?: string;
  username?: string;
  password?: string;
  exec?: unknown;
  "auth-provider"?: unknown;
} & ImpersonationFields;
type File = {
  clusters?: Named<"cluster", Cluster>[];
  users?: Named<"user", User>[];
  contexts?: Named<"context", { cluster?: string; user?: string; namespace?: string }>[];
  "current-context"?: string;
};
type Entry = { file: File; directory: string };

const HINT = "A kubeconfig is written by `tortie server --kubeconfig FILE`, or by your cluster's own tools.";

function readConfig(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (cause) {
    const why = (cause as NodeJS.ErrnoException).code === "ENOENT" ? "it does not exist" : messageOf(cause);
    throw new TortieError(`Cannot read the kubeconfig "${path}": ${why}`, { hint: HINT, cause });
  }
}

function parseConfig(text: string, path: string): File {
  let value: unknown;
  try {
    value = parse(text);
  } catch (cause) {
    // The parser's own words quote the line: it may hold a key.
    const at = (cause as { linePos?: [{ line: number }] }).linePos?.[0].line;
    throw new TortieError(`Cannot read the kubeconfig "${path}": it is not YAML${at === undefined ? "" : ` (line ${at})`}`, { hint: HINT });
  }
  if (value === null) return {}; // an empty file is a configuration of nothing
  if (typeof value !== "object" || Array.isArray(value))
    throw new TortieError(`Cannot read the kubeconfig "${path}": it is not a mapping`, { hint: HINT });
  return value;
}

/** The first file that has an entry wins, as in kubectl. */
function find<K extends "cluster" | "user" | "context", T>(
  entries: readonly Entry[],
  key: K,
  name: string,
): { value: T; directory: string } | undefined {
  for (const { file, directory } of entries) {
    const list = file[`${key}s`];
    const found = Array.isArray(list) ? (list as Named<K, T>[]).find((e) => e?.name === name) : undefined;
    if (found) return { value: (found[key] ?? {}) as T, directory };
  }
  return undefined;
}

type PemField = "certificate-authority" | "client-certificate" | "client-key";
type Fail = (why: string) => never;

function fromBase64(text: string): string | undefined {
  try {
    return atob(text.replace(/\s+/g, ""));
  } catch {
    return undefined;
  }
}

/** The PEM text that a field, or the file of the field beside it, holds. */
function pemIn(from: Cluster & User, field: PemField, directory: string, fail: Fail): string | undefined {
  const [data, file] = [from[`${field}-data`], from[field]];
  if (data !== undefined && typeof data !== "string") return fail(`${field}-data is no text`);
  if (file !== undefined && typeof file !== "string") return fail(`${field} is no path`);
  const text = data ? fromBase64(data) : file ? readConfig(resolve(directory, file)) : undefined;
  if (data && text === undefined) return fail(`${field}-data is not base64`);
  if (text !== undefined && !text.includes("-----BEGIN ")) return fail(`${data ? `${field}-data` : field} holds no PEM text`);
  return text;
}

/** Where the server is, and how to know it. */
function serverOf(cluster: Cluster, directory: string, fail: Fail): Partial<Endpoint> {
  // Not gone around in silence: the server may be reached by no other way, and would see another address of ours.
  if (cluster["proxy-url"]) return fail("it has a proxy-url, and tortie goes through no proxy");
  const ca = pemIn(cluster, "certificate-authority", directory, fail);
  const insecure = cluster["insecure-skip-tls-verify"] === true;
  if (ca !== undefined && insecure) return fail("its cluster has both a certificate authority and insecure-skip-tls-verify");
  const url = cluster.server!.replace(/\/+$/, "");
  const serverName = cluster["tls-server-name"];
  return {
    url,
    ...(url.startsWith("unix:") ? { socketPath: url.slice(5).replace(/^\/\/(?=\/)/, "") } : {}),
    ...(ca === undefined ? {} : { ca }),
    ...(serverName ? { serverName } : {}),
    ...(insecure ? { insecure } : {}),
  };
}

type WhoOptions = { name: string; directory: string; cluster: Cluster; ca: string | undefined };

/** Who we are there. */
function identityOf(user: User, { name, directory, cluster, ca }: WhoOptions, fail: Fail): Partial<Endpoint> {
  if (user["auth-provider"]) return fail(`the user "${name}" has an auth-provider, which Kubernetes gave up for exec plug-ins`);
  if (user.username || user.password) return fail(`the user "${name}" logs in with a password, which no Kubernetes since 1.19 takes`);
  const impersonate = impersonationOf(user, fail);
  const acting = impersonate ? { impersonate } : {};
  if (user.exec) return { plugin: execPluginOf(user.exec, { user: name, directory, cluster, ca }, fail), ...acting };
  const fileOf = (field: "client-certificate" | "client-key"): string | undefined => {
    const file = user[`${field}-data`] ? undefined : user[field];
    return file ? resolve(directory, file) : undefined;
  };
  const values = {
    cert: pemIn(user, "client-certificate", directory, fail),
    key: pemIn(user, "client-key", directory, fail),
    certFile: fileOf("client-certificate"),
    keyFile: fileOf("client-key"),
    token: user.token,
    tokenFile: user.tokenFile ? resolve(directory, user.tokenFile) : undefined,
  };
  return { ...(Object.fromEntries(Object.entries(values).filter(([, v]) => v !== undefined)) as Partial<Endpoint>), ...acting };
}

function endpointOf(entries: readonly Entry[], where: string, contextName: string | undefined): Endpoint {
  const fail: Fail = (why) => {
    throw new TortieError(`Cannot use the kubeconfig "${where}": ${why}`, { hint: HINT });
  };
  const current = contextName ?? entries.map((e) => e.file["current-context"]).find((c) => c);
  if (!current) return fail("it has no current-context");
  const context = find<"context", { cluster?: string; user?: string; namespace?: string }>(entries, "context", current);
  if (!context) return fail(`there is no context "${current}"`);
  const { cluster: clusterName = "", user: name = "", namespace } = context.value;
  const cluster = find<"cluster", Cluster>(entries, "cluster", clusterName);
  if (!cluster?.value.server) return fail(`the context "${current}" names no cluster with a server`);
  const user = find<"user", User>(entries, "user", name);
  if (name && !user) return fail(`there is no user "${name}"`);
  const server = serverOf(cluster.value, cluster.directory, fail);
  const who = { name, directory: user?.directory ?? ".", cluster: cluster.value, ca: server.ca };
  return { url: "", ...server, ...identityOf(user?.value ?? {}, who, fail), ...(namespace ? { namespace } : {}) };
}

/**
 * The endpoint that these files describe: one path, or several separated by ":" as in KUBECONFIG (missing ones of several are skipped).
 * A cluster's server may also be "unix:/path/to/socket". Throws TortieError; its message never quotes the file.
 */
export function loadKubeconfig(paths: string, options: { context?: string | undefined } = {}): Endpoint {
  const all = paths.split(":").filter((p) => p !== "");
  const entries: Entry[] = [];
  for (const path of all) {
    try {
      entries.push({ file: parseConfig(readConfig(path), path), directory: dirname(resolve(path)) });
    } catch (thrown) {
      const missing = thrown instanceof TortieError && (thrown.cause as NodeJS.ErrnoException | undefined)?.code === "ENOENT";
      if (!missing || (path === all.at(-1) && entries.length === 0)) throw thrown;
    }
  }
  return endpointOf(entries, paths, options.context);
}

/** The endpoint described by the text of one kubeconfig (calicoctl's kubeconfigInline). */
export const parseKubeconfig = (text: string, options: { context?: string | undefined } = {}): Endpoint =>
  endpointOf([{ file: parseConfig(text, "inline"), directory: process.cwd() }], "inline", options.context);

const SERVICE_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount";

/** The endpoint of a pod's service account, or undefined outside of a cluster. */
export function inClusterEndpoint(env: NodeJS.ProcessEnv = process.env, directory: string = SERVICE_ACCOUNT): Endpoint | undefined {
  const host = env.KUBERNETES_SERVICE_HOST;
  if (!host) return undefined;
  const ca = readConfig(`${directory}/ca.crt`);
  const namespace = existsSync(`${directory}/namespace`) ? readConfig(`${directory}/namespace`).trim() : "";
  return {
    url: `https://${host.includes(":") ? `[${host}]` : host}:${env.KUBERNETES_SERVICE_PORT ?? "443"}`,
    ca,
    tokenFile: `${directory}/token`,
    ...(namespace === "" ? {} : { namespace }),
  };
}
