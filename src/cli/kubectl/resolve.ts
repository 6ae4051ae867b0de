// The words of a kubectl command line: "nodes", "node/k8s-w1", "felixconfigurations.projectcalico.org", "pods,nodes".
import type { Kind } from "../../api/kind.ts";
import { findKind } from "../../api/kinds.ts";
import { TortieError } from "../../base/errors.ts";

export type Target = { readonly kind: Kind; readonly name?: string };

function kindFor(word: string): Kind {
  const dot = word.indexOf(".");
  const kind = dot < 0 ? findKind(word) : findKind(word.slice(0, dot), word.slice(dot + 1).replace(/^v[0-9][a-z0-9]*\./, ""));
  if (!kind) throw new TortieError(`error: the server doesn't have a resource type "${word}"`);
  return kind;
}

/** "pods a b", "pod/a node/b" or "pods,nodes". Throws kubectl's sentences. */
export function targetsOf(words: readonly string[]): Target[] {
  const [first, ...rest] = words;
  if (first === undefined) throw new TortieError("error: you must specify the type of resource", { hint: "For example: kubectl get pods" });
  if (first.includes("/"))
    return words.map((w) => {
      const [kind = "", name = "", ...more] = w.split("/");
      if (kind === "" || name === "" || more.length > 0)
        throw new TortieError(`error: arguments in resource/name form may not have more than one slash: "${w}"`);
      return { kind: kindFor(kind), name };
    });
  const kinds = first.split(",").map(kindFor);
  if (rest.length === 0) return kinds.map((kind) => ({ kind }));
  return kinds.flatMap((kind) => rest.map((name) => ({ kind, name })));
}

/** "pod/pod1", "felixconfiguration.projectcalico.org/default". */
export const titleOf = (kind: Kind, name: string): string => `${kind.singular}${kind.group === "" ? "" : `.${kind.group}`}/${name}`;
