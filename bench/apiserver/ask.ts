// Requests over connections that stay open: to a unix socket, or with a client's certificate over TLS.
import { readFileSync } from "node:fs";
import { Agent as HttpAgent, request as httpRequest } from "node:http";
import { Agent as TlsAgent, request as tlsRequest } from "node:https";
import { parse } from "yaml";
import type { Door } from "./watchers.ts";

export type Ask = (method: string, path: string, body?: string, type?: string) => Promise<Buffer>;

/** At most `connections` at once; throws when the answer is not 2xx. */
export function asker(door: Door, connections: number): { ask: Ask; close: () => void } {
  const options = { keepAlive: true, maxSockets: connections };
  const [request, where] =
    "port" in door
      ? [tlsRequest, { ...door, host: "127.0.0.1", agent: new TlsAgent(options) }]
      : [httpRequest, { ...door, agent: new HttpAgent(options) }];
  return {
    ask: (method, path, body, type = "application/json") =>
      new Promise((resolve, reject) => {
        const headers = body === undefined ? {} : { "content-type": type, "content-length": Buffer.byteLength(body) };
        const r = request({ ...where, method, path, headers }, (response) => {
          const parts: Buffer[] = [];
          response.on("data", (d: Buffer) => parts.push(d));
          response.on("end", () => {
            const all = Buffer.concat(parts);
            if (response.statusCode! >= 200 && response.statusCode! < 300) resolve(all);
            else reject(new Error(`${method} ${path}: ${response.statusCode} ${all.toString().slice(0, 300)}`));
          });
          response.on("error", reject);
        });
        r.on("error", reject);
        r.end(body);
      }),
    close: () => where.agent.destroy(),
  };
}

/** The TLS door that a kubeconfig describes. */
export function doorOf(kubeconfig: string): Extract<Door, { port: number }> {
  const config = parse(readFileSync(kubeconfig, "utf8")) as {
    clusters: { cluster: Record<string, string> }[];
    users: { user: Record<string, string> }[];
  };
  const decode = (text: string | undefined): string => Buffer.from(text!, "base64").toString();
  const { cluster } = config.clusters[0]!;
  const { user } = config.users[0]!;
  return {
    port: Number(new URL(cluster.server!).port),
    ca: decode(cluster["certificate-authority-data"]),
    cert: decode(user["client-certificate-data"]),
    key: decode(user["client-key-data"]),
  };
}

/** Runs `job` for each of `all`, so many at once. */
export async function each<T>(all: readonly T[], atOnce: number, job: (one: T) => Promise<unknown>): Promise<void> {
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < all.length) await job(all[next++]!);
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
}
