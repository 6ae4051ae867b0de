// `tortie explain KIND[.FIELD…]`: what a kind and its fields are, from the schema that the server checks by. Needs no server.
import { explain, fieldAt, fieldsOf, splitField } from "../api/explain.ts";
import { findKind, KINDS } from "../api/kinds.ts";
import type { Schema } from "../api/schema.ts";
import { TortieError } from "../base/errors.ts";
import { onAction, program, runProgram } from "./program.ts";

function print(what: string, recursive: boolean): number {
  const found = splitField(what, findKind);
  if (!found)
    throw new TortieError(`Cannot explain "${what}": there is no kind of that name`, {
      hint: `The kinds: ${[...new Set(KINDS.map((k) => k.plural))].join(", ")}.`,
    });
  const { kind, path } = found;
  const at = fieldAt(kind.schema, path);
  if (typeof at === "number") {
    const known = [kind.kind, ...path.slice(0, at)];
    const fields = Object.keys(fieldsOf(fieldAt(kind.schema, path.slice(0, at)) as Schema));
    throw new TortieError(`Cannot explain "${what}": ${known.join(".")} has no field "${path[at]}"`, {
      hint: fields.length === 0 ? "It has no fields that are described." : `Its fields: ${fields.toSorted().join(", ")}.`,
    });
  }
  process.stdout.write(explain(kind, path, { recursive }));
  return 0;
}

export function main(args: string[]): Promise<number> {
  const command = program("tortie explain", "what a kind of resource and its fields are", [
    "tortie explain ippools",
    "tortie explain felixconfiguration.spec.wireguardEnabled",
    "tortie explain nodes --recursive",
  ])
    .argument("<KIND[.FIELD]>", "a kind, and the path of a field in it")
    .option("--recursive", "names and types of all fields, without their descriptions");
  onAction(command, (what: string, options: { recursive?: boolean }) => print(what, options.recursive ?? false));
  return runProgram(command, args);
}
