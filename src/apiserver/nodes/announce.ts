// Says where this server is, to agents that are to keep a stream to every one of those that share a store.
import { createHash } from "node:crypto";
import { announcement, SERVER_LEASE_S, SERVER_NAMESPACE } from "../../api/announcement.ts";
import type { JsonObject } from "../../api/json.ts";
import type { Kind } from "../../api/kind.ts";
import { LEASE } from "../../api/lease.ts";
import { isApiError } from "../../api/status.ts";
import { messageOf } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import { SOCKET_OWNER } from "../identity/authenticate.ts";
import type { Registry } from "../objects/registry.ts";

const EVERY_MS: number = (SERVER_LEASE_S * 1000) / 3;
const OPTIONS = { user: SOCKET_OWNER, dryRun: false, validation: "Strict" } as const;

export type Announcing = { /** Takes it back. */ stop(): Promise<void> };

/** Keeps the Lease of the server at `url` renewed. */
export function announce({ registry, url, now, log }: { registry: Registry; url: string; now: () => number; log: Log }): Announcing {
  const name = `tortie-server-${createHash("sha256").update(url).digest("hex").slice(0, 12)}`;
  const collection = { kind: LEASE as unknown as Kind, namespace: SERVER_NAMESPACE, name: "", subresource: "", rest: "" };
  const target = { ...collection, name };
  const renew = async (): Promise<void> => {
    const lease = announcement(name, url, now()) as unknown as JsonObject;
    try {
      await registry.patch(target, { duplicates: [], apply: (old) => ({ ...old, spec: lease.spec! }) }, OPTIONS);
    } catch (thrown) {
      if (!isApiError(thrown, "NotFound")) throw thrown;
      await registry.create(collection, lease, [], OPTIONS);
    }
  };
  const quietly = (what: Promise<unknown>): Promise<unknown> =>
    what.catch((thrown: unknown) => log.warn("cannot announce this server to the agents", { error: messageOf(thrown) }));
  let last = quietly(renew());
  const timer = setInterval(() => void (last = last.then(() => quietly(renew()))), EVERY_MS);
  return {
    async stop() {
      clearInterval(timer);
      await last;
      await quietly(registry.remove(target, OPTIONS));
    },
  };
}
