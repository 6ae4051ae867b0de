// What nobody needs any more goes: requests for certificates that were answered (after an hour) or that nobody answered (after a day), tokens that expired a day
// ago or that are revoked, and revocations when all that they refuse has expired. Several servers may do it at once.
import { ACCESS_TOKEN, type AccessToken } from "../../api/accesstoken.ts";
import { CERTIFICATE_SIGNING_REQUEST, type CertificateSigningRequest } from "../../api/certificatesigningrequest.ts";
import type { Kind } from "../../api/kind.ts";
import type { Resource } from "../../api/meta.ts";
import { REVOCATION, type Revocation } from "../../api/revocation.ts";
import { isApiError } from "../../api/status.ts";
import { messageOf } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import { LONGEST_S } from "../identity/authority.ts";
import { createdAt, ownerOf } from "../identity/credentials.ts";
import { type Auditing, Controller } from "./controller.ts";
import { itemsOf, prefixOf, type Registry, targetAt } from "./registry.ts";

const EVERY_MS = 600_000;
const [HOUR_MS, DAY_MS] = [3_600_000, 86_400_000];

type Revocations = readonly Revocation[];
type Rule = { readonly by: string; readonly kind: Kind; readonly ends: (object: Resource, revocations: Revocations) => number };
/**
 * Who removes objects of the kind, and from when on (ms since 1970) nobody needs one. Tokens go before the revocations that refuse them: a token may be good for
 * longer than any certificate.
 */
const RULES: readonly Rule[] = [
  {
    by: "certificate-controller",
    kind: CERTIFICATE_SIGNING_REQUEST as unknown as Kind,
    ends: (o) => requestEnds(o as CertificateSigningRequest),
  },
  { by: "token-cleaner", kind: ACCESS_TOKEN as unknown as Kind, ends: (o, revocations) => tokenEnds(o as AccessToken, revocations) },
  { by: "revocation-cleaner", kind: REVOCATION as unknown as Kind, ends: (o) => createdAt(o) + LONGEST_S * 1000 + DAY_MS },
];

const tokenEnds = (token: AccessToken, revocations: Revocations): number =>
  revocations.some((r) => r.spec.user === ownerOf(token) && createdAt(token) <= createdAt(r)) ? 0 : Date.parse(token.spec.expires) + DAY_MS;

function requestEnds({ metadata, status }: CertificateSigningRequest): number {
  const decided = (status?.conditions ?? []).map((c) => Date.parse(c.lastUpdateTime ?? metadata.creationTimestamp ?? ""));
  return decided.length > 0 ? Math.max(...decided) + HOUR_MS : createdAt({ metadata }) + DAY_MS;
}

type Options = Auditing & { readonly registry: Registry; readonly now: () => number };

export const keepTidy = ({ log, ...options }: Options & { readonly log: Log }): NodeJS.Timeout =>
  setInterval(() => {
    tidy(options).catch((thrown: unknown) => log.warn("old requests, tokens and revocations were not removed", { error: messageOf(thrown) }));
  }, EVERY_MS);

/** Removes what nobody needs now. */
export async function tidy({ registry, now, ...auditing }: Options): Promise<void> {
  const all = async (kind: Kind): Promise<Resource[]> => itemsOf(registry, kind, (await registry.store.range(prefixOf(kind))).items);
  const revocations = (await all(REVOCATION as unknown as Kind)) as Revocation[];
  for (const { by, kind, ends } of RULES) {
    const own = new Controller(by, registry, auditing);
    for (const object of await all(kind)) {
      if (!(ends(object, revocations) <= now())) continue;
      const { name, uid } = object.metadata;
      try {
        await own.remove(targetAt(kind, "", name), uid === undefined ? {} : { uid });
      } catch (thrown) {
        if (!isApiError(thrown, "NotFound", "Conflict")) throw thrown;
      }
    }
  }
}
