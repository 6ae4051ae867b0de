// label: read, change labels, write.
import type { Resource } from "../../api/meta.ts";
import { messageOf, TortieError } from "../../base/errors.ts";
import type { Backend } from "./backend.ts";
import type { ResourceType } from "./types.ts";

export type LabelFlags = { overwrite?: boolean; remove?: boolean; namespace?: string };
type Change = { key: string; value: string };

function parse(word: string, remove: boolean): Change {
  const at = word.indexOf("=");
  // With --remove only keys count; a value behind one is ignored, as by calicoctl.
  if (remove) return { key: at < 0 ? word : word.slice(0, at), value: "" };
  if (at <= 0) throw new TortieError(`invalid label ${word}`);
  return { key: word.slice(0, at), value: word.slice(at + 1) };
}

/** Sets or removes labels of one resource; prints a line for each. `kind` is the word that was typed. */
export async function labelResource(
  backend: Backend,
  type: ResourceType,
  kind: string,
  name: string,
  words: readonly string[],
  flags: LabelFlags,
): Promise<number> {
  const changes = words.map((w) => parse(w, flags.remove ?? false));
  let told: string[] = [];
  const change = (current: Resource): Resource => {
    const labels = { ...current.metadata.labels };
    told = changes.map(({ key, value }) => {
      const old = Object.hasOwn(labels, key) ? labels[key] : undefined;
      if (flags.remove) {
        if (old === undefined) throw new TortieError(`cannot remove label of ${kind} ${name}, key ${key} does not exist`);
        delete labels[key];
        return `Successfully removed label ${key} from ${kind} ${name}`;
      }
      if (old !== undefined && old !== value && !flags.overwrite)
        throw new TortieError(
          `failed to update label of ${kind} ${name}, key ${key} is already present. please use '--overwrite' to set a new value`,
        );
      labels[key] = value;
      return `Successfully ${old === undefined ? "set" : "updated"} label ${key} on ${kind} ${name}`;
    });
    return { ...current, metadata: { ...current.metadata, labels } };
  };
  try {
    await backend.modify(type, name, flags.namespace, change);
  } catch (thrown) {
    const words = messageOf(thrown);
    if (/^(failed to update label|cannot remove label)/.test(words)) throw thrown;
    if (words.startsWith("resource does not exist:")) throw new TortieError(`failed to get ${kind} ${name}, error ${words}`, { cause: thrown });
    throw new TortieError(`failed to update ${kind} ${name}, label not changed: ${words}`, { cause: thrown });
  }
  process.stdout.write(told.map((t) => `${t}\n`).join(""));
  return 0;
}
