// What nobody needs any more goes: requests for certificates that were answered (after an hour) or that nobody answered (after a day), and tokens that
// expired a day ago. Several servers may do it at once.
import { ACCESS_TOKEN, type AccessToken } from "../../api/accesstoken.ts";
import { CERTIFICATE_SIGNING_REQUEST, type CertificateSigningRequest } from "../../api/certificatesigningrequest.ts";
import type { Kind } from "../../api/kind.ts";
import type { Resource } from "../../api/meta.ts";
import { isApiError } from "../../api/status.ts";
import { messageOf } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import { AS_SERVER, itemsOf, prefixOf, type Registry, targetAt } from "./registry.ts";

const EVERY_MS = 600_000;
const [HOUR_MS, DAY_MS] = [3_600_000, 86_400_000];

/** From when on (ms since 1970) nobody needs an object of the kind. */
const RULES: readonly (readonly [Kind, (object: Resource) => number])[] = [
  [CERTIFICATE_SIGNING_REQUEST as unknown as Kind, (o) => requestEnds(o as CertificateSigningRequest)],
  [ACCESS_TOKEN as unknown as Kind, (o) => Date.parse((o as AccessToken).spec.expires) + DAY_MS],
];

function requestEnds({ metadata, status }: CertificateSigningRequest): number {
  const decided = (status?.conditions ?? []).map((c) => Date.parse(c.lastUpdateTime ?? metadata.creationTimestamp ?? ""));
  return decided.length > 0 ? Math.max(...decided) + HOUR_MS : Date.parse(metadata.creationTimestamp ?? "") + DAY_MS;
}

export const keepTidy = ({ registry, now, log }: { registry: Registry; now: () => number; log: Log }): NodeJS.Timeout =>
  setInterval(() => {
    tidy(registry, now()).catch((thrown: unknown) => log.warn("old requests and tokens were not removed", { error: messageOf(thrown) }));
  }, EVERY_MS);

/** `now` in ms since 1970. */
export async function tidy(registry: Registry, now: number): Promise<void> {
  for (const [kind, ends] of RULES)
    for (const object of itemsOf(registry, kind, (await registry.store.range(prefixOf(kind))).items)) {
      if (!(ends(object) <= now)) continue;
      const { name, uid } = object.metadata;
      try {
        await registry.remove(targetAt(kind, "", name), { ...AS_SERVER, ...(uid === undefined ? {} : { uid }) });
      } catch (thrown) {
        if (!isApiError(thrown, "NotFound", "Conflict")) throw thrown;
      }
    }
}
