// Where the API is and who we are, from kubeconfig files. https://kubernetes.io/docs/concepts/configuration/organize-cluster-access-kubeconfig/
import { existsSync, readFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { parse } from "yaml";
import { messageOf, TortieError } from "../base/errors.ts";

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
  /** Read anew every minute: such tokens rotate. */
  tokenFile?: string;
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
};
type User = {
  "client-certificate"?: string;
  "client-certificate-data"?: string;
  "client-key"?: string;
  "client-key-data"?: string;
  token?: string;
  tokenFile?: string;
  username?: string;
  exec?: unknown;
  "auth-provider"?: unknown;
};
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
  if (value === null || typeof value !== "object" || Array.isArray(value))
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

function fromBase64(text: string): string | undefined {
  try {
    return atob(text.replace(/\s+/g, ""));
  } catch {
    return undefined;
  }
}

function endpointOf(entries: readonly Entry[], where: string, contextName: string | undefined): Endpoint {
  const fail = (why: string): never => {
    throw new TortieError(`Cannot use the kubeconfig "${where}": ${why}`, { hint: HINT });
  };
  const current = contextName ?? entries.map((e) => e.file["current-context"]).find((c) => c);
  if (!current) return fail("it has no current-context");
  const context = find<"context", { cluster?: string; user?: string; namespace?: string }>(entries, "context", current);
  if (!context) return fail(`there is no context "${current}"`);
  const cluster = find<"cluster", Cluster>(entries, "cluster", context.value.cluster ?? "");
  if (!cluster?.value.server) return fail(`the context "${current}" names no cluster with a server`);
  const user = find<"user", User>(entries, "user", context.value.user ?? "");
  if (context.value.user && !user) return fail(`there is no user "${context.value.user}"`);
  const u = user?.value ?? {};
  const c = cluster.value;
  if (u.exec ?? u["auth-provider"]) return fail(`the user "${context.value.user}" gets its credentials from a plug-in, which tortie does not run`);
  /** The PEM text that a field, or the file of the field beside it, holds. */
  const pem = (from: Cluster & User, field: PemField, directory: string): string | undefined => {
    const [data, file] = [from[`${field}-data`], from[field]];
    if (data !== undefined && typeof data !== "string") return fail(`${field}-data is no text`);
    if (file !== undefined && typeof file !== "string") return fail(`${field} is no path`);
    const text = data ? fromBase64(data) : file ? readConfig(resolve(directory, file)) : undefined;
    if (data && text === undefined) return fail(`${field}-data is not base64`);
    if (text !== undefined && !text.includes("-----BEGIN ")) return fail(`${data ? `${field}-data` : field} holds no PEM text`);
    return text;
  };
  const fileOf = (field: "client-certificate" | "client-key"): string | undefined => {
    const file = u[`${field}-data`] ? undefined : u[field];
    return file ? resolve(user?.directory ?? ".", file) : undefined;
  };
  const values: { [P in keyof Endpoint]: Endpoint[P] | undefined } = {
    url: c.server!.replace(/\/+$/, ""),
    ca: pem(c, "certificate-authority", cluster.directory),
    cert: pem(u, "client-certificate", user?.directory ?? "."),
    key: pem(u, "client-key", user?.directory ?? "."),
    certFile: fileOf("client-certificate"),
    keyFile: fileOf("client-key"),
    token: u.token,
    tokenFile: u.token ? undefined : u.tokenFile && resolve(user?.directory ?? ".", u.tokenFile),
    serverName: c["tls-server-name"],
    insecure: c["insecure-skip-tls-verify"] ? true : undefined,
    namespace: context.value.namespace,
  };
  if (values.url!.startsWith("unix:")) values.socketPath = values.url!.slice(5).replace(/^\/\/(?=\/)/, "");
  return Object.fromEntries(Object.entries(values).filter(([, v]) => v !== undefined)) as Endpoint;
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
