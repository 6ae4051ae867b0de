// The server's own certificate, renewed while it runs: whoever connects is shown the new one, connections that stand keep theirs. The certificate authority is not
// renewed by anything: its end is told of half a year ahead.
import { X509Certificate } from "node:crypto";
import type { SecureContextOptions, Server } from "node:tls";
import type { Log } from "../../base/log.ts";
import { type Authority, LONGEST_S } from "./authority.ts";

const DAY_MS = 86_400_000;
/** Renewed when so much of its life is over. */
const DUE = 2 / 3;
const LOOK_MS = 60_000;
const WARN_MS: number = 180 * DAY_MS;

export type ServingOptions = {
  readonly authority: Authority;
  /** Names and addresses of this server; asked at each renewal, because addresses come and go. */
  readonly names: () => readonly string[];
  /** How long a certificate holds. @default LONGEST_S */
  readonly seconds?: number | undefined;
  /** What else belongs to the context: setSecureContext forgets what it is not told. */
  readonly context: SecureContextOptions;
  readonly now: () => number;
  readonly log: Log;
};
export type Serving = {
  /** For the server to begin with. */
  readonly context: SecureContextOptions;
  /** Renews it in `server`, until the result is called. */
  keep(server: Pick<Server, "setSecureContext">): () => void;
};

export function serving({ authority, names, seconds = LONGEST_S, context, now, log }: ServingOptions): Serving {
  const issue = (): { context: SecureContextOptions; ends: number; due: number } => {
    const at = now();
    const { certificate, key } = authority.issue({ commonName: "tortie-server" }, "server", { names: names(), seconds });
    const ends = Date.parse(new X509Certificate(certificate).validTo);
    // With the authority's own: who joins knows it by its hash alone.
    return { context: { ...context, key, cert: `${certificate}${authority.caCertificate}` }, ends, due: at + (ends - at) * DUE };
  };
  let current = issue();
  let warned = -Infinity;
  const warn = (): void => {
    if (authority.expires - now() > WARN_MS || now() - warned < DAY_MS) return;
    warned = now();
    const days = Math.floor((authority.expires - now()) / DAY_MS);
    log.warn("the certificate authority ends, and with it every certificate: make a new one in time (docs/identity.md, When the authority ends)", {
      expires: new Date(authority.expires).toISOString(),
      days,
    });
  };
  return {
    context: current.context,
    keep(server) {
      warn();
      const look = (): void => {
        warn();
        // One that lasts as long as the authority cannot be outlived by another.
        if (now() < current.due || current.ends >= authority.expires) return;
        current = issue();
        server.setSecureContext(current.context);
        log.info("the certificate of this server was renewed", { until: new Date(current.ends).toISOString() });
      };
      const timer = setInterval(look, Math.min(LOOK_MS, (seconds * 1000) / 20));
      return () => clearInterval(timer);
    },
  };
}
