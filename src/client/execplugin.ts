// Credential plug-ins as kubeconfigs name them: a program that prints who we are, for clouds whose tokens live an hour.
// https://kubernetes.io/docs/reference/access-authn-authz/authentication/#client-go-credential-plugins
import { resolve } from "node:path";
import { isObject, type JsonObject, type JsonValue } from "../api/json.ts";

const GROUP = "client.authentication.k8s.io";
const VERSIONS: readonly string[] = [`${GROUP}/v1`, `${GROUP}/v1beta1`];
const MODES = ["Never", "IfAvailable", "Always"] as const;
/** The extension of a cluster that is for its plug-in. */
const CONFIG_EXTENSION = `${GROUP}/exec`;

export type ExecPlugin = {
  /** The user's name in the kubeconfig, for messages. */
  readonly user: string;
  /** "client.authentication.k8s.io/v1" or "…/v1beta1". */
  readonly apiVersion: string;
  /** A path, or a name to look for in PATH. */
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** Whether it may, or must, ask the person at the terminal. */
  readonly interactiveMode: (typeof MODES)[number];
  /** What to do when the program is missing, in the words of who wrote the kubeconfig. */
  readonly installHint: string;
  /** What it is told of the cluster, where it wants to be told. */
  readonly cluster?: JsonObject;
};

type Fields = Readonly<Record<string, JsonValue | undefined>>;
const isText = (v: JsonValue | undefined): v is string => typeof v === "string";

/** The `exec` of a kubeconfig's user. `directory`: the file's; `cluster`: the cluster's fields, `ca` its authority (PEM). `fail` throws a sentence about it. */
export function execPluginOf(
  value: unknown,
  at: { user: string; directory: string; cluster: Fields; ca: string | undefined },
  fail: (why: string) => never,
): ExecPlugin {
  const wrong = (why: string): never => fail(`the plug-in of the user "${at.user}" ${why}`);
  if (!isObject(value)) return wrong("is no mapping");
  const { apiVersion, command, args, env, interactiveMode, installHint, provideClusterInfo } = value;
  if (!isText(apiVersion) || !VERSIONS.includes(apiVersion))
    return wrong(`has the apiVersion ${JSON.stringify(apiVersion ?? "")}; those that can be run: ${VERSIONS.join(", ")}`);
  if (!isText(command) || command === "") return wrong("has no command");
  if (args !== undefined && args !== null && !(Array.isArray(args) && args.every(isText))) return wrong("has args that are no list of texts");
  // v1beta1 had no such field at first.
  const mode = interactiveMode ?? (apiVersion === VERSIONS[0] ? undefined : "IfAvailable");
  if (!MODES.includes(mode as never)) return wrong(`needs an interactiveMode: ${MODES.join(", ")}`);
  return {
    user: at.user,
    apiVersion,
    // As PATH does it: a name without a slash is looked for, all others are relative to the file that they stand in.
    command: command.includes("/") ? resolve(at.directory, command) : command,
    args: (args as string[] | undefined) ?? [],
    env: variablesOf(env) ?? wrong("has an env that is no list of names and values"),
    interactiveMode: mode as ExecPlugin["interactiveMode"],
    installHint: isText(installHint) ? installHint.trim() : "",
    ...(provideClusterInfo === true ? { cluster: clusterInfo(at.cluster, at.ca) } : {}),
  };
}

function variablesOf(env: JsonValue | undefined): Record<string, string> | undefined {
  if (env === undefined || env === null) return {};
  if (!Array.isArray(env)) return undefined;
  const pairs = env.map((e) => (isObject(e) && isText(e.name) && isText(e.value ?? "") ? ([e.name, (e.value ?? "") as string] as const) : undefined));
  return pairs.some((p) => p === undefined) ? undefined : Object.fromEntries(pairs as [string, string][]);
}

/** spec.cluster of an ExecCredential. https://kubernetes.io/docs/reference/config-api/client-authentication.v1/#client-authentication-k8s-io-v1-Cluster */
function clusterInfo(cluster: Fields, ca: string | undefined): JsonObject {
  const { extensions } = cluster;
  const own = Array.isArray(extensions) ? extensions.find((e) => isObject(e) && e.name === CONFIG_EXTENSION) : undefined;
  const told = {
    server: cluster.server,
    "tls-server-name": cluster["tls-server-name"],
    "insecure-skip-tls-verify": cluster["insecure-skip-tls-verify"],
    "certificate-authority-data": ca === undefined ? undefined : Buffer.from(ca).toString("base64"),
    config: isObject(own) ? own.extension : undefined,
  };
  return Object.fromEntries(Object.entries(told).filter((e): e is [string, JsonValue] => e[1] !== undefined));
}
