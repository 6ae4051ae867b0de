// The certificate and key that a client shows. Where they stand in files they are renewed there (an agent's each year or sooner): read again each minute.
import { readFileSync } from "node:fs";
import { createSecureContext } from "node:tls";
import type { Endpoint } from "./kubeconfig.ts";

const AGE_MS = 60_000;

export type Identity = { cert?: string; key?: string };

/** What to show at the moment. Files that are missing, or do not belong together because one is being replaced, leave what was there. */
export function identityIn(endpoint: Endpoint, clock: () => number = () => performance.now()): () => Identity {
  const { cert, key, certFile, keyFile } = endpoint;
  let shown: Identity = { ...(cert ? { cert } : {}), ...(key ? { key } : {}) };
  if (certFile === undefined || keyFile === undefined) return () => shown;
  let readAt = -Infinity;
  return () => {
    if (clock() - readAt <= AGE_MS) return shown;
    readAt = clock();
    try {
      const fresh = { cert: readFileSync(certFile, "utf8"), key: readFileSync(keyFile, "utf8") };
      createSecureContext(fresh);
      shown = fresh;
    } catch {
      // It is read again in a minute.
    }
    return shown;
  };
}
