// CaptureGrants at work: which one lets somebody capture, when it is over, and that none stays longer than it is good for.
import { CAPTURE_GRANT, type CaptureGrant, type GrantedAction, grants } from "../../api/capturegrant.ts";
import type { Kind } from "../../api/kind.ts";
import { type ApiError, forbidden, isApiError } from "../../api/status.ts";
import { messageOf } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import type { AuditLine } from "../identity/audit.ts";
import type { Change } from "../../store/store.ts";
import { controllerUser } from "../objects/controller.ts";
import { itemsOf, prefixOf, type Registry } from "../objects/registry.ts";

const KIND = CAPTURE_GRANT as unknown as Kind;
const EVERY_MS = 10_000;
const SWEEPER = controllerUser("grant-expiry");

/** A grant that lets something run. */
export type GrantInUse = {
  readonly name: string;
  readonly reason: string;
  /** Calls `end` with the reason once it expires or is deleted; the result stops waiting for that. */
  whenOver(registry: Registry, now: () => number, end: (why: ApiError) => void): () => void;
};

async function all(registry: Registry): Promise<{ items: CaptureGrant[]; revision: number }> {
  const { items, revision } = await registry.store.range(prefixOf(KIND));
  return { items: itemsOf(registry, KIND, items) as CaptureGrant[], revision };
}

/** The grant that lets them do all of `actions` the longest; undefined: none does. */
export async function grantFor(
  registry: Registry,
  asked: { user: string; groups: readonly string[]; node: string; now: number },
  actions: readonly GrantedAction[],
): Promise<GrantInUse | undefined> {
  const { items, revision } = await all(registry);
  const ending = (g: CaptureGrant): number => Date.parse(g.spec.expires);
  const [grant] = items.filter((g) => actions.every((action) => grants(g, { ...asked, action }))).toSorted((a, b) => ending(b) - ending(a));
  if (!grant) return undefined;
  const { name } = grant.metadata;
  return {
    name,
    reason: grant.spec.reason,
    whenOver(from, now, end) {
      const expired = setTimeout(() => end(forbidden(KIND, name, "it has expired")), Math.max(0, ending(grant) - now()));
      let stop = (): void => {};
      try {
        const key = prefixOf(KIND) + name;
        stop = from.store.watch(key, revision, (changes) => {
          const gone = (c: Change): boolean => !c.value || from.decode(KIND, c.value, c.revision).metadata.deletionTimestamp !== undefined;
          if (changes.some((c) => c.key === key && gone(c))) end(forbidden(KIND, name, "it was deleted"));
        });
      } catch (thrown) {
        // The history since then is gone already: that took minutes, and nothing else knows whether the grant still stands.
        clearTimeout(expired);
        end(forbidden(KIND, name, messageOf(thrown)));
      }
      return () => {
        clearTimeout(expired);
        stop();
      };
    },
  };
}

/** Removes those whose time is over, and says so in the audit log. */
export function keepGrantsShort(
  registry: Registry,
  { now, log, audit }: { now: () => number; log: Log; audit: (line: AuditLine) => void },
): NodeJS.Timeout {
  const sweep = async (): Promise<void> => {
    for (const { metadata, spec } of (await all(registry)).items) {
      if (now() < Date.parse(spec.expires) || metadata.deletionTimestamp !== undefined) continue;
      const target = { kind: KIND, namespace: "", name: metadata.name, subresource: "", rest: "" };
      try {
        await registry.remove(target, { user: SWEEPER, dryRun: false, validation: "Strict" });
      } catch (thrown) {
        // Another server was quicker.
        if (!isApiError(thrown, "NotFound")) throw thrown;
        continue;
      }
      audit({
        verb: "expire",
        path: `/apis/tortie.io/v1/capturegrants/${metadata.name}`,
        user: SWEEPER.name,
        groups: SWEEPER.groups,
        role: "admin",
        code: 200,
      });
    }
  };
  return setInterval(
    () => void sweep().catch((thrown: unknown) => log.warn("expired grants were not removed", { error: messageOf(thrown) })),
    EVERY_MS,
  );
}
