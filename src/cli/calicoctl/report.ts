// How a write of several resources is summed up: calicoctl's sentences.
import { messageOf } from "../../base/errors.ts";
import type { Item } from "./input.ts";

export type Failure = { readonly item: Item; readonly error: unknown };
export type Outcome = { readonly items: readonly Item[]; readonly done: readonly Item[]; readonly failures: readonly Failure[] };
export type Words = { verb: string; past: string };

/** The kind that all items have, or undefined. */
export function singleKind(items: readonly Item[]): string | undefined {
  const kinds = new Set(items.map((i) => i.type.kind.kind));
  return kinds.size === 1 ? [...kinds][0] : undefined;
}

const out = (text: string): void => void process.stdout.write(`${text}\n`);
const err = (text: string): void => void process.stderr.write(`${text}\n`);

/** Prints what was done and what was not; gives the exit code. */
export function report({ items, done, failures }: Outcome, { verb, past }: Words): number {
  const kind = singleKind(items);
  const quoted = kind === undefined ? "" : `'${kind}' `;
  const errors = `[${failures.map((f) => messageOf(f.error)).join(" ")}]`;
  if (failures.length === 0) {
    out(`Successfully ${past} ${done.length} ${quoted}resource(s)`);
    return 0;
  }
  if (items.length === 1) err(`failed to ${verb} ${quoted}resource: ${errors}`);
  else if (done.length === 0) err(`failed to ${verb} any ${quoted}resources: ${errors}`);
  else {
    if (done.length > failures.length) out(`Partial success: ${past} the first ${done.length} out of ${items.length} ${quoted}resources:`);
    err(`hit error: ${errors}`);
  }
  return 1;
}

/** Deletions are told one by one where they failed. */
export function reportDeletion({ items, done, failures }: Outcome): number {
  const kind = singleKind(items);
  if (done.length > 0) out(`Successfully deleted ${done.length} ${kind === undefined ? "" : `'${kind}' `}resource(s)`);
  for (const { item, error } of failures) err(`Failed to delete '${item.type.kind.kind}' resource: ${messageOf(error)}`);
  return failures.length > 0 ? 1 : 0;
}
