// What a delete makes of an object: its preconditions, the finalizers that its propagation policy stands for, the mark, the time that it is given. Nothing
// here reads or writes the store. https://kubernetes.io/docs/concepts/overview/working-with-objects/finalizers/, …/architecture/garbage-collection/,
// …/workloads/pods/pod-lifecycle/#pod-termination
import type { Kind } from "../../api/kind.ts";
import type { ObjectMeta, Resource } from "../../api/meta.ts";
import { conflict } from "../../api/status.ts";

/** What becomes of the objects that name the deleted one as their owner: deleted after it, deleted before it, or left without it. */
export type Propagation = "Background" | "Foreground" | "Orphan";
export type DeleteOptions = {
  readonly uid?: string;
  readonly resourceVersion?: string;
  readonly propagationPolicy?: Propagation;
  /** Instead of what the object asks for. */
  readonly gracePeriodSeconds?: number;
};

/** The garbage collector takes these away when it has done what they ask for. */
export const FOREGROUND = "foregroundDeletion";
export const ORPHAN = "orphan";

/** Throws ApiError 409, in the words of Kubernetes, which names the Kind here and not the plural. */
export function checkPreconditions(kind: Kind, old: Resource, { uid, resourceVersion }: DeleteOptions): void {
  const { name, uid: is, resourceVersion: at } = old.metadata;
  const refused = (why: string): Error => conflict({ group: kind.group, plural: kind.kind }, name, why);
  if (uid !== undefined && uid !== is)
    throw refused(
      `the UID in the precondition (${uid}) does not match the UID in record (${is ?? ""}). The object might have been deleted and then recreated`,
    );
  if (resourceVersion !== undefined && resourceVersion !== at)
    throw refused(
      `the ResourceVersion in the precondition (${resourceVersion}) does not match the ResourceVersion in record (${at ?? ""}). The object might have been modified`,
    );
}

/** Without a policy, a mark that is there already stays. */
function finalizersAfter(finalizers: readonly string[], policy: Propagation | undefined): string[] {
  if (policy === undefined) return [...finalizers];
  const wanted = policy === "Orphan" ? ORPHAN : policy === "Foreground" ? FOREGROUND : undefined;
  const others = finalizers.filter((f) => f === wanted || (f !== ORPHAN && f !== FOREGROUND));
  return wanted === undefined || others.includes(wanted) ? others : [...others, wanted];
}

/** `time` (RFC 3339, whole seconds) and `seconds` more. */
const later = (time: string, seconds: number): string => `${new Date(Date.parse(time) + seconds * 1000).toISOString().slice(0, 19)}Z`;
/** Longer than anybody waits, and still a time that can be written. */
const LONGEST_S = 2 ** 31;

/** Seconds that the object is given when it is deleted for the first time. */
function graceOf(kind: Kind, old: Resource, asked: number | undefined): number {
  const own = kind.gracePeriod?.(old) ?? 0;
  const given = own === 0 ? 0 : (asked ?? own);
  return given < 0 ? 1 : Math.min(given, LONGEST_S);
}

/** `metadata` of what was deleted already: the time that it has left may only be shortened. */
function shortened(metadata: ObjectMeta, asked: number | undefined): ObjectMeta {
  const { deletionTimestamp, deletionGracePeriodSeconds: given = 0 } = metadata;
  if (deletionTimestamp === undefined || asked === undefined || asked < 0 || asked >= given) return metadata;
  return { ...metadata, deletionTimestamp: later(deletionTimestamp, asked - given), deletionGracePeriodSeconds: asked };
}

/** `old` after a delete at `now` (RFC 3339): marked with its time, once, and with the finalizers of the policy. */
export function marked(kind: Kind, old: Resource, options: DeleteOptions, now: string): Resource {
  const { finalizers, ...rest } = old.metadata;
  const kept = finalizersAfter(finalizers ?? [], options.propagationPolicy);
  const metadata: ObjectMeta = { ...rest, ...(kept.length > 0 ? { finalizers: kept } : {}) };
  if (rest.deletionTimestamp !== undefined) return { ...old, metadata: shortened(metadata, options.gracePeriodSeconds) };
  metadata.deletionGracePeriodSeconds = graceOf(kind, old, options.gracePeriodSeconds);
  metadata.deletionTimestamp = later(now, metadata.deletionGracePeriodSeconds);
  if (rest.generation !== undefined) metadata.generation = rest.generation + 1;
  const object = { ...old, metadata };
  return kind.lifecycle ? kind.lifecycle.deleted(object) : object;
}

/** Whether the object is to be removed: its deletion was asked for, it is given no time (any more), and nothing holds it. */
export const isOver = (kind: Kind, { metadata, ...rest }: Resource): boolean =>
  metadata.deletionTimestamp !== undefined &&
  (metadata.deletionGracePeriodSeconds ?? 0) === 0 &&
  (metadata.finalizers ?? []).length === 0 &&
  !kind.lifecycle?.held({ metadata, ...rest });
