// Where calicoctl finds its datastore: the file of -c, else the environment (CALICO_X or X), else whatever tortie itself would use.
// https://docs.tigera.io/calico/latest/operations/calicoctl/configure/kdd
import { existsSync, readFileSync } from "node:fs";
import { parse } from "yaml";
import { messageOf, TortieError } from "../../base/errors.ts";
import { type Endpoint, loadKubeconfig, parseKubeconfig } from "../../client/kubeconfig.ts";
import { findEndpoint } from "../connect.ts";

export const DEFAULT_CONFIG = "/etc/calico/calicoctl.cfg";

const ENVIRONMENT = {
  datastoreType: "DATASTORE_TYPE",
  kubeconfig: "KUBECONFIG",
  kubeconfigInline: "",
  k8sAPIEndpoint: "K8S_API_ENDPOINT",
  k8sKeyFile: "K8S_KEY_FILE",
  k8sCertFile: "K8S_CERT_FILE",
  k8sCAFile: "K8S_CA_FILE",
  k8sAPIToken: "K8S_API_TOKEN",
  k8sInsecureSkipTLSVerify: "K8S_INSECURE_SKIP_TLS_VERIFY",
  k8sCurrentContext: "K8S_CURRENT_CONTEXT",
  calicoAPIGroup: "CALICO_API_GROUP",
} as const;
type Key = keyof typeof ENVIRONMENT;
type Spec = Partial<Record<Key, string>>;
/** Known, and of no meaning here. */
const OTHER = new Set(
  "k8sClientQPS k8sClientBurst usePodCIDR etcdEndpoints etcdDiscoverySrv etcdUsername etcdPassword etcdKeyFile etcdCertFile etcdCACertFile etcdKey etcdCert etcdCACert".split(
    " ",
  ),
);

const fromEnvironment = (env: NodeJS.ProcessEnv): Spec =>
  Object.fromEntries(
    Object.entries(ENVIRONMENT).flatMap(([key, name]) => {
      const value = name === "" ? undefined : env[`CALICO_${name}`] || env[name];
      return value ? [[key, value]] : [];
    }),
  );

function fromFile(path: string): Spec {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (thrown) {
    throw new TortieError(`Error reading config file: ${path}: ${messageOf(thrown)}`);
  }
  const wrong = (why: string): never => {
    throw new TortieError(`Error reading config file: syntax error in ${path}: ${why}`);
  };
  let value: unknown;
  try {
    value = parse(text);
  } catch {
    return wrong("it is not YAML"); // the parser's words would quote the line, which may be a password
  }
  const file = value as { apiVersion?: unknown; kind?: unknown; metadata?: unknown; spec?: Record<string, unknown> | null } | null;
  if (typeof file !== "object" || file === null) return wrong("it is not a mapping");
  for (const key of Object.keys(file)) if (!["apiVersion", "kind", "metadata", "spec"].includes(key)) return wrong(`unknown field "${key}"`);
  if (file.kind !== "CalicoAPIConfig") return wrong('kind must be "CalicoAPIConfig"');
  if (file.apiVersion !== "projectcalico.org/v3") return wrong('apiVersion must be "projectcalico.org/v3"');
  const spec = file.spec ?? {};
  for (const key of Object.keys(spec)) if (!(key in ENVIRONMENT) && !OTHER.has(key)) return wrong(`unknown field "spec.${key}"`);
  const etcd = spec.etcdEndpoints !== undefined && spec.datastoreType === undefined ? { datastoreType: "etcdv3" } : {};
  return { ...etcd, ...Object.fromEntries(Object.entries(spec).flatMap(([k, v]) => (k in ENVIRONMENT ? [[k, String(v)]] : []))) };
}

function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (thrown) {
    throw new TortieError(`Failed to create Calico API client: ${messageOf(thrown)}`, { cause: thrown });
  }
}

async function endpointOf(spec: Spec, kubeconfig: string | undefined): Promise<Endpoint> {
  if (spec.datastoreType !== undefined && spec.datastoreType !== "kubernetes")
    throw new TortieError(`the datastore type "${spec.datastoreType}" is not supported: only kubernetes is`);
  const context = spec.k8sCurrentContext;
  let base: Endpoint | undefined;
  if (kubeconfig) base = loadKubeconfig(kubeconfig, { context });
  else if (spec.kubeconfigInline) base = parseKubeconfig(spec.kubeconfigInline, { context });
  else if (spec.kubeconfig) base = loadKubeconfig(spec.kubeconfig, { context });
  else if (!spec.k8sAPIEndpoint) base = await findEndpoint({ context });
  return {
    ...base,
    url: spec.k8sAPIEndpoint?.replace(/\/+$/, "") ?? base!.url,
    ...(spec.k8sCAFile ? { ca: read(spec.k8sCAFile) } : {}),
    ...(spec.k8sCertFile ? { cert: read(spec.k8sCertFile) } : {}),
    ...(spec.k8sKeyFile ? { key: read(spec.k8sKeyFile) } : {}),
    ...(spec.k8sAPIToken ? { token: spec.k8sAPIToken } : {}),
    ...(spec.k8sInsecureSkipTLSVerify === "true" ? { insecure: true } : {}),
  };
}

export type ConfigFlags = { config?: string; context?: string; kubeconfig?: string };

export type Configured = {
  readonly endpoint: Endpoint;
  /** Which resources Calico's are kept as: "projectcalico.org/v3" or "crd.projectcalico.org/v1". Without, the cluster is asked. */
  readonly apiGroup: string | undefined;
};

/** What these flags and this environment mean. Throws calicoctl's sentences. */
export async function configured(flags: ConfigFlags, env: NodeJS.ProcessEnv = process.env): Promise<Configured> {
  const path = flags.config ?? DEFAULT_CONFIG;
  const spec = flags.config !== undefined || existsSync(path) ? fromFile(path) : fromEnvironment(env);
  try {
    const endpoint = await endpointOf({ ...spec, ...(flags.context ? { k8sCurrentContext: flags.context } : {}) }, flags.kubeconfig);
    return { endpoint, apiGroup: spec.calicoAPIGroup };
  } catch (thrown) {
    throw new TortieError(`Failed to create Calico API client: ${messageOf(thrown)}`, {
      cause: thrown,
      hint: thrown instanceof TortieError ? thrown.hint : "",
    });
  }
}
