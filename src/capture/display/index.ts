// Display filters: Wireshark's language over the fields of fields/ (wireshark-filter(4), section 8.2).
import type { Dissection } from "../dissect.ts";
import { FLOW_FIELDS } from "../flows.ts";
import { Compiler } from "./compile.ts";
import { parse } from "./parser.ts";

/** A compiled display filter. */
export type DisplayFilter = {
  /** Whether the packet is to be shown. */
  readonly test: (d: Dissection) => boolean;
  /** The fields and protocols that it looks at. */
  readonly fields: ReadonlySet<string>;
  /** It asks for what only the packets before one tell: the dissector is to follow flows. */
  readonly flows: boolean;
};

/** Compiles a display filter; an empty one shows everything. Throws TortieError, which marks the place. */
export function displayFilter(text: string): DisplayFilter {
  const condition = parse(text);
  const compiler = new Compiler(text);
  const test = condition ? compiler.condition(condition) : () => true;
  return { test, fields: compiler.fields, flows: [...compiler.fields].some((f) => FLOW_FIELDS.has(f)) };
}
