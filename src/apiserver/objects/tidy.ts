// What nobody needs any more goes: requests for certificates that were answered (after an hour) or that nobody answered (after a day), and tokens that
// expired a day ago. Several servers may do it at once.
import { ACCESS_TOKEN, type AccessToken } from "../../api/accesstoken.ts";
import { CERTIFICATE_SIGNING_REQUEST, type CertificateSigningRequest } from "../../api/certificatesigningrequest.ts";
import type { Kind } from "../../api/kind.ts";
import type { Resource } from "../../api/meta.ts";
import { isApiError } from "../../api/status.ts";
import { messageOf } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import { type Auditing, Controller } from "./controller.ts";
import { itemsOf, prefixOf, type Registry, targetAt } from "./registry.ts";

const EVERY_MS = 600_000;
const [HOUR_MS, DAY_MS] = [3_600_000, 86_400_000];

/** Who removes objects of the kind, and from when on (ms since 1970) nobody needs one. */
const RULES: readonly { readonly by: string; readonly kind: Kind; readonly ends: (object: Resource) => number }[] = [
  {
    by: "certificate-controller",
    kind: CERTIFICATE_SIGNING_REQUEST as unknown as Kind,
    ends: (o) => requestEnds(o as CertificateSigningRequest),
  },
  { by: "token-cleaner", kind: ACCESS_TOKEN as unknown as Kind, ends: (o) => Date.parse((o as AccessToken).spec.expires) + DAY_MS },
];

function requestEnds({ metadata, status }: CertificateSigningRequest): number {
  const decided = (status?.conditions ?? []).map((c) => Date.parse(c.lastUpdateTime ?? metadata.creationTimestamp ?? ""));
  return decided.length > 0 ? Math.max(...decided) + HOUR_MS : Date.parse(metadata.creationTimestamp ?? "") + DAY_MS;
}

type Options = Auditing & { readonly registry: Registry; readonly now: () => number };

export const keepTidy = ({ log, ...options }: Options & { readonly log: Log }): NodeJS.Timeout =>
  setInterval(() => {
    tidy(options).catch((thrown: unknown) => log.warn("old requests and tokens were not removed", { error: messageOf(thrown) }));
  }, EVERY_MS);

/** Removes what nobody needs now. */
export async function tidy({ registry, now, ...auditing }: Options): Promise<void> {
  for (const { by, kind, ends } of RULES) {
    const own = new Controller(by, registry, auditing);
    for (const object of itemsOf(registry, kind, (await registry.store.range(prefixOf(kind))).items)) {
      if (!(ends(object) <= now())) continue;
      const { name, uid } = object.metadata;
      try {
        await own.remove(targetAt(kind, "", name), uid === undefined ? {} : { uid });
      } catch (thrown) {
        if (!isApiError(thrown, "NotFound", "Conflict")) throw thrown;
      }
    }
  }
}
