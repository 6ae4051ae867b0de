// Where the API is, for every command: --kubeconfig, KUBECONFIG, TORTIE_SOCKET, a running lab, ~/.kube/config, a pod's service account.
import { existsSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { TortieError } from "../base/errors.ts";
import { type Endpoint, inClusterEndpoint, loadKubeconfig } from "../client/kubeconfig.ts";
import { connectTo } from "../client/node.ts";
import type { RestClient } from "../client/rest.ts";

export type ConnectOptions = {
  /** --kubeconfig */
  kubeconfig?: string | undefined;
  /** --context */
  context?: string | undefined;
  env?: NodeJS.ProcessEnv;
};

/** Finds the API server; throws TortieError that says where it was looked for. */
export async function findEndpoint(options: ConnectOptions = {}): Promise<Endpoint> {
  const { kubeconfig, context, env = process.env } = options;
  if (kubeconfig) return loadKubeconfig(kubeconfig, { context });
  if (env.KUBECONFIG) return loadKubeconfig(env.KUBECONFIG, { context });
  const socket = env.TORTIE_SOCKET;
  if (socket) return { url: `unix:${socket}`, socketPath: socket };
  // Loaded only now: a kubeconfig needs nothing of the lab.
  const lab = (await import("../lab/enter.ts")).labApiSocket();
  if (lab) return { url: `unix:${lab}`, socketPath: lab };
  const home = join(env.HOME ?? homedir(), ".kube/config");
  if (existsSync(home)) return loadKubeconfig(home, { context });
  const cluster = inClusterEndpoint(env);
  if (cluster) return cluster;
  throw new TortieError(
    "Cannot find the API server: no --kubeconfig, KUBECONFIG or TORTIE_SOCKET is given, no lab runs and there is no ~/.kube/config",
    {
      hint: "`tortie lab up` starts a cluster on this machine; `tortie server --kubeconfig FILE` writes a kubeconfig.",
    },
  );
}

/** A client of this API, in whichever way its cluster keeps Calico's resources (client/layouts); `apiGroup` says it. Close it when done. */
export async function clientOf(endpoint: Endpoint, apiGroup?: string): Promise<RestClient> {
  const client = connectTo(endpoint);
  // Only our own server is behind a socket: nothing to ask, nothing to translate.
  return endpoint.socketPath === undefined ? (await import("../client/layouts/index.ts")).calicoClient(client, apiGroup) : client;
}

/** A client of the API that was found. */
export const connect = async (options: ConnectOptions = {}): Promise<RestClient> => clientOf(await findEndpoint(options));

/** The URL of an API server. Throws TortieError: `why`, then the text. */
export function checkUrl(text: string, why: string): void {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol !== "https:" || url.hostname === "" || /\s/.test(text))
    throw new TortieError(`${why} ${JSON.stringify(text)}: it must be a URL of https`, {
      hint: "For example https://192.168.10.1:6443.",
    });
}
