// How servers that share one store say where they are: a Lease for each, in kube-system. Agents keep a stream to every one (docs/design/streams.md).
import type { Lease } from "./lease.ts";

export const SERVER_NAMESPACE = "kube-system";
const LABEL = "tortie.io/component";
export const SERVER_SELECTOR: string = `${LABEL}=server`;
/** Seconds for which a server counts as there after it said so. */
export const SERVER_LEASE_S = 30;

/** `name` is the server's, the same after a restart; `now` in ms since 1970. */
export function announcement(name: string, url: string, now: number): Lease {
  return {
    apiVersion: "coordination.k8s.io/v1",
    kind: "Lease",
    metadata: { name, namespace: SERVER_NAMESPACE, labels: { [LABEL]: "server" } },
    spec: { holderIdentity: url, leaseDurationSeconds: SERVER_LEASE_S, renewTime: new Date(now).toISOString().replace("Z", "000Z") },
  };
}

/** Which of the announced servers are there, judged by the reader's own clock: whoever's Lease was renewed lately, so that clocks need not agree. */
export class Announced {
  readonly #seen = new Map<string, { renewTime: string | undefined; at: number }>();

  /** URLs of the servers that are there; `clock` in ms that only grow. */
  urls(leases: readonly Lease[], clock: number): string[] {
    const names = new Set(leases.map((l) => l.metadata.name));
    for (const name of this.#seen.keys()) if (!names.has(name)) this.#seen.delete(name);
    const urls = new Set<string>();
    for (const { metadata, spec = {} } of leases) {
      let seen = this.#seen.get(metadata.name);
      if (!seen || seen.renewTime !== spec.renewTime) this.#seen.set(metadata.name, (seen = { renewTime: spec.renewTime, at: clock }));
      const lasts = (spec.leaseDurationSeconds ?? SERVER_LEASE_S) * 1000;
      if (spec.holderIdentity?.startsWith("https://") && clock - seen.at <= lasts) urls.add(spec.holderIdentity);
    }
    return [...urls];
  }
}
